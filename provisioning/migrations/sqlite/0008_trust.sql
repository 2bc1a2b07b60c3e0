-- Which keys may sign what, and which lessons were taken back. One root, one snapshot for the whole install: its keys are the
-- install's, and a lesson's id is one lesson in all counties. Instants are milliseconds since 1970 UTC.

-- Signed offline; `document` is contract::trust::TrustRoot, signed, as JSON. Never changed once here.
CREATE TABLE trust_roots (
    version    INTEGER PRIMARY KEY,
    document   TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    made_by    TEXT NOT NULL
) STRICT;
CREATE TRIGGER trust_roots_are_not_changed BEFORE UPDATE ON trust_roots BEGIN SELECT raise(ABORT, 'a trust root is not changed'); END;

-- What stands in the next snapshot: this version of the lesson and all before it. Never taken out again; a lesson comes back
-- as a new version. No foreign key: a withdrawal outlives the lesson's rows.
CREATE TABLE withdrawals (
    lesson_id     TEXT PRIMARY KEY,
    up_to_version INTEGER NOT NULL,
    reason        TEXT NOT NULL,
    withdrawn_at  INTEGER NOT NULL,
    withdrawn_by  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row. `wanted` moves with each withdrawal and each root, in the same transaction; the publisher signs until `signed`
-- has caught up, so what was decided is signed after any crash.
CREATE TABLE trust_snapshot (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    wanted     INTEGER NOT NULL,
    signed     INTEGER NOT NULL,
    -- contract::trust::Snapshot, signed, as JSON.
    document   TEXT,
    issued_at  INTEGER,
    expires_at INTEGER
) STRICT;
INSERT INTO trust_snapshot (one, wanted, signed) VALUES (1, 1, 0);

-- Owed while published < signed; told again to a connected device that says it holds an older one. NULL: never said.
ALTER TABLE devices ADD COLUMN trust_published INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN trust_published_at INTEGER;
ALTER TABLE devices ADD COLUMN held_snapshot INTEGER;
