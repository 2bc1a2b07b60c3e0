-- The school's line, the plan that its boards share, and what was said of when lessons arrive.

-- Settings of a line, as JSON (api::lines::LineSettings); what is not said comes from the region above, nearest first.
CREATE TABLE lines (
    id          INTEGER PRIMARY KEY,
    region_id   INTEGER UNIQUE REFERENCES regions (id),
    school_id   INTEGER UNIQUE REFERENCES schools (id),
    settings    TEXT NOT NULL,
    measured_at INTEGER,
    measured_by TEXT,
    updated_at  INTEGER NOT NULL,
    updated_by  TEXT NOT NULL,
    CHECK ((region_id IS NULL) <> (school_id IS NULL))
) STRICT;

-- What devices say of themselves: contract::report::PeerDoor and TrustedKey as JSON, HeldBack as a word.
ALTER TABLE devices ADD COLUMN peer_door TEXT;
ALTER TABLE devices ADD COLUMN held_back TEXT;
ALTER TABLE devices ADD COLUMN author_key TEXT;
-- An operator lets it sign its school's own lessons.
ALTER TABLE devices ADD COLUMN author INTEGER NOT NULL DEFAULT 0;
-- Why its assignment could not be given to the broker; NULL: it could.
ALTER TABLE devices ADD COLUMN undeliverable TEXT;

-- The newest plan of each school (contract::school::SchoolPlan as JSON), and to whom which was given.
CREATE TABLE school_plans (
    school_id  INTEGER PRIMARY KEY REFERENCES schools (id),
    generation INTEGER NOT NULL,
    issued_at  INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE TABLE school_plans_told (
    device_no  INTEGER PRIMARY KEY REFERENCES devices (device_no),
    school_id  INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    told_at    INTEGER NOT NULL
) STRICT;
-- Schools whose plan has to be worked out again. Triggers fill it, so no change, by whatever way, can forget it.
CREATE TABLE school_plans_stale (
    school_id INTEGER PRIMARY KEY REFERENCES schools (id),
    -- A new generation even if nothing in it changed.
    forced    INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO school_plans_stale (school_id) SELECT DISTINCT c.school_id FROM devices d JOIN classrooms c ON c.id = d.classroom_id;

CREATE TRIGGER school_plan_device_came AFTER INSERT ON devices BEGIN
    INSERT INTO school_plans_stale (school_id) SELECT school_id FROM classrooms WHERE id = NEW.classroom_id
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_device_changed
AFTER UPDATE OF classroom_id, standing, replaced_at, peer_door, author_key, author ON devices
WHEN OLD.classroom_id IS NOT NEW.classroom_id OR OLD.standing IS NOT NEW.standing OR OLD.replaced_at IS NOT NEW.replaced_at
  OR OLD.peer_door IS NOT NEW.peer_door OR OLD.author_key IS NOT NEW.author_key OR OLD.author IS NOT NEW.author
BEGIN
    INSERT INTO school_plans_stale (school_id)
        SELECT DISTINCT school_id FROM classrooms WHERE id IN (OLD.classroom_id, NEW.classroom_id)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_classroom_changed AFTER UPDATE OF school_id ON classrooms
WHEN OLD.school_id IS NOT NEW.school_id BEGIN
    INSERT INTO school_plans_stale (school_id) SELECT id FROM schools WHERE id IN (OLD.school_id, NEW.school_id)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_school_changed AFTER UPDATE OF code, region_id, contracted_down_mbps ON schools
WHEN OLD.code IS NOT NEW.code OR OLD.region_id IS NOT NEW.region_id
  OR OLD.contracted_down_mbps IS NOT NEW.contracted_down_mbps BEGIN
    INSERT INTO school_plans_stale (school_id) VALUES (NEW.id) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_line_came AFTER INSERT ON lines BEGIN
    INSERT INTO school_plans_stale (school_id)
        SELECT s.id FROM schools s WHERE s.id = NEW.school_id
            OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = NEW.region_id)
        ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER school_plan_line_changed AFTER UPDATE OF settings ON lines WHEN OLD.settings IS NOT NEW.settings BEGIN
    INSERT INTO school_plans_stale (school_id)
        SELECT s.id FROM schools s WHERE s.id = NEW.school_id
            OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = NEW.region_id)
        ON CONFLICT DO NOTHING;
END;
-- The trust to sign for a school stays with the school.
CREATE TRIGGER school_author_left AFTER UPDATE OF classroom_id ON devices
WHEN NEW.author = 1 AND (SELECT school_id FROM classrooms WHERE id = OLD.classroom_id)
                     IS NOT (SELECT school_id FROM classrooms WHERE id = NEW.classroom_id) BEGIN
    UPDATE devices SET author = 0 WHERE device_no = NEW.device_no;
END;

-- When a board first held all of a push; gone again when the push brings something newer.
CREATE TABLE push_arrivals (
    push_id    INTEGER NOT NULL REFERENCES pushes (id),
    device_no  INTEGER NOT NULL REFERENCES devices (device_no),
    arrived_at INTEGER NOT NULL,
    PRIMARY KEY (push_id, device_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_arrivals_by_device ON push_arrivals (device_no);
