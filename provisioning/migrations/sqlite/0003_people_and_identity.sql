-- Who may do what, who did what, and which boards are which. Instants are milliseconds since 1970 UTC.

-- Accounts.
ALTER TABLE users ADD COLUMN kind TEXT NOT NULL DEFAULT 'local' CHECK (kind IN ('local', 'oidc', 'break_glass'));
ALTER TABLE users ADD COLUMN disabled_at INTEGER;
-- Sealed with the console's own key (pki::seal), so a copy of this file holds no second factor.
ALTER TABLE users ADD COLUMN totp_sealed BLOB;
ALTER TABLE users ADD COLUMN totp_confirmed_at INTEGER;
-- The time step that was used last: a code opens once.
ALTER TABLE users ADD COLUMN totp_step INTEGER;
ALTER TABLE users ADD COLUMN password_changed_at INTEGER;
-- Lock-out survives a restart.
ALTER TABLE users ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN failed_at INTEGER;
ALTER TABLE users ADD COLUMN last_sign_in_at INTEGER;
ALTER TABLE users ADD COLUMN oidc_issuer TEXT;
ALTER TABLE users ADD COLUMN oidc_subject TEXT;
CREATE UNIQUE INDEX users_by_oidc ON users (oidc_issuer, oidc_subject) WHERE oidc_subject IS NOT NULL;

-- A session's public name (its cookie is never shown again), and from where it is used.
ALTER TABLE sessions ADD COLUMN public_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN last_seen_at INTEGER;
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
-- 'password', 'password+totp', 'oidc', 'break_glass'.
ALTER TABLE sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'password';
CREATE INDEX sessions_by_user ON sessions (user_id);

-- A sign-in by OIDC that is under way.
CREATE TABLE oidc_logins (
    state_hash BLOB PRIMARY KEY,
    nonce      TEXT NOT NULL,
    verifier   TEXT NOT NULL,
    return_to  TEXT NOT NULL DEFAULT '/',
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A role at a node of the tree: it reaches that node and what is below. Neither region nor school: the whole install.
CREATE TABLE grants (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT NOT NULL,
    region_id  INTEGER REFERENCES regions (id),
    school_id  INTEGER REFERENCES schools (id),
    granted_at INTEGER NOT NULL,
    granted_by TEXT NOT NULL,
    CHECK (region_id IS NULL OR school_id IS NULL)
) STRICT;
CREATE UNIQUE INDEX grants_once ON grants (user_id, role, coalesce(region_id, 0), coalesce(school_id, 0));

-- Accounts from before there were roles could do everything, and still can.
INSERT INTO grants (user_id, role, granted_at, granted_by)
SELECT u.id, r.role, u.created_at, 'migration'
  FROM users u, (SELECT 'system_admin' AS role UNION ALL SELECT 'county_operator' UNION ALL SELECT 'content_officer') r;

-- Every write, chained: hash = BLAKE3(previous hash, the row as written). Nothing here is changed or removed.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    -- 'user', 'cli', 'device', 'system'; and its name.
    actor_kind TEXT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('done', 'refused', 'failed')),
    object_kind TEXT NOT NULL DEFAULT '',
    object     TEXT NOT NULL DEFAULT '',
    -- The node it happened at, for who may read it; both NULL: the install.
    region_id  INTEGER,
    school_id  INTEGER,
    address    TEXT NOT NULL DEFAULT '',
    request_id TEXT NOT NULL DEFAULT '',
    -- JSON object; no secrets.
    detail     TEXT NOT NULL DEFAULT '{}',
    hash       BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_by_object ON audit (object_kind, object);
CREATE INDEX audit_by_actor ON audit (actor);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;

