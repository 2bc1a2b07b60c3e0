-- Events of devices, clocks of power-ups, condensed samples, and who was there when.

-- What happened on a device; named for good by device, power-up and place in its count of events.
CREATE TABLE device_events (
    device_no   INTEGER NOT NULL REFERENCES devices (device_no),
    boot_no     INTEGER NOT NULL REFERENCES boots (boot_no),
    seq         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    uptime_ms   INTEGER NOT NULL,
    wall_time   INTEGER,
    -- How `at` was found; see samples.at_from.
    at_from     INTEGER NOT NULL DEFAULT 0,
    -- The tag of contract::event::EventKind, and all of it as JSON.
    kind        TEXT NOT NULL,
    body        TEXT NOT NULL,
    PRIMARY KEY (device_no, boot_no, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_events_by_time ON device_events (device_no, at);
CREATE INDEX device_events_by_kind ON device_events (kind, at);
CREATE INDEX device_events_by_receipt ON device_events (received_at);

-- Events of a power-up up to here are stored or were declared forgotten.
ALTER TABLE boots ADD COLUMN events_contiguous_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE boots ADD COLUMN events_forgotten_up_to INTEGER NOT NULL DEFAULT 0;
-- The best pair of uptime and wall clock known of a power-up; `verified`: it came in at about the time that it says.
ALTER TABLE boots ADD COLUMN clock_uptime_ms INTEGER;
ALTER TABLE boots ADD COLUMN clock_wall_ms INTEGER;
ALTER TABLE boots ADD COLUMN clock_verified INTEGER NOT NULL DEFAULT 0;
-- The power-up was at the latest then: the least difference between receipt and uptime.
ALTER TABLE boots ADD COLUMN latest_epoch_ms INTEGER;

-- How `at` was found: 0 the device's own trusted clock, 1 from when it came in, 2 from another pair of its power-up.
ALTER TABLE samples ADD COLUMN at_from INTEGER NOT NULL DEFAULT 0;

-- Readings that could not be true and were left out; messages that came too often and were not taken; events dropped unsent.
ALTER TABLE devices ADD COLUMN implausible_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN implausible_at INTEGER;
ALTER TABLE devices ADD COLUMN limited_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN limited_at INTEGER;
ALTER TABLE devices ADD COLUMN events_dropped_total INTEGER NOT NULL DEFAULT 0;

-- Condensed samples: least, sum, most and count of each reading in each slot, packed (db::rollups says how). One row holds the
-- 12 slots of 5 minutes of an hour (`hour` counts hours since 1970 UTC), or the 24 hours of a day (`day` counts days).
CREATE TABLE rollup_5min (
    device_no INTEGER NOT NULL,
    hour      INTEGER NOT NULL,
    samples   INTEGER NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (device_no, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollup_5min_by_hour ON rollup_5min (hour);
CREATE TABLE rollup_hours (
    device_no INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    samples   INTEGER NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (device_no, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollup_hours_by_day ON rollup_hours (day);
-- Hours of devices whose samples changed since they were condensed.
CREATE TABLE rollup_stale (
    hour      INTEGER NOT NULL,
    device_no INTEGER NOT NULL,
    PRIMARY KEY (hour, device_no)
) STRICT, WITHOUT ROWID;
INSERT INTO rollup_stale (hour, device_no) SELECT DISTINCT at / 3600000, device_no FROM samples WHERE true ON CONFLICT DO NOTHING;

-- When devices came and went. NULL: the console stopped knowing.
CREATE TABLE presence_log (
    device_no INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    online    INTEGER,
    PRIMARY KEY (device_no, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX presence_log_by_time ON presence_log (at);
CREATE TRIGGER presence_logged AFTER UPDATE OF online ON devices WHEN OLD.online IS NOT NEW.online BEGIN
    INSERT INTO presence_log (device_no, at, online)
        VALUES (NEW.device_no, CAST(unixepoch('subsec') * 1000 AS INTEGER), NEW.online)
        ON CONFLICT (device_no, at) DO UPDATE SET online = excluded.online;
END;

-- Stretches in which the console served and its broker answered; in between nothing is known of any device.
CREATE TABLE console_runs (
    from_at INTEGER PRIMARY KEY,
    to_at   INTEGER NOT NULL
) STRICT;

-- The state of each device as it was worked out last (domain::liveness), and every change of it.
CREATE TABLE device_liveness (
    device_no INTEGER PRIMARY KEY REFERENCES devices (device_no),
    state     TEXT NOT NULL CHECK (state IN ('online', 'offline', 'off', 'unknown')),
    why       TEXT NOT NULL,
    since     INTEGER NOT NULL
) STRICT;
CREATE INDEX device_liveness_by_state ON device_liveness (state);
CREATE TABLE liveness_log (
    device_no INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    state     TEXT NOT NULL,
    why       TEXT NOT NULL,
    PRIMARY KEY (device_no, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX liveness_log_by_time ON liveness_log (at);
