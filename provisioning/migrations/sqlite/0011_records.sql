-- What boards noted down on their own (use, silence in exams, faults), exams, and notices to many.

-- Exams, out of the settings of lines into a table of their own. They are cancelled, never deleted: records name them.
CREATE TABLE exams (
    id           TEXT PRIMARY KEY,
    region_id    INTEGER REFERENCES regions (id),
    school_id    INTEGER REFERENCES schools (id),
    name         TEXT NOT NULL,
    from_at      INTEGER NOT NULL,
    to_at        INTEGER NOT NULL,
    -- Stretches of listening audio (contract::school::AudioWindow) as JSON.
    audio        TEXT NOT NULL DEFAULT '[]',
    -- contract::school::PinDigest as JSON; the PIN itself is nowhere.
    pin          TEXT,
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    updated_at   INTEGER NOT NULL,
    updated_by   TEXT NOT NULL,
    cancelled_at INTEGER,
    cancelled_by TEXT,
    CHECK ((region_id IS NULL) <> (school_id IS NULL)),
    CHECK (from_at < to_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX exams_by_region ON exams (region_id, to_at) WHERE region_id IS NOT NULL;
CREATE INDEX exams_by_school ON exams (school_id, to_at) WHERE school_id IS NOT NULL;
CREATE INDEX exams_by_begin ON exams (from_at);

-- In which classrooms an exam of one school is held; none: in all.
CREATE TABLE exam_classrooms (
    exam_id      TEXT NOT NULL REFERENCES exams (id),
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    PRIMARY KEY (exam_id, classroom_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX exam_classrooms_by_classroom ON exam_classrooms (classroom_id);

INSERT INTO exams (id, region_id, school_id, name, from_at, to_at, created_at, created_by, updated_at, updated_by)
    SELECT 'e-' || lower(hex(randomblob(16))), l.region_id, l.school_id, coalesce(json_extract(e.value, '$.name'), ''),
           unixepoch(json_extract(e.value, '$.from')) * 1000, unixepoch(json_extract(e.value, '$.to')) * 1000,
           l.updated_at, l.updated_by, l.updated_at, l.updated_by
      FROM lines l, json_each(l.settings, '$.exams') e
     WHERE unixepoch(json_extract(e.value, '$.from')) < unixepoch(json_extract(e.value, '$.to'));
UPDATE lines SET settings = json_remove(settings, '$.exams') WHERE json_extract(settings, '$.exams') IS NOT NULL;

-- The plan of every school in which an exam is held is made anew when it changes; so no writer can forget it.
INSERT INTO school_plans_stale (school_id)
    SELECT DISTINCT c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id WHERE true
    ON CONFLICT DO NOTHING;
CREATE TRIGGER school_plan_exam_came AFTER INSERT ON exams BEGIN
    INSERT INTO school_plans_stale (school_id)
        SELECT s.id FROM schools s WHERE s.id = NEW.school_id
            OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = NEW.region_id)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_exam_changed AFTER UPDATE OF name, from_at, to_at, audio, pin, cancelled_at ON exams
WHEN OLD.name IS NOT NEW.name OR OLD.from_at IS NOT NEW.from_at OR OLD.to_at IS NOT NEW.to_at
  OR OLD.audio IS NOT NEW.audio OR OLD.pin IS NOT NEW.pin OR OLD.cancelled_at IS NOT NEW.cancelled_at BEGIN
    INSERT INTO school_plans_stale (school_id)
        SELECT s.id FROM schools s WHERE s.id = NEW.school_id
            OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = NEW.region_id)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_exam_room_came AFTER INSERT ON exam_classrooms BEGIN
    INSERT INTO school_plans_stale (school_id) SELECT school_id FROM classrooms WHERE id = NEW.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_exam_room_left AFTER DELETE ON exam_classrooms BEGIN
    INSERT INTO school_plans_stale (school_id) SELECT school_id FROM classrooms WHERE id = OLD.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_exam_room_renamed AFTER UPDATE OF code ON classrooms
WHEN OLD.code IS NOT NEW.code AND EXISTS (SELECT 1 FROM exam_classrooms WHERE classroom_id = NEW.id) BEGIN
    INSERT INTO school_plans_stale (school_id) VALUES (NEW.school_id) ON CONFLICT DO NOTHING;
END;

-- What each board told last of each exam; a lower revision never replaces a higher one.
CREATE TABLE silences (
    device_no    INTEGER NOT NULL REFERENCES devices (device_no),
    -- As told: an exam that this console does not (or no longer) know is kept, too.
    exam_id      TEXT NOT NULL,
    -- Where the board stood when it first told of it.
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    revision     INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    -- domain::silence::Facts as JSON, worked out at receipt.
    facts        TEXT NOT NULL,
    -- contract::records::SilenceRecord as JSON.
    body         TEXT NOT NULL,
    PRIMARY KEY (device_no, exam_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX silences_by_exam ON silences (exam_id, classroom_id);

-- Days of use. A day is told as a whole and replaced by a higher revision, so it counts once however often it comes.
CREATE TABLE use_days (
    device_no    INTEGER NOT NULL REFERENCES devices (device_no),
    date         TEXT NOT NULL,
    -- Where the board stood when it first told of the day: what was used there stays there when the board goes.
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    revision     INTEGER NOT NULL,
    -- 0: the board did not know the time, so the date says nothing.
    trusted      INTEGER NOT NULL,
    first_received_at INTEGER NOT NULL,
    received_at  INTEGER NOT NULL,
    PRIMARY KEY (device_no, date)
) STRICT, WITHOUT ROWID;
CREATE INDEX use_days_by_date ON use_days (date, classroom_id);
CREATE INDEX use_days_by_classroom ON use_days (classroom_id, date);
CREATE INDEX use_days_undated ON use_days (first_received_at) WHERE trusted = 0;

CREATE TABLE use_lessons (
    device_no INTEGER NOT NULL,
    date      TEXT NOT NULL,
    -- '': a teacher's own disk, and what is beyond the list.
    lesson_id TEXT NOT NULL,
    subject   TEXT NOT NULL,
    opens     INTEGER NOT NULL,
    finished  INTEGER NOT NULL,
    seconds   INTEGER NOT NULL,
    PRIMARY KEY (device_no, date, lesson_id, subject),
    FOREIGN KEY (device_no, date) REFERENCES use_days (device_no, date) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX use_lessons_by_lesson ON use_lessons (lesson_id, date);

CREATE TABLE use_periods (
    device_no      INTEGER NOT NULL,
    date           TEXT NOT NULL,
    number         INTEGER NOT NULL,
    subject        TEXT NOT NULL,
    planned        TEXT,
    opened         INTEGER NOT NULL,
    planned_opened INTEGER NOT NULL,
    PRIMARY KEY (device_no, date, number),
    FOREIGN KEY (device_no, date) REFERENCES use_days (device_no, date) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Faults that somebody reported at a board (报修), and how their repair stands.
CREATE TABLE faults (
    id           TEXT PRIMARY KEY,
    device_no    INTEGER NOT NULL REFERENCES devices (device_no),
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    class        TEXT NOT NULL,
    symptom      TEXT NOT NULL,
    lesson_id    TEXT,
    -- By the board's clock, where it could be believed.
    at           INTEGER,
    received_at  INTEGER NOT NULL,
    state        TEXT NOT NULL,
    note         TEXT NOT NULL DEFAULT '',
    since        INTEGER NOT NULL,
    -- Highest number of a confirmation that counted.
    confirmed_no INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX faults_by_device ON faults (device_no, received_at);
CREATE INDEX faults_by_time ON faults (received_at);
CREATE INDEX faults_open ON faults (state, received_at);

CREATE TABLE fault_history (
    fault_id TEXT NOT NULL REFERENCES faults (id),
    n        INTEGER NOT NULL,
    state    TEXT NOT NULL,
    note     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    -- NULL: said at the board.
    by       TEXT,
    PRIMARY KEY (fault_id, n)
) STRICT, WITHOUT ROWID;

-- Each word of a board on a repair, so that a repetition changes nothing.
CREATE TABLE fault_confirmations (
    fault_id    TEXT NOT NULL REFERENCES faults (id),
    number      INTEGER NOT NULL,
    fixed       INTEGER NOT NULL,
    at          INTEGER,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (fault_id, number)
) STRICT, WITHOUT ROWID;

-- Notices to many boards; each board gets a command of its own.
CREATE TABLE notices (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- api::pushes::PushTarget list as JSON.
    targets    TEXT NOT NULL,
    level      TEXT NOT NULL,
    title      TEXT NOT NULL,
    text       TEXT NOT NULL,
    show_for_s INTEGER NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    issued_by  TEXT NOT NULL
) STRICT;
CREATE INDEX notices_by_person ON notices (issued_by, issued_at);
CREATE TABLE notice_devices (
    notice_id    INTEGER NOT NULL REFERENCES notices (id),
    device_no    INTEGER NOT NULL REFERENCES devices (device_no),
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    command_id   TEXT NOT NULL REFERENCES commands (id),
    PRIMARY KEY (notice_id, device_no)
) STRICT, WITHOUT ROWID;
