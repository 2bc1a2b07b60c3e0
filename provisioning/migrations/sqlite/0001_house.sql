-- The console's first tables. Instants are milliseconds since 1970 UTC; ids that people see are text.

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    username      TEXT NOT NULL UNIQUE,
    display_name  TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    language      TEXT NOT NULL DEFAULT 'zh-CN',
    created_at    INTEGER NOT NULL
) STRICT;

-- A session is named by the hash of its cookie, so a copy of this file lets nobody in.
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE regions (
    id        INTEGER PRIMARY KEY,
    parent_id INTEGER REFERENCES regions (id),
    kind      TEXT NOT NULL CHECK (kind IN ('province', 'city', 'county', 'township')),
    name      TEXT NOT NULL,
    code      TEXT UNIQUE
) STRICT;
CREATE UNIQUE INDEX regions_by_name ON regions (coalesce(parent_id, 0), name);

-- Every region with each of its ancestors and itself; regions never move, so it only grows.
CREATE TABLE region_closure (
    ancestor   INTEGER NOT NULL REFERENCES regions (id),
    descendant INTEGER NOT NULL REFERENCES regions (id),
    PRIMARY KEY (ancestor, descendant)
) STRICT, WITHOUT ROWID;
CREATE INDEX region_closure_up ON region_closure (descendant, ancestor);

CREATE TABLE schools (
    id        INTEGER PRIMARY KEY,
    region_id INTEGER NOT NULL REFERENCES regions (id),
    code      TEXT NOT NULL UNIQUE,
    name      TEXT NOT NULL,
    kind      TEXT NOT NULL CHECK (kind IN ('school', 'teaching_point'))
) STRICT;
CREATE INDEX schools_by_region ON schools (region_id);

CREATE TABLE classrooms (
    id        INTEGER PRIMARY KEY,
    school_id INTEGER NOT NULL REFERENCES schools (id),
    code      TEXT NOT NULL,
    name      TEXT NOT NULL,
    grade     TEXT NOT NULL DEFAULT '',
    UNIQUE (school_id, code)
) STRICT;

