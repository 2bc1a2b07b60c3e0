-- What schools' lines carry: the rules they are held against, tests of several boards together, and what came of them.

-- Versions of the rules, as JSON (api::bandwidth::Rules). The highest one holds; verdicts name the one they were made by.
CREATE TABLE bandwidth_rules (
    version  INTEGER PRIMARY KEY,
    body     TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL
) STRICT;

-- Which rules the schools of a region follow, by the name of their set; the nearest region counts.
CREATE TABLE bandwidth_follows (
    region_id INTEGER PRIMARY KEY REFERENCES regions (id),
    rule_set  TEXT NOT NULL,
    set_at    INTEGER NOT NULL,
    set_by    TEXT NOT NULL
) STRICT;

-- How tests are planned, as JSON (api::bandwidth::Settings); without a row what is built in holds.
CREATE TABLE bandwidth_settings (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    body       TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) STRICT;

CREATE TABLE bandwidth_tests (
    id            TEXT PRIMARY KEY,
    school_id     INTEGER NOT NULL REFERENCES schools (id),
    -- ordered ──▶ decided
    state         TEXT NOT NULL CHECK (state IN ('ordered', 'decided')),
    cause         TEXT NOT NULL CHECK (cause IN ('schedule', 'doubt', 'operator')),
    -- An operator wanted it although it is class.
    forced        INTEGER NOT NULL DEFAULT 0,
    starts_at     INTEGER NOT NULL,
    -- Boards may use the probe until then; what is not there by then is missing.
    ends_at       INTEGER NOT NULL,
    seconds       INTEGER NOT NULL,
    streams       INTEGER NOT NULL,
    -- What it was booked with against the console's own line.
    expected_kbps INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    created_by    TEXT NOT NULL,
    -- From here on: what came of it.
    decided_at    INTEGER,
    verdict       TEXT CHECK (verdict IN ('met', 'not_met', 'port_cannot_prove', 'no_target', 'no_figures')),
    -- All of it, as JSON (api::bandwidth::Decision).
    decision      TEXT,
    doubt         INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX bandwidth_tests_by_school ON bandwidth_tests (school_id, starts_at);
CREATE INDEX bandwidth_tests_open ON bandwidth_tests (ends_at) WHERE state = 'ordered';

-- The boards of a test: what each was, and what it saw (contract::bandwidth::BandwidthResult as JSON).
CREATE TABLE bandwidth_boards (
    test_id     TEXT NOT NULL REFERENCES bandwidth_tests (id),
    device_no   INTEGER NOT NULL REFERENCES devices (device_no),
    command_id  TEXT NOT NULL,
    port_mbps   INTEGER,
    result      TEXT,
    -- When the console had it.
    received_at INTEGER,
    PRIMARY KEY (test_id, device_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX bandwidth_boards_by_device ON bandwidth_boards (device_no);

-- What devices say of how they are connected (contract::report::NetworkReport as JSON).
ALTER TABLE devices ADD COLUMN network TEXT;
