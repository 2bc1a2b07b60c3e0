-- What went wrong, what belongs together, and who was told of it.

-- Rules as a place set them. The built-in set is data of the program; a row of the same key changes it from its node down, a
-- row of another key adds to it. The nearest node wins.
CREATE TABLE alert_rules (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT NOT NULL,
    -- Both NULL: the whole install.
    region_id  INTEGER REFERENCES regions (id),
    school_id  INTEGER REFERENCES schools (id),
    -- domain::alerts::Rule as JSON, without its key.
    body       TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    CHECK (region_id IS NULL OR school_id IS NULL)
) STRICT;
CREATE UNIQUE INDEX alert_rules_by_place ON alert_rules (key, coalesce(region_id, 0), coalesce(school_id, 0));

-- What belongs together: one thing to look at, to acknowledge and to send somebody for. A storm is the parent of what it
-- did to each school.
CREATE TABLE incidents (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    parent_id       INTEGER REFERENCES incidents (id),
    -- 'area', 'school', 'device'.
    kind            TEXT NOT NULL,
    -- What its alerts have in common: 'connectivity', or a rule's key.
    topic           TEXT NOT NULL,
    region_id       INTEGER REFERENCES regions (id),
    school_id       INTEGER REFERENCES schools (id),
    severity        TEXT NOT NULL,
    cause           TEXT NOT NULL,
    -- domain::alerts::cause::Evidence as JSON.
    evidence        TEXT NOT NULL DEFAULT '{}',
    began_at        INTEGER NOT NULL,
    -- When its newest alert began.
    last_at         INTEGER NOT NULL,
    -- All of its alerts are over.
    cleared_at      INTEGER,
    -- Nobody needs to look any more; NULL: open.
    resolved_at     INTEGER,
    resolved_by     TEXT,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    snoozed_until   INTEGER,
    -- A maintenance window held when it began: nobody is told.
    quiet           INTEGER NOT NULL DEFAULT 0,
    -- Whoever is told has been: 0 the responsible, 1 the county, 2 the city; -1: nobody yet.
    tier            INTEGER NOT NULL DEFAULT -1,
    -- When the next tier is told, unless somebody acknowledges it before.
    next_tier_at    INTEGER
) STRICT;
CREATE INDEX incidents_open ON incidents (school_id, topic) WHERE resolved_at IS NULL;
CREATE INDEX incidents_by_time ON incidents (began_at);
CREATE INDEX incidents_by_school ON incidents (school_id, began_at);
CREATE INDEX incidents_by_parent ON incidents (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX incidents_to_tell ON incidents (next_tier_at) WHERE next_tier_at IS NOT NULL;

-- Boards of an incident, and what became of each (the damage list).
CREATE TABLE incident_devices (
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    device_no   INTEGER NOT NULL REFERENCES devices (device_no),
    lost_at     INTEGER NOT NULL,
    back_at     INTEGER,
    boot_before TEXT,
    boot_after  TEXT,
    -- contract::event::BootReason of the boot after, as the board told it.
    boot_reason TEXT,
    cause       TEXT NOT NULL DEFAULT 'unknown',
    -- What it has had since, as a JSON list of rule keys.
    damage      TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (incident_id, device_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_devices_by_device ON incident_devices (device_no, lost_at);

CREATE TABLE incident_history (
    incident_id INTEGER NOT NULL REFERENCES incidents (id),
    n           INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    -- NULL: the console.
    by          TEXT,
    what        TEXT NOT NULL,
    note        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (incident_id, n)
) STRICT, WITHOUT ROWID;

-- One rule, one subject, one stretch of time. Raised at once or after the rule's duration; over when cleared.
CREATE TABLE alerts (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    rule          TEXT NOT NULL,
    severity      TEXT NOT NULL,
    school_id     INTEGER NOT NULL REFERENCES schools (id),
    -- NULL: of the school as a whole.
    device_no     INTEGER REFERENCES devices (device_no),
    incident_id   INTEGER REFERENCES incidents (id),
    began_at      INTEGER NOT NULL,
    raised_at     INTEGER NOT NULL,
    cleared_at    INTEGER,
    -- The reading that raised it.
    value         REAL,
    -- The rule on which this one depends was raised: part of something larger.
    suppressed_by TEXT,
    -- The rule as it was, JSON.
    body          TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX alerts_open ON alerts (rule, school_id, coalesce(device_no, 0)) WHERE cleared_at IS NULL;
CREATE INDEX alerts_by_time ON alerts (raised_at);
CREATE INDEX alerts_by_device ON alerts (device_no, raised_at);
CREATE INDEX alerts_by_incident ON alerts (incident_id);

-- Conditions that hold (or no longer hold) but not yet for long enough, so that a restart does not begin anew.
CREATE TABLE alert_tracks (
    rule      TEXT NOT NULL,
    school_id INTEGER NOT NULL REFERENCES schools (id),
    -- 0: of the school as a whole.
    device_no INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (rule, school_id, device_no)
) STRICT, WITHOUT ROWID;

-- How far the events of boards have been looked at, and other places to go on from.
CREATE TABLE alert_cursors (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Stretches in which nobody is told because somebody works there.
CREATE TABLE maintenance_windows (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    region_id    INTEGER REFERENCES regions (id),
    school_id    INTEGER REFERENCES schools (id),
    from_at      INTEGER NOT NULL,
    to_at        INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    cancelled_at INTEGER,
    cancelled_by TEXT,
    CHECK ((region_id IS NULL) <> (school_id IS NULL)),
    CHECK (from_at < to_at)
) STRICT;
CREATE INDEX maintenance_by_end ON maintenance_windows (to_at);

-- Ways to people: a webhook, a mail server, a robot in a group.
CREATE TABLE notification_channels (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    region_id    INTEGER REFERENCES regions (id),
    school_id    INTEGER REFERENCES schools (id),
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    -- api::notify::ChannelSettings as JSON, without secrets.
    settings     TEXT NOT NULL,
    -- Addresses with keys in them and passwords, sealed.
    secret       BLOB,
    -- The least severity of which the channel as such is told (a group's robot); NULL: only persons through it.
    tells        TEXT,
    enabled      INTEGER NOT NULL DEFAULT 1,
    updated_at   INTEGER NOT NULL,
    updated_by   TEXT NOT NULL,
    removed_at   INTEGER,
    CHECK (region_id IS NULL OR school_id IS NULL)
) STRICT;

-- How a person is reached.
CREATE TABLE notification_recipients (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    channel_id    INTEGER NOT NULL REFERENCES notification_channels (id),
    -- E-mail address, or the number that a robot calls; may be empty.
    address       TEXT NOT NULL,
    severity      TEXT NOT NULL,
    cap_per_hour  INTEGER NOT NULL,
    -- Minutes from midnight; equal: no quiet hours.
    quiet_from    INTEGER NOT NULL,
    quiet_to      INTEGER NOT NULL,
    -- Also told when it is over.
    tell_cleared  INTEGER NOT NULL DEFAULT 0,
    updated_at    INTEGER NOT NULL,
    updated_by    TEXT NOT NULL,
    UNIQUE (user_id, channel_id)
) STRICT;

-- When the next tier is told of what nobody acknowledged.
CREATE TABLE escalations (
    -- 0: the whole install.
    region_id        INTEGER PRIMARY KEY,
    critical_minutes INTEGER NOT NULL,
    warning_minutes  INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    updated_by       TEXT NOT NULL
) STRICT;

-- Each message to somebody, and what became of it.
CREATE TABLE notifications (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    channel_id    INTEGER NOT NULL REFERENCES notification_channels (id),
    user_id       INTEGER REFERENCES users (id) ON DELETE SET NULL,
    address       TEXT NOT NULL,
    -- The incident at the top; NULL: a test, or a digest of several.
    incident_id   INTEGER REFERENCES incidents (id),
    -- 'opened', 'grown', 'escalated', 'cleared', 'digest', 'test', 'order'.
    reason        TEXT NOT NULL,
    severity      TEXT NOT NULL,
    title         TEXT NOT NULL,
    text          TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    -- 'waiting', 'sent', 'failed', 'held' (beyond the cap or in quiet hours; goes out in a digest), 'digested'.
    state         TEXT NOT NULL,
    due_at        INTEGER NOT NULL,
    tries         INTEGER NOT NULL DEFAULT 0,
    last_try_at   INTEGER,
    took_ms       INTEGER,
    error         TEXT,
    sent_at       INTEGER
) STRICT;
CREATE INDEX notifications_due ON notifications (state, due_at);
CREATE INDEX notifications_by_time ON notifications (created_at);
CREATE INDEX notifications_by_incident ON notifications (incident_id, user_id);
CREATE INDEX notifications_by_person ON notifications (user_id, created_at);

INSERT INTO revisions (noun, value) VALUES ('incident', 0);
