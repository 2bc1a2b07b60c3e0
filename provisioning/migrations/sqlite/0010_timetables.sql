-- Timetables, the calendar they hold in, planned lessons, and the plan of each board's classroom. Dates are ISO text by the
-- school's calendar; instants are milliseconds since 1970 UTC. Nothing here names a person but accounts of operators.

-- A classroom's week, as JSON (a list of api::timetables::TimetablePeriod): it is read and replaced as a whole.
CREATE TABLE timetables (
    classroom_id INTEGER PRIMARY KEY REFERENCES classrooms (id),
    periods      TEXT NOT NULL,
    updated_at   INTEGER NOT NULL,
    updated_by   TEXT NOT NULL
) STRICT;

-- Term, bells, days off, help card, as JSON (api::timetables::CalendarSettings); what is not said comes from the region above,
-- nearest first. The technician's PIN is a contract::school::PinDigest; the PIN itself is nowhere.
CREATE TABLE calendars (
    id             INTEGER PRIMARY KEY,
    region_id      INTEGER UNIQUE REFERENCES regions (id),
    school_id      INTEGER UNIQUE REFERENCES schools (id),
    settings       TEXT NOT NULL,
    technician_pin TEXT,
    updated_at     INTEGER NOT NULL,
    updated_by     TEXT NOT NULL,
    CHECK ((region_id IS NULL) <> (school_id IS NULL))
) STRICT;

-- Which lesson is taught when. A board of the classroom should hold it while stage is 0 (its day is to come, so it is needed by
-- then) or 1 (its day is over, and the lesson is kept for a while).
CREATE TABLE planned_lessons (
    classroom_id INTEGER NOT NULL REFERENCES classrooms (id),
    date         TEXT NOT NULL,
    number       INTEGER NOT NULL,
    lesson_id    TEXT NOT NULL REFERENCES lessons (id),
    -- When the period begins, by the timetable as it is now.
    needed_by    INTEGER NOT NULL,
    stage        INTEGER NOT NULL DEFAULT 0 CHECK (stage IN (0, 1, 2)),
    created_at   INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    PRIMARY KEY (classroom_id, date, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX planned_lessons_by_lesson ON planned_lessons (lesson_id, stage);
CREATE INDEX planned_lessons_by_date ON planned_lessons (stage, date);

-- The newest plan of each board (contract::classroom::ClassroomPlan as JSON), and which was given to it.
CREATE TABLE classroom_plans (
    board      INTEGER PRIMARY KEY REFERENCES devices (device_no),
    generation INTEGER NOT NULL,
    issued_at  INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE TABLE classroom_plans_told (
    device_no  INTEGER PRIMARY KEY REFERENCES devices (device_no),
    board      INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    told_at    INTEGER NOT NULL
) STRICT;
-- Boards whose plan has to be worked out again. Triggers fill it, each with no more boards than a change is about.
CREATE TABLE classroom_plans_stale (
    board  INTEGER PRIMARY KEY REFERENCES devices (device_no),
    -- A new generation even if nothing in it changed.
    forced INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices;

CREATE TRIGGER classroom_plan_device_came AFTER INSERT ON devices BEGIN
    INSERT INTO classroom_plans_stale (board) VALUES (NEW.device_no) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_device_changed AFTER UPDATE OF classroom_id, standing, replaced_at ON devices
WHEN OLD.classroom_id IS NOT NEW.classroom_id OR OLD.standing IS NOT NEW.standing OR OLD.replaced_at IS NOT NEW.replaced_at
BEGIN
    INSERT INTO classroom_plans_stale (board) VALUES (NEW.device_no) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_classroom_changed AFTER UPDATE OF school_id, code ON classrooms
WHEN OLD.school_id IS NOT NEW.school_id OR OLD.code IS NOT NEW.code BEGIN
    INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices WHERE classroom_id = NEW.id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_school_changed AFTER UPDATE OF code, region_id ON schools
WHEN OLD.code IS NOT NEW.code OR OLD.region_id IS NOT NEW.region_id BEGIN
    INSERT INTO classroom_plans_stale (board)
        SELECT d.device_no FROM classrooms c JOIN devices d ON d.classroom_id = c.id WHERE c.school_id = NEW.id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_timetable_came AFTER INSERT ON timetables BEGIN
    INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices WHERE classroom_id = NEW.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_timetable_changed AFTER UPDATE OF periods ON timetables
WHEN OLD.periods IS NOT NEW.periods BEGIN
    INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices WHERE classroom_id = NEW.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_timetable_went AFTER DELETE ON timetables BEGIN
    INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices WHERE classroom_id = OLD.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_calendar_came AFTER INSERT ON calendars BEGIN
    INSERT INTO classroom_plans_stale (board)
        SELECT d.device_no FROM schools s JOIN classrooms c ON c.school_id = s.id JOIN devices d ON d.classroom_id = c.id
         WHERE s.id = NEW.school_id
            OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = NEW.region_id)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_calendar_changed AFTER UPDATE OF settings, technician_pin ON calendars
WHEN OLD.settings IS NOT NEW.settings OR OLD.technician_pin IS NOT NEW.technician_pin BEGIN
    INSERT INTO classroom_plans_stale (board)
        SELECT d.device_no FROM schools s JOIN classrooms c ON c.school_id = s.id JOIN devices d ON d.classroom_id = c.id
         WHERE s.id = NEW.school_id
            OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = NEW.region_id)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_lesson_planned AFTER INSERT ON planned_lessons BEGIN
    INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices WHERE classroom_id = NEW.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_lesson_moved AFTER UPDATE OF lesson_id ON planned_lessons
WHEN OLD.lesson_id IS NOT NEW.lesson_id BEGIN
    INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices WHERE classroom_id = NEW.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER classroom_plan_lesson_taken_back AFTER DELETE ON planned_lessons BEGIN
    INSERT INTO classroom_plans_stale (board) SELECT device_no FROM devices WHERE classroom_id = OLD.classroom_id
        ON CONFLICT DO NOTHING;
END;
