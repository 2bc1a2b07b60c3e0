-- What a board can be told and how it is, by its own report (`contract::controls::ControlsReport`).
ALTER TABLE devices ADD COLUMN controls TEXT;

-- Packed logs that boards handed over because somebody asked for them; gone after 14 days.
CREATE TABLE device_logs (
    command_id   TEXT PRIMARY KEY REFERENCES commands (id) ON DELETE CASCADE,
    device_no    INTEGER NOT NULL REFERENCES devices (device_no) ON DELETE CASCADE,
    total_bytes  INTEGER NOT NULL,
    -- BLAKE3 of the whole, hex.
    hash         TEXT NOT NULL,
    have_bytes   INTEGER NOT NULL DEFAULT 0,
    begun_at     INTEGER NOT NULL,
    -- When the last byte came and the hash was right.
    completed_at INTEGER
) STRICT;

CREATE INDEX device_logs_begun ON device_logs (begun_at);
CREATE INDEX device_logs_device ON device_logs (device_no);

-- In the order of their bytes.
CREATE TABLE device_log_parts (
    command_id TEXT NOT NULL REFERENCES device_logs (command_id) ON DELETE CASCADE,
    begins_at  INTEGER NOT NULL,
    bytes      BLOB NOT NULL,
    PRIMARY KEY (command_id, begins_at)
) STRICT;