-- Roster. Owner, builder and maintainer: 谁主管、谁建设、谁运维.
ALTER TABLE schools ADD COLUMN contracted_down_mbps INTEGER;
ALTER TABLE schools ADD COLUMN contracted_up_mbps INTEGER;
ALTER TABLE classrooms ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE classrooms ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE classrooms ADD COLUMN builder TEXT NOT NULL DEFAULT '';
ALTER TABLE classrooms ADD COLUMN maintainer TEXT NOT NULL DEFAULT '';
-- What stands there already, managed by us or not, in the roster's words.
ALTER TABLE classrooms ADD COLUMN equipment TEXT NOT NULL DEFAULT '';

-- Tickets may be bound to a school, a classroom or a serial, and come in batches.
CREATE TABLE ticket_batches (
    id         INTEGER PRIMARY KEY,
    school_id  INTEGER NOT NULL REFERENCES schools (id),
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE tickets_new (
    id              INTEGER PRIMARY KEY,
    code_hash       BLOB NOT NULL UNIQUE,
    -- Sealed with the console's own key, so that a sheet can be printed again; NULL once used, expired or revoked.
    code_sealed     BLOB,
    batch_id        INTEGER REFERENCES ticket_batches (id),
    school_id       INTEGER NOT NULL REFERENCES schools (id),
    -- NULL: the board says which, or the one classroom of the school without a device.
    classroom_id    INTEGER REFERENCES classrooms (id),
    -- Only this board.
    serial          TEXT,
    -- The device whose place it takes.
    replaces        INTEGER REFERENCES devices (device_no),
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
INSERT INTO tickets_new (id, code_hash, school_id, classroom_id, console_url, broker_host, broker_port, created_at, expires_at,
                         revoked_at, used_at, device_id, key_hash, certificate_pem)
SELECT t.id, t.code_hash, c.school_id, t.classroom_id, t.console_url, t.broker_host, t.broker_port, t.created_at, t.expires_at,
       t.revoked_at, t.used_at, t.device_id, t.key_hash, t.certificate_pem
  FROM tickets t JOIN classrooms c ON c.id = t.classroom_id;
DROP TABLE tickets;
ALTER TABLE tickets_new RENAME TO tickets;
CREATE INDEX tickets_by_batch ON tickets (batch_id);
CREATE INDEX tickets_by_school ON tickets (school_id);

-- Boards that said they are there and have no ticket.
CREATE TABLE claims (
    id            INTEGER PRIMARY KEY,
    -- BLAKE3 of the public key; the board asks again with the same key.
    key_hash      BLOB NOT NULL UNIQUE,
    fingerprint   TEXT NOT NULL,
    serial        TEXT NOT NULL,
    board         TEXT NOT NULL,
    agent_version TEXT NOT NULL,
    hardware      TEXT NOT NULL,
    csr_pem       TEXT NOT NULL,
    address       TEXT NOT NULL,
    first_seen_at INTEGER NOT NULL,
    last_seen_at  INTEGER NOT NULL,
    -- The device whose certificate it showed: a copied disk that asks for an identity of its own.
    copy_of       INTEGER REFERENCES devices (device_no),
    -- Decided: 'approved' with the ticket it got, or 'refused'.
    decision      TEXT CHECK (decision IN ('approved', 'refused')),
    decided_at    INTEGER,
    decided_by    TEXT,
    ticket_id     INTEGER REFERENCES tickets (id)
) STRICT;
CREATE INDEX claims_by_serial ON claims (serial);

-- How a device stands. 'active', 'replaced', 'revoked', 'stolen'; a copy is no standing of the device, see clones.
ALTER TABLE devices ADD COLUMN standing TEXT NOT NULL DEFAULT 'active';
ALTER TABLE devices ADD COLUMN standing_at INTEGER;
ALTER TABLE devices ADD COLUMN standing_reason TEXT NOT NULL DEFAULT '';
-- Whom to call, for the screen of a board that was reported stolen.
ALTER TABLE devices ADD COLUMN standing_contact TEXT NOT NULL DEFAULT '';
-- Id of the signed word that told it; an unlock names it.
ALTER TABLE devices ADD COLUMN standing_order TEXT;
UPDATE devices SET standing = 'replaced', standing_at = replaced_at WHERE replaced_at IS NOT NULL;
-- contract::hardware::Hardware as JSON, as it was at enrolment or as an operator accepted it later.
ALTER TABLE devices ADD COLUMN hardware TEXT;
ALTER TABLE devices ADD COLUMN clock_trust TEXT;
-- The device whose place it took.
ALTER TABLE devices ADD COLUMN predecessor_no INTEGER REFERENCES devices (device_no);

-- Every certificate issued. One that is not in here but bears our signature (a restored backup) counts as current.
CREATE TABLE certificates (
    serial     TEXT PRIMARY KEY,
    device_no  INTEGER NOT NULL REFERENCES devices (device_no),
    key_hash   BLOB,
    issued_at  INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    -- pending ──shown once──▶ current ──▶ retired (renewed) | revoked
    state      TEXT NOT NULL CHECK (state IN ('pending', 'current', 'retired', 'revoked')),
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_by_device ON certificates (device_no);

-- One key seen from two boards.
CREATE TABLE clones (
    id              INTEGER PRIMARY KEY,
    device_no       INTEGER NOT NULL REFERENCES devices (device_no),
    -- What gave it away: 'serial', 'mcu', 'disk', 'boots'.
    mark            TEXT NOT NULL,
    -- The copy, as far as it told: contract::hardware::Hardware, power-up, address.
    hardware        TEXT NOT NULL,
    boot_id         TEXT NOT NULL DEFAULT '',
    address         TEXT NOT NULL DEFAULT '',
    -- The original at that moment.
    original        TEXT NOT NULL,
    original_address TEXT NOT NULL DEFAULT '',
    first_seen_at   INTEGER NOT NULL,
    last_seen_at    INTEGER NOT NULL,
    times           INTEGER NOT NULL DEFAULT 1,
    -- 'quarantined'; then 'enrolled' (as itself), 'accepted' (the board was repaired: this is the device now), 'dismissed'.
    state           TEXT NOT NULL DEFAULT 'quarantined' CHECK (state IN ('quarantined', 'enrolled', 'accepted', 'dismissed')),
    decided_at      INTEGER,
    decided_by      TEXT
) STRICT;
CREATE INDEX clones_by_device ON clones (device_no, state);
-- Power-ups of a device in the order in which they came: one that comes back after another began is a second board.
CREATE TABLE device_boots_seen (
    device_no  INTEGER NOT NULL REFERENCES devices (device_no),
    boot_id    TEXT NOT NULL,
    n          INTEGER NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    address    TEXT NOT NULL DEFAULT '',
    -- Shown to be a second board's power-up: it comes in no more.
    copy       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_no, boot_id)
) STRICT, WITHOUT ROWID;

-- What somebody should look at: guessed codes, copies, revoked devices that call, foreign names.
CREATE TABLE security_events (
    id              INTEGER PRIMARY KEY,
    kind            TEXT NOT NULL,
    device_no       INTEGER REFERENCES devices (device_no),
    region_id       INTEGER,
    school_id       INTEGER,
    address         TEXT NOT NULL DEFAULT '',
    -- JSON object with what the sentence of its kind needs.
    detail          TEXT NOT NULL DEFAULT '{}',
    first_at        INTEGER NOT NULL,
    last_at         INTEGER NOT NULL,
    times           INTEGER NOT NULL DEFAULT 1,
    acknowledged_at INTEGER,
    acknowledged_by TEXT
) STRICT;
CREATE INDEX security_events_open ON security_events (acknowledged_at, last_at);

-- Small facts of the console itself, e.g. the last believable time.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A lesson belongs to the node that made it: seen at and below it, and by who looks down from above. Neither: the install.
ALTER TABLE lessons ADD COLUMN owner_region_id INTEGER REFERENCES regions (id);
ALTER TABLE lessons ADD COLUMN owner_school_id INTEGER REFERENCES schools (id);

INSERT INTO revisions (noun, value) VALUES ('standing', 0), ('claim', 0), ('security', 0), ('user', 0);
