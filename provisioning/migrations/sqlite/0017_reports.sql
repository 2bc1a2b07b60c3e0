-- Days of devices, and reports: what stood in which version, how it went up (校→县→市), what was typed in by hand.
-- Dates are ISO text by the schools' calendar; instants are milliseconds since 1970 UTC.

-- One row for each device and day that is over. It says what the device's own samples say of that day, whenever they came:
-- a row of which nothing was heard says `silent`, and what it did is unknown, not nothing.
CREATE TABLE device_days (
    device_no    INTEGER NOT NULL REFERENCES devices (device_no),
    date         TEXT NOT NULL,
    -- Where it stood when the day was first worked out: what it did there stays there when it moves.
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    -- Seconds of that day's class hours; 0: no school that day.
    expected_s   INTEGER NOT NULL,
    -- Of these, seconds on which it was on and said so (five-minute slots with a sample). NULL: nothing was heard.
    online_s     INTEGER,
    -- Seconds the screen was lit that day. NULL: it does not tell, or nothing was heard.
    screen_on_s  INTEGER,
    samples      INTEGER NOT NULL,
    -- 'on' (heard in class hours), 'off' (heard that day, not in class hours), 'silent' (not heard, though school was held),
    -- 'free' (no school and not heard).
    verdict      TEXT NOT NULL CHECK (verdict IN ('on', 'off', 'silent', 'free')),
    made_at      INTEGER NOT NULL,
    PRIMARY KEY (device_no, date)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_days_by_date ON device_days (date, classroom_id);

-- Up to where samples were looked at, by their receipt; and the last day all devices have a row of.
CREATE TABLE device_days_done (
    only_one    INTEGER PRIMARY KEY CHECK (only_one = 1),
    received_at INTEGER NOT NULL,
    date        TEXT NOT NULL
) STRICT;

-- A report on a place and a stretch of time. One of each; its versions hold what it said.
CREATE TABLE reports (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL CHECK (kind IN ('month', 'quarter', 'year')),
    from_date  TEXT NOT NULL,
    to_date    TEXT NOT NULL,
    region_id  INTEGER REFERENCES regions (id),
    school_id  INTEGER REFERENCES schools (id),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    CHECK ((region_id IS NULL) <> (school_id IS NULL)),
    CHECK (from_date <= to_date)
) STRICT;
CREATE UNIQUE INDEX reports_once ON reports (kind, from_date, coalesce(region_id, 0), coalesce(school_id, 0));
CREATE INDEX reports_by_school ON reports (school_id, from_date) WHERE school_id IS NOT NULL;
CREATE INDEX reports_by_region ON reports (region_id, from_date) WHERE region_id IS NOT NULL;

-- draft ──submit──▶ submitted ──approve──▶ approved ──freeze──▶ frozen; submitted or approved ──return──▶ returned ──▶ submit
CREATE TABLE report_versions (
    report_id   INTEGER NOT NULL REFERENCES reports (id),
    version     INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('draft', 'submitted', 'returned', 'approved', 'frozen')),
    -- The frozen version that this one corrects (更正), and why.
    corrects    INTEGER,
    why         TEXT NOT NULL DEFAULT '',
    -- What it says: canonical JSON (reports::body::Body), gzip'ed; and BLAKE3 of the JSON.
    body        BLOB NOT NULL,
    digest      TEXT NOT NULL,
    made_at     INTEGER NOT NULL,
    made_by     TEXT NOT NULL,
    -- Once frozen: contract::signed::Signed as JSON over the digests of the body and its files.
    seal        TEXT,
    PRIMARY KEY (report_id, version)
) STRICT, WITHOUT ROWID;

-- Each step with who took it; a return says why.
CREATE TABLE report_steps (
    report_id INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    step      TEXT NOT NULL,
    reason    TEXT NOT NULL DEFAULT '',
    at        INTEGER NOT NULL,
    by        TEXT NOT NULL,
    PRIMARY KEY (report_id, version, n),
    FOREIGN KEY (report_id, version) REFERENCES report_versions (report_id, version)
) STRICT, WITHOUT ROWID;

-- What the product cannot know and somebody types in (人工填报), by school and month.
CREATE TABLE manual_figures (
    school_id  INTEGER NOT NULL REFERENCES schools (id),
    -- First day of the month.
    month      TEXT NOT NULL,
    indicator  TEXT NOT NULL,
    -- Whole numbers only, e.g. pupils and computers: the figure is their ratio.
    numerator   INTEGER NOT NULL,
    denominator INTEGER NOT NULL,
    note       TEXT NOT NULL DEFAULT '',
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (school_id, month, indicator)
) STRICT, WITHOUT ROWID;

INSERT INTO revisions (noun, value) VALUES ('report', 0);
