-- Work orders (工单), areas of responsibility, equipment, inspections and spare parts. Instants are milliseconds since 1970 UTC,
-- dates ISO text. Nothing here names a person but accounts of operators.

-- Areas (包区): schools and who looks after them. Tier 0 comes first; what is overdue climbs to the next one.
CREATE TABLE areas (
    id         INTEGER PRIMARY KEY,
    -- The region whose schools it may hold.
    region_id  INTEGER NOT NULL REFERENCES regions (id),
    name       TEXT NOT NULL,
    -- Maintainer's company or team, for the evidence pack.
    vendor     TEXT NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    UNIQUE (region_id, name)
) STRICT;
CREATE TABLE area_schools (
    school_id INTEGER PRIMARY KEY REFERENCES schools (id),
    area_id   INTEGER NOT NULL REFERENCES areas (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX area_schools_by_area ON area_schools (area_id);
CREATE TABLE area_people (
    area_id INTEGER NOT NULL REFERENCES areas (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tier    INTEGER NOT NULL DEFAULT 0 CHECK (tier BETWEEN 0 AND 3),
    PRIMARY KEY (area_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX area_people_by_user ON area_people (user_id);

-- What stands where, managed or not, and who answers for it.
CREATE TABLE assets (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    school_id      INTEGER NOT NULL REFERENCES schools (id),
    -- NULL: the school's, in no classroom.
    classroom_id   INTEGER REFERENCES classrooms (id),
    -- The managed device that it is.
    device_no      INTEGER UNIQUE REFERENCES devices (device_no),
    -- domain::assets::Kind.
    kind           TEXT NOT NULL,
    -- 资产编号; unique within the school where there is one.
    tag            TEXT NOT NULL DEFAULT '',
    brand          TEXT NOT NULL DEFAULT '',
    model          TEXT NOT NULL DEFAULT '',
    serial         TEXT NOT NULL DEFAULT '',
    interactive    INTEGER NOT NULL DEFAULT 0,
    owner          TEXT NOT NULL DEFAULT '',
    builder        TEXT NOT NULL DEFAULT '',
    maintainer     TEXT NOT NULL DEFAULT '',
    bought_on      TEXT,
    warranty_until TEXT,
    note           TEXT NOT NULL DEFAULT '',
    retired_at     INTEGER,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    updated_by     TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX assets_by_tag ON assets (school_id, tag) WHERE tag <> '' AND retired_at IS NULL;
CREATE INDEX assets_by_classroom ON assets (classroom_id);
CREATE INDEX assets_by_serial ON assets (school_id, serial) WHERE serial <> '';

-- Every managed device is in the ledger, whoever brings it: so no writer can forget it.
INSERT INTO assets (school_id, classroom_id, device_no, kind, model, serial, interactive, owner, builder, maintainer, created_at,
                    updated_at, updated_by)
    SELECT c.school_id, c.id, d.device_no, 'terminal', d.board, d.serial, 1, c.owner, c.builder, c.maintainer, d.enrolled_at,
           d.enrolled_at, 'console'
      FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE d.replaced_at IS NULL;
-- A line that was entered by hand with this serial at this school becomes the device's.
CREATE TRIGGER asset_device_came AFTER INSERT ON devices BEGIN
    UPDATE assets SET device_no = NEW.device_no, classroom_id = NEW.classroom_id, updated_at = NEW.enrolled_at, updated_by = 'console'
     WHERE id = (SELECT a.id FROM assets a JOIN classrooms c ON c.school_id = a.school_id
                  WHERE c.id = NEW.classroom_id AND a.device_no IS NULL AND a.retired_at IS NULL
                    AND a.serial = NEW.serial AND NEW.serial <> '' ORDER BY a.id LIMIT 1);
    INSERT INTO assets (school_id, classroom_id, device_no, kind, model, serial, interactive, owner, builder, maintainer,
                        created_at, updated_at, updated_by)
        SELECT c.school_id, c.id, NEW.device_no, 'terminal', NEW.board, NEW.serial, 1, c.owner, c.builder, c.maintainer,
               NEW.enrolled_at, NEW.enrolled_at, 'console'
          FROM classrooms c WHERE c.id = NEW.classroom_id
           AND NOT EXISTS (SELECT 1 FROM assets WHERE device_no = NEW.device_no);
END;
CREATE TRIGGER asset_device_moved AFTER UPDATE OF classroom_id ON devices WHEN OLD.classroom_id IS NOT NEW.classroom_id BEGIN
    -- A tag of the old school may be taken at the new one.
    UPDATE assets SET classroom_id = NEW.classroom_id,
        tag = CASE WHEN school_id = (SELECT school_id FROM classrooms WHERE id = NEW.classroom_id) THEN tag ELSE '' END,
        school_id = (SELECT school_id FROM classrooms WHERE id = NEW.classroom_id)
     WHERE device_no = NEW.device_no;
END;
-- What is written of a device that was enrolled anew goes on to its successor.
CREATE TRIGGER asset_device_replaced AFTER UPDATE OF replaced_at ON devices
WHEN OLD.replaced_at IS NULL AND NEW.replaced_at IS NOT NULL BEGIN
    UPDATE assets SET retired_at = NEW.replaced_at WHERE device_no = NEW.device_no AND retired_at IS NULL;
    UPDATE assets SET
        owner = (SELECT o.owner FROM assets o WHERE o.device_no = NEW.device_no),
        builder = (SELECT o.builder FROM assets o WHERE o.device_no = NEW.device_no),
        maintainer = (SELECT o.maintainer FROM assets o WHERE o.device_no = NEW.device_no),
        tag = (SELECT o.tag FROM assets o WHERE o.device_no = NEW.device_no),
        brand = (SELECT o.brand FROM assets o WHERE o.device_no = NEW.device_no),
        bought_on = (SELECT o.bought_on FROM assets o WHERE o.device_no = NEW.device_no),
        warranty_until = (SELECT o.warranty_until FROM assets o WHERE o.device_no = NEW.device_no)
     WHERE bought_on IS NULL AND tag = ''
       AND EXISTS (SELECT 1 FROM assets o WHERE o.device_no = NEW.device_no AND o.school_id = assets.school_id)
       AND device_no = (SELECT d.device_no FROM devices d WHERE d.serial = NEW.serial AND d.serial <> ''
                           AND d.replaced_at IS NULL AND d.device_no > NEW.device_no
                         ORDER BY d.device_no DESC LIMIT 1);
END;

-- The code on a classroom's wall (墙上二维码). Whoever has it can report a fault there, and nothing else.
CREATE TABLE classroom_codes (
    code         TEXT PRIMARY KEY,
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX classroom_codes_now ON classroom_codes (classroom_id) WHERE revoked_at IS NULL;

-- Work orders. kind: 'repair' (维修) or 'rectification' (网络安全整改).
CREATE TABLE orders (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT NOT NULL DEFAULT 'repair' CHECK (kind IN ('repair', 'rectification')),
    -- 'incident', 'fault', 'qr', 'hand', 'inspection'.
    source          TEXT NOT NULL,
    -- The reported fault; several orders only when a repair failed after its time to be opened again.
    fault_id        TEXT REFERENCES faults (id),
    -- Row of the incidents of alerts, one order for each.
    incident_id     INTEGER UNIQUE,
    school_id       INTEGER NOT NULL REFERENCES schools (id),
    classroom_id    INTEGER REFERENCES classrooms (id),
    device_no       INTEGER REFERENCES devices (device_no),
    asset_id        INTEGER REFERENCES assets (id),
    -- 'infrastructure' 基础设施, 'application' 应用系统, 'resource' 教育资源.
    class           TEXT NOT NULL,
    -- contract::records::FaultClass in its words; '' for a rectification.
    fault_class     TEXT NOT NULL DEFAULT '',
    symptom         TEXT NOT NULL DEFAULT '',
    title           TEXT NOT NULL DEFAULT '',
    text            TEXT NOT NULL DEFAULT '',
    urgent          INTEGER NOT NULL DEFAULT 0,
    owner           TEXT NOT NULL DEFAULT '',
    builder         TEXT NOT NULL DEFAULT '',
    maintainer      TEXT NOT NULL DEFAULT '',
    area_id         INTEGER REFERENCES areas (id) ON DELETE SET NULL,
    assigned_to     INTEGER REFERENCES users (id) ON DELETE SET NULL,
    state           TEXT NOT NULL DEFAULT 'new',
    -- Since when it stands so.
    since           INTEGER NOT NULL,
    opened_at       INTEGER NOT NULL,
    opened_by       TEXT,
    -- First time each; a repair that failed begins its repair clock anew (round).
    accepted_at     INTEGER,
    on_site_at      INTEGER,
    repaired_at     INTEGER,
    confirmed_at    INTEGER,
    ended_at        INTEGER,
    round           INTEGER NOT NULL DEFAULT 1,
    round_since     INTEGER NOT NULL,
    -- Who did the repair, for the figures of technicians.
    repaired_by     TEXT,
    -- What the SLA allows; NULL until worked out by the school's hours.
    respond_due     INTEGER,
    repair_due      INTEGER,
    -- Measured between events: seconds on the wall and seconds of class hours.
    response_wall_s INTEGER,
    response_class_s INTEGER,
    repair_wall_s   INTEGER,
    repair_class_s  INTEGER,
    -- How often it climbed, and since when.
    tier            INTEGER NOT NULL DEFAULT 0,
    climbed_at      INTEGER,
    -- Of a rectification: what the notice demands by when.
    due_on          TEXT
) STRICT;
CREATE INDEX orders_by_state ON orders (state, opened_at);
CREATE INDEX orders_by_school ON orders (school_id, opened_at);
CREATE INDEX orders_by_time ON orders (opened_at);
CREATE INDEX orders_by_person ON orders (assigned_to, state);
CREATE INDEX orders_by_fault ON orders (fault_id) WHERE fault_id IS NOT NULL;
CREATE INDEX orders_by_device ON orders (device_no) WHERE device_no IS NOT NULL;

CREATE TABLE order_events (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    n        INTEGER NOT NULL,
    -- domain::orders::Act in its words.
    act      TEXT NOT NULL,
    -- How it stands after it.
    state    TEXT NOT NULL,
    at       INTEGER NOT NULL,
    -- 'user', 'board', 'qr', 'console'.
    by_kind  TEXT NOT NULL,
    by       TEXT NOT NULL DEFAULT '',
    note     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (order_id, n)
) STRICT, WITHOUT ROWID;

-- Photos, re-encoded and without what cameras add; the file is named by its hash.
CREATE TABLE order_photos (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    order_id   INTEGER NOT NULL REFERENCES orders (id),
    -- BLAKE3 of the kept file.
    hash       TEXT NOT NULL,
    -- 'fault', 'repair', 'evidence'.
    shows      TEXT NOT NULL,
    width      INTEGER NOT NULL,
    height     INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    added_at   INTEGER NOT NULL,
    added_by   TEXT NOT NULL,
    UNIQUE (order_id, hash)
) STRICT;

-- Spare parts: a ledger, whose sum is the stock.
CREATE TABLE parts (
    id        INTEGER PRIMARY KEY,
    region_id INTEGER NOT NULL REFERENCES regions (id),
    code      TEXT NOT NULL,
    name      TEXT NOT NULL,
    unit      TEXT NOT NULL DEFAULT '件',
    low_at    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (region_id, code)
) STRICT;
CREATE TABLE part_moves (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    part_id  INTEGER NOT NULL REFERENCES parts (id),
    -- NULL: bought, counted, thrown away.
    order_id INTEGER REFERENCES orders (id),
    -- Positive: into the stock.
    change   INTEGER NOT NULL CHECK (change <> 0),
    at       INTEGER NOT NULL,
    by       TEXT NOT NULL,
    note     TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX part_moves_by_part ON part_moves (part_id);
CREATE INDEX part_moves_by_order ON part_moves (order_id) WHERE order_id IS NOT NULL;

-- What a region allows itself, over the built-in figures (data/order-slas.toml); nearest region first.
CREATE TABLE order_slas (
    region_id   INTEGER NOT NULL REFERENCES regions (id),
    class       TEXT NOT NULL,
    urgent      INTEGER NOT NULL,
    -- 'class' hours or the 'wall'.
    clock       TEXT NOT NULL CHECK (clock IN ('class', 'wall')),
    respond_min INTEGER NOT NULL,
    repair_min  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    updated_by  TEXT NOT NULL,
    PRIMARY KEY (region_id, class, urgent)
) STRICT, WITHOUT ROWID;

-- Inspections (巡检): of each device by the console each day, and of classrooms by people.
CREATE TABLE inspections (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- 'automatic' or 'human'.
    kind         TEXT NOT NULL,
    date         TEXT NOT NULL,
    school_id    INTEGER NOT NULL REFERENCES schools (id),
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    device_no    INTEGER REFERENCES devices (device_no),
    -- 'pass', 'fail', 'unknown'.
    result       TEXT NOT NULL,
    -- api::orders::InspectionItem list as JSON.
    items        TEXT NOT NULL,
    note         TEXT NOT NULL DEFAULT '',
    at           INTEGER NOT NULL,
    by           TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX inspections_automatic ON inspections (device_no, date) WHERE kind = 'automatic';
CREATE INDEX inspections_by_date ON inspections (date, school_id);
CREATE INDEX inspections_by_classroom ON inspections (classroom_id, date);

INSERT INTO revisions (noun, value) VALUES ('order', 0);

-- Faults that are open already get their order.
INSERT INTO orders (source, fault_id, school_id, classroom_id, device_no, class, fault_class, symptom, owner, builder, maintainer,
                    state, since, opened_at, round_since)
    SELECT 'fault', f.id, c.school_id, c.id, f.device_no,
           CASE f.class WHEN 'software' THEN 'application' WHEN 'lesson' THEN 'resource' ELSE 'infrastructure' END,
           f.class, f.symptom, c.owner, c.builder, c.maintainer,
           CASE f.state WHEN 'under_way' THEN 'accepted' WHEN 'fixed' THEN 'repaired' WHEN 'reopened' THEN 'reopened' ELSE 'new' END,
           f.since, f.received_at, f.received_at
      FROM faults f JOIN classrooms c ON c.id = f.classroom_id
     WHERE f.state NOT IN ('confirmed', 'closed') ORDER BY f.received_at, f.id;
INSERT INTO order_events (order_id, n, act, state, at, by_kind, note)
    SELECT id, 1, 'opened', state, opened_at, 'board', '' FROM orders;
