-- The national model's newer fields, and the review: a version is seen by boards only once it was released (出库).
ALTER TABLE lesson_versions ADD COLUMN resource_type TEXT NOT NULL DEFAULT '';
ALTER TABLE lesson_versions ADD COLUMN standard_year INTEGER;
ALTER TABLE lesson_versions ADD COLUMN revised_year INTEGER;
ALTER TABLE lesson_versions ADD COLUMN source TEXT NOT NULL DEFAULT '';
-- Empty: without limit.
ALTER TABLE lesson_versions ADD COLUMN licence_scope TEXT NOT NULL DEFAULT '';
ALTER TABLE lesson_versions ADD COLUMN licence_expires_at INTEGER;

-- What stood here before there was a review was released. manifest_hash names the unsigned draft until 出库 and the signed
-- document from then on.
ALTER TABLE lesson_versions ADD COLUMN review_state TEXT NOT NULL DEFAULT 'released' CHECK (review_state IN
    ('draft', 'self_checked', 'first', 'second', 'admitted', 'released', 'returned', 'withdrawn', 'superseded'));
ALTER TABLE lesson_versions ADD COLUMN uploaded_by TEXT NOT NULL DEFAULT '';
-- When it came into its state.
ALTER TABLE lesson_versions ADD COLUMN state_at INTEGER NOT NULL DEFAULT 0;
UPDATE lesson_versions SET state_at = created_at;
CREATE INDEX lesson_versions_by_state ON lesson_versions (review_state, state_at);

-- The newest version that is released; NULL: none (not yet, or withdrawn). latest_version counts drafts as well.
ALTER TABLE lessons ADD COLUMN released_version INTEGER;
UPDATE lessons SET released_version = latest_version;
-- Versions up to this one were withdrawn (下架); 0: none.
ALTER TABLE lessons ADD COLUMN withdrawn_up_to INTEGER NOT NULL DEFAULT 0;

-- Who did what to which version. Nothing here is changed or removed.
CREATE TABLE lesson_reviews (
    id             INTEGER PRIMARY KEY,
    lesson_id      TEXT NOT NULL,
    version        INTEGER NOT NULL,
    step           TEXT NOT NULL CHECK (step IN ('upload', 'edit', 'self_check', 'first', 'second', 'admit', 'release', 'return',
                                                 'withdraw', 'supersede', 'emergency_release')),
    -- The version's state from then on.
    state          TEXT NOT NULL,
    -- The account; of the command line 'cli:' and the operating system's user.
    person         TEXT NOT NULL,
    at             INTEGER NOT NULL,
    reason         TEXT NOT NULL DEFAULT '',
    -- What exactly was before them.
    content_digest TEXT NOT NULL,
    CHECK (step NOT IN ('return', 'withdraw', 'emergency_release') OR trim(reason) <> ''),
    FOREIGN KEY (lesson_id, version) REFERENCES lesson_versions (lesson_id, version)
) STRICT;
CREATE INDEX lesson_reviews_by_version ON lesson_reviews (lesson_id, version, id);
CREATE INDEX lesson_reviews_by_person ON lesson_reviews (person, at);

-- Four eyes: on one version nobody passes two of 初审, 复审 and 准入, and nobody passes what they brought themselves.
CREATE TRIGGER lesson_reviews_four_eyes BEFORE INSERT ON lesson_reviews
WHEN NEW.step IN ('first', 'second', 'admit') AND EXISTS (
    SELECT 1 FROM lesson_reviews r
     WHERE r.lesson_id = NEW.lesson_id AND r.version = NEW.version AND lower(r.person) = lower(NEW.person)
       AND r.step IN ('upload', 'edit', 'self_check', 'first', 'second', 'admit') AND r.step <> NEW.step)
BEGIN SELECT raise(ABORT, 'four_eyes'); END;
CREATE TRIGGER lesson_reviews_are_not_changed BEFORE UPDATE ON lesson_reviews
BEGIN SELECT raise(ABORT, 'the review history is append-only'); END;
CREATE TRIGGER lesson_reviews_are_not_removed BEFORE DELETE ON lesson_reviews
BEGIN SELECT raise(ABORT, 'the review history is append-only'); END;

-- 出库 follows 准入, or an emergency that says why.
CREATE TRIGGER only_admitted_is_released BEFORE UPDATE OF review_state ON lesson_versions
WHEN NEW.review_state = 'released' AND OLD.review_state NOT IN ('admitted', 'released') AND NOT EXISTS (
    SELECT 1 FROM lesson_reviews r
     WHERE r.lesson_id = NEW.lesson_id AND r.version = NEW.version AND r.step = 'emergency_release')
BEGIN SELECT raise(ABORT, 'only an admitted version is released'); END;
-- What was released stays as it was signed.
CREATE TRIGGER released_is_immutable BEFORE UPDATE OF manifest_hash, content_digest, items ON lesson_versions
WHEN OLD.review_state IN ('released', 'withdrawn')
BEGIN SELECT raise(ABORT, 'a released version is immutable'); END;
-- Whatever works out what boards should hold: nothing unsigned, nothing withdrawn.
CREATE TRIGGER only_released_is_assigned BEFORE INSERT ON assigned_lessons
WHEN NOT EXISTS (
    SELECT 1 FROM lesson_versions v
     WHERE v.lesson_id = NEW.lesson_id AND v.version = NEW.version AND v.review_state = 'released'
       AND v.manifest_hash = NEW.manifest_hash)
BEGIN SELECT raise(ABORT, 'only a released version is assigned'); END;
