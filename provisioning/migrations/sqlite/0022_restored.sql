-- A console that was put back from an older copy. What devices have been told since is not known here, so nothing is assigned
-- to a device that the copy knew before it has said what it holds, and nothing to one that is ahead before somebody decides.
CREATE TABLE restores (
    id            INTEGER PRIMARY KEY,
    -- When the copy was made, and when it was put back; milliseconds.
    made_at       INTEGER NOT NULL,
    restored_at   INTEGER NOT NULL,
    -- Whether the copy held the bytes of lessons.
    lessons       INTEGER NOT NULL,
    -- The copy's list of withdrawals, and when somebody said that it is complete again. Until then no newer one is signed.
    copy_snapshot INTEGER NOT NULL,
    withdrawals_at INTEGER,
    withdrawals_by TEXT
) STRICT;

CREATE TABLE restored_devices (
    device_no         INTEGER PRIMARY KEY REFERENCES devices (device_no) ON DELETE CASCADE,
    -- What the copy had last assigned.
    copy_generation   INTEGER NOT NULL,
    -- waiting: not heard yet · same: not ahead of the copy · conflict: ahead, undecided · kept: ahead, left as it is ·
    -- reassigned: ahead, and given this console's set under a higher generation.
    state             TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'same', 'conflict', 'kept', 'reassigned')),
    device_generation INTEGER,
    device_snapshot   INTEGER,
    heard_at          INTEGER,
    decided_at        INTEGER,
    decided_by        TEXT
) STRICT;

CREATE INDEX restored_devices_state ON restored_devices (state);

-- Devices that the copy does not know: they were enrolled after it was made.
CREATE TABLE restored_strangers (
    device_id     TEXT PRIMARY KEY,
    first_seen_at INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    generation    INTEGER NOT NULL,
    lessons       INTEGER NOT NULL
) STRICT;

-- Versions of lessons that devices have had, above those that the copy knows: new ones go on behind them.
CREATE TABLE restored_lessons (
    lesson_id TEXT PRIMARY KEY,
    version   INTEGER NOT NULL
) STRICT;
