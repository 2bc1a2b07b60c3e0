-- Packs for USB disks and discs that people asked for, and where they are in being made.
CREATE TABLE packs (
    id              TEXT PRIMARY KEY,
    title           TEXT NOT NULL,
    format          TEXT NOT NULL CHECK (format IN ('zip', 'iso')),
    -- queued ──▶ building ──▶ ready ──▶ expired;  failed says why
    state           TEXT NOT NULL CHECK (state IN ('queued', 'building', 'ready', 'failed', 'expired')),
    reason          TEXT,
    -- What goes in, as JSON: it is what it was when it was asked for.
    contents        TEXT NOT NULL,
    lessons         INTEGER NOT NULL,
    bytes           INTEGER NOT NULL,
    done_bytes      INTEGER NOT NULL DEFAULT 0,
    -- Of the file to download, once there is one.
    file_bytes      INTEGER,
    created_at      INTEGER NOT NULL,
    created_by      TEXT NOT NULL,
    expires_at      INTEGER NOT NULL,
    owner_region_id INTEGER REFERENCES regions (id),
    owner_school_id INTEGER REFERENCES schools (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX packs_by_state ON packs (state, created_at);

-- What boards wrote on disks and was merged; the same receipt on two disks, or uploaded twice, is merged once.
CREATE TABLE disk_receipts (
    device_no INTEGER NOT NULL REFERENCES devices (device_no),
    hash      TEXT NOT NULL,
    number    INTEGER NOT NULL,
    merged_at INTEGER NOT NULL,
    merged_by TEXT NOT NULL,
    PRIMARY KEY (device_no, hash)
) STRICT, WITHOUT ROWID;
