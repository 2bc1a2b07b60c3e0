-- What the linter found in a version (JSON), and what the version was made of before pictures and pages were added to it: an
-- import of the same files is then no new version, whatever release of a program makes the pictures today.
CREATE TABLE lesson_lint (
    lesson_id      TEXT NOT NULL,
    version        INTEGER NOT NULL,
    -- Of the version when it was examined; another one since means that source_digest says nothing.
    content_digest TEXT NOT NULL,
    source_digest  TEXT NOT NULL,
    findings       TEXT NOT NULL,
    examined_at    INTEGER NOT NULL,
    PRIMARY KEY (lesson_id, version),
    FOREIGN KEY (lesson_id, version) REFERENCES lesson_versions (lesson_id, version)
) STRICT, WITHOUT ROWID;
