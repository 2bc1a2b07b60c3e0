-- Views that people save of the pages' lists, and where schools stand on a map.

-- How a list is narrowed, sorted and laid out. Everybody has their own; one that is shared is seen by whoever holds a role at
-- its place, above or below it. Shared without a place: the whole install.
CREATE TABLE list_views (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Which list, by the page's word: 'devices', 'orders' …
    list       TEXT NOT NULL,
    name       TEXT NOT NULL,
    -- The page's query string, without '?': filters and order.
    query      TEXT NOT NULL,
    -- Shown columns as a JSON list; '[]': those that the page shows by itself.
    columns    TEXT NOT NULL DEFAULT '[]',
    shared     INTEGER NOT NULL DEFAULT 0,
    region_id  INTEGER REFERENCES regions (id),
    school_id  INTEGER REFERENCES schools (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (user_id, list, name),
    CHECK (region_id IS NULL OR school_id IS NULL),
    CHECK (shared = 1 OR (region_id IS NULL AND school_id IS NULL))
) STRICT;
CREATE INDEX list_views_by_list ON list_views (list) WHERE shared = 1;

-- Degrees, WGS 84; both or neither.
ALTER TABLE schools ADD COLUMN latitude REAL;
ALTER TABLE schools ADD COLUMN longitude REAL;