CREATE TABLE devices (
    device_no            INTEGER PRIMARY KEY,
    id                   TEXT NOT NULL UNIQUE,
    classroom_id         INTEGER NOT NULL REFERENCES classrooms (id),
    serial               TEXT NOT NULL,
    board                TEXT NOT NULL,
    agent_version        TEXT NOT NULL,
    certificate_serial   TEXT NOT NULL,
    enrolled_at          INTEGER NOT NULL,
    -- Set when a later enrolment of the same board in the same classroom took its place.
    replaced_at          INTEGER,
    -- NULL: not heard of since the console started.
    online               INTEGER,
    last_seen_at         INTEGER,
    boot_id              TEXT,
    -- What the device said last (DeviceReport).
    report_generation    INTEGER NOT NULL DEFAULT 0,
    held_generation      INTEGER NOT NULL DEFAULT 0,
    player_urls          TEXT NOT NULL DEFAULT '[]',
    disk_total_bytes     INTEGER,
    disk_free_bytes      INTEGER,
    disk_lesson_bytes    INTEGER,
    -- What it should hold: owed while published < wanted, whatever the broker remembers.
    wanted_generation    INTEGER NOT NULL DEFAULT 0,
    published_generation INTEGER NOT NULL DEFAULT 0,
    published_at         INTEGER,
    -- Newest sample, copied here so that a list of devices needs no other table.
    latest_at            INTEGER,
    cpu_percent          REAL,
    memory_percent       REAL,
    temperature_celsius  REAL,
    -- Samples the device dropped unsent, by its own word; payloads it sent in another's name.
    dropped_total        INTEGER NOT NULL DEFAULT 0,
    misuse               INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX devices_by_classroom ON devices (classroom_id);
CREATE INDEX devices_by_serial ON devices (serial);

CREATE TABLE tickets (
    id              INTEGER PRIMARY KEY,
    code_hash       BLOB NOT NULL UNIQUE,
    classroom_id    INTEGER NOT NULL REFERENCES classrooms (id),
    console_url     TEXT NOT NULL,
    broker_host     TEXT NOT NULL,
    broker_port     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    revoked_at      INTEGER,
    used_at         INTEGER,
    -- Who used it and what it got, so that a device whose answer was lost on the way gets the same one again.
    device_id       TEXT,
    key_hash        BLOB,
    certificate_pem TEXT
) STRICT;

CREATE TABLE lessons (
    id             TEXT PRIMARY KEY,
    latest_version INTEGER NOT NULL,
    retired_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE lesson_versions (
    lesson_id      TEXT NOT NULL REFERENCES lessons (id),
    version        INTEGER NOT NULL,
    -- BLAKE3 of the signed manifest document, its name in the object store.
    manifest_hash  TEXT NOT NULL,
    -- Hash over meta, items and files, without version and time: equal means "unchanged".
    content_digest TEXT NOT NULL,
    size_bytes     INTEGER NOT NULL,
    title          TEXT NOT NULL,
    stage          TEXT NOT NULL,
    subject        TEXT NOT NULL,
    edition        TEXT NOT NULL,
    grade          TEXT NOT NULL,
    volume         TEXT NOT NULL,
    chapter        TEXT NOT NULL,
    period         TEXT NOT NULL,
    items          TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (lesson_id, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX lesson_versions_by_manifest ON lesson_versions (manifest_hash);

CREATE TABLE lesson_files (
    lesson_id  TEXT NOT NULL,
    version    INTEGER NOT NULL,
    path       TEXT NOT NULL,
    hash       TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    PRIMARY KEY (lesson_id, version, path),
    FOREIGN KEY (lesson_id, version) REFERENCES lesson_versions (lesson_id, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX lesson_files_by_hash ON lesson_files (hash);

-- "These lessons to this node of the tree", standing until withdrawn.
CREATE TABLE pushes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    target_kind  TEXT NOT NULL CHECK (target_kind IN ('region', 'school', 'classroom', 'device')),
    -- Row id in the table of that kind (devices: device_no).
    target_id    INTEGER NOT NULL,
    pinned       INTEGER NOT NULL,
    needed_by    INTEGER,
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    withdrawn_at INTEGER
) STRICT;
CREATE INDEX pushes_by_target ON pushes (target_kind, target_id);

CREATE TABLE push_lessons (
    push_id   INTEGER NOT NULL REFERENCES pushes (id),
    position  INTEGER NOT NULL,
    lesson_id TEXT NOT NULL REFERENCES lessons (id),
    PRIMARY KEY (push_id, position),
    UNIQUE (push_id, lesson_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_lessons_by_lesson ON push_lessons (lesson_id);

-- Which devices a push covers now, withdrawn or not.
CREATE VIEW push_devices AS
    SELECT p.id AS push_id, d.device_no
      FROM pushes p JOIN devices d ON d.device_no = p.target_id
     WHERE p.target_kind = 'device' AND d.replaced_at IS NULL
    UNION ALL
    SELECT p.id, d.device_no
      FROM pushes p JOIN devices d ON d.classroom_id = p.target_id
     WHERE p.target_kind = 'classroom' AND d.replaced_at IS NULL
    UNION ALL
    SELECT p.id, d.device_no
      FROM pushes p JOIN classrooms c ON c.school_id = p.target_id JOIN devices d ON d.classroom_id = c.id
     WHERE p.target_kind = 'school' AND d.replaced_at IS NULL
    UNION ALL
    SELECT p.id, d.device_no
      FROM pushes p
      JOIN region_closure rc ON rc.ancestor = p.target_id
      JOIN schools s ON s.region_id = rc.descendant
      JOIN classrooms c ON c.school_id = s.id
      JOIN devices d ON d.classroom_id = c.id
     WHERE p.target_kind = 'region' AND d.replaced_at IS NULL;

-- What each device should hold: the pushes covering it, worked out. devices.wanted_generation counts its changes.
CREATE TABLE assigned_lessons (
    device_no     INTEGER NOT NULL REFERENCES devices (device_no),
    position      INTEGER NOT NULL,
    lesson_id     TEXT NOT NULL,
    version       INTEGER NOT NULL,
    manifest_hash TEXT NOT NULL,
    size_bytes    INTEGER NOT NULL,
    pinned        INTEGER NOT NULL,
    needed_by     INTEGER,
    PRIMARY KEY (device_no, lesson_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX assigned_lessons_by_lesson ON assigned_lessons (lesson_id, version);

-- What each device holds by its own word.
CREATE TABLE device_lessons (
    device_no   INTEGER NOT NULL REFERENCES devices (device_no),
    lesson_id   TEXT NOT NULL,
    version     INTEGER NOT NULL,
    state       TEXT NOT NULL,
    done_bytes  INTEGER,
    total_bytes INTEGER,
    reason      TEXT,
    detail      TEXT,
    retrying    INTEGER,
    PRIMARY KEY (device_no, lesson_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
    id         TEXT PRIMARY KEY,
    device_no  INTEGER NOT NULL REFERENCES devices (device_no),
    body       TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    issued_by  TEXT NOT NULL,
    state      TEXT NOT NULL,
    -- 0: only the console has spoken; 1 to 3: the device's word (contract: CommandState::rank).
    rank       INTEGER NOT NULL DEFAULT 0,
    reason     TEXT,
    updated_at INTEGER NOT NULL,
    sent_at    INTEGER
) STRICT;
CREATE INDEX commands_by_device ON commands (device_no, issued_at);
CREATE INDEX commands_open ON commands (rank, state);

CREATE TABLE command_history (
    command_id TEXT NOT NULL REFERENCES commands (id),
    n          INTEGER NOT NULL,
    state      TEXT NOT NULL,
    reason     TEXT,
    at         INTEGER NOT NULL,
    PRIMARY KEY (command_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE boots (
    boot_no         INTEGER PRIMARY KEY,
    device_no       INTEGER NOT NULL REFERENCES devices (device_no),
    boot_id         TEXT NOT NULL,
    first_seen_at   INTEGER NOT NULL,
    -- All samples up to here are stored or were declared forgotten; what the device is told it may forget.
    contiguous_seq  INTEGER NOT NULL DEFAULT 0,
    forgotten_up_to INTEGER NOT NULL DEFAULT 0,
    UNIQUE (device_no, boot_id)
) STRICT;

-- Keyed in the order of time, so that inserts append.
CREATE TABLE samples (
    device_no               INTEGER NOT NULL,
    boot_no                 INTEGER NOT NULL REFERENCES boots (boot_no),
    seq                     INTEGER NOT NULL,
    at                      INTEGER NOT NULL,
    received_at             INTEGER NOT NULL,
    uptime_ms               INTEGER NOT NULL,
    wall_time               INTEGER,
    cpu_percent             REAL,
    load_1m                 REAL,
    memory_total_bytes      INTEGER,
    memory_available_bytes  INTEGER,
    memory_pressure_percent REAL,
    io_pressure_percent     REAL,
    disk_total_bytes        INTEGER,
    disk_free_bytes         INTEGER,
    disk_free_inodes        INTEGER,
    emmc_wear_percent       INTEGER,
    temperature_celsius     REAL,
    network_rx_bytes        INTEGER,
    network_tx_bytes        INTEGER,
    link_mbps               INTEGER,
    agent_rss_bytes         INTEGER,
    lessons_ready           INTEGER,
    lessons_assigned        INTEGER,
    fetched_bytes           INTEGER,
    PRIMARY KEY (device_no, boot_no, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX samples_by_time ON samples (device_no, at);
CREATE INDEX samples_by_receipt ON samples (received_at);

CREATE TABLE ingest_rejects (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    topic  TEXT NOT NULL,
    reason TEXT NOT NULL,
    device TEXT
) STRICT;

-- Counts up with every change of a noun by any process, so that `serve` notices what an admin subcommand did.
CREATE TABLE revisions (
    noun  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO revisions (noun, value) VALUES ('tree', 0), ('device', 0), ('lesson', 0), ('push', 0), ('ticket', 0);
