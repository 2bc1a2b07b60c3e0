//! What handlers and jobs share: the doors to database, objects and broker, the keys, and the bell that says what changed.

use std::{
    ops::Deref,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Context;
use contract::id::DeviceId;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    api::system::IngestCounters,
    audit::floods::Floods,
    auth::lockout::SignIns,
    broker::LinkState,
    clock::HouseClock,
    config::Config,
    db::{
        self, Db,
        facts::LAST_TIME,
        scope::{Node, Scope},
    },
    domain::import::{Importer, release::Releaser},
    enrolment::Enroller,
    error::DefaultLanguage,
    ingest::limit::Limits,
    metrics::Durations,
    objects::Objects,
    oidc::Oidc,
    pki::{self, NewRoot, Pki, Sealer, denylist::Denylist, keys::SigningKeys},
    trust,
    usb::guesses::Guesses,
};

/// Changes that a slow page may lag behind before it is told to look at everything again.
const CHANGES_KEPT: usize = 1_024;

/// The shared state; cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Parts>);

/// Parts of [`AppState`].
#[derive(Debug)]
pub struct Parts {
    /// Checked configuration.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// Lesson files and manifests.
    pub objects: Objects,
    /// Authority and certificates.
    pub pki: Arc<Pki>,
    /// Keys that sign lessons and commands.
    pub keys: Arc<SigningKeys>,
    /// Seals small secrets in the database.
    pub seal: Sealer,
    /// Who is kept out of both doors.
    pub denylist: Denylist,
    /// What time it is for whatever is signed or issued.
    pub clock: HouseClock,
    /// Failed sign-ins by name and place, and of names that nobody has.
    pub sign_ins: SignIns,
    /// Unknown codes that accounts brought on USB disks.
    pub usb_guesses: Guesses,
    /// Single sign-on, if it is set up.
    pub oidc: Option<Oidc>,
    /// Bounds on rows about refusals in the audit log.
    pub floods: Floods,
    /// Tells pages what changed.
    pub changes: Changes,
    /// Wakes the publisher when something is owed.
    pub owed: Notify,
    /// Wakes whoever works out how devices are when one came or went.
    pub presence: Notify,
    /// What came in since the start.
    pub counters: Counters,
    /// How often devices may speak.
    pub limits: Limits,
    /// The link to the broker, once there is one.
    pub link: OnceLock<watch::Receiver<LinkState>>,
    /// Devices connected to the embedded broker; `u64::MAX` without one.
    pub connections: AtomicU64,
    /// Cancelled when the console stops; long answers end then.
    pub stopping: CancellationToken,
    /// The backup that this process makes, if it does.
    pub backups: crate::backup::job::Runner,
    /// When the process started.
    pub started: Instant,
}

impl Deref for AppState {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl AppState {
    /// Makes authority and keys where there are none, then opens everything. What the operator must carry away is told once.
    ///
    /// # Errors
    /// See [`Self::open`] and [`pki::create`].
    pub async fn create(
        config: Config,
        root_passphrase: Option<&str>,
    ) -> anyhow::Result<(Self, Option<NewRoot>)> {
        make_private(&config.data)?;
        let root = pki::create(&config, root_passphrase, jiff::Timestamp::now())?;
        let app = Self::open(config).await?;
        let now = jiff::Timestamp::now();
        trust::ensure_first_root(
            &app.db,
            &app.config,
            &app.keys,
            root.as_ref(),
            root_passphrase,
            now,
        )
        .await
        .context("Failed to make the first trust root")?;
        Ok((app, root))
    }

    /// Opens everything in the data folder; authority and keys must be there.
    ///
    /// # Errors
    /// A part of the folder cannot be used; the message names it.
    pub async fn open(config: Config) -> anyhow::Result<Self> {
        Self::with_clock(config, None).await
    }

    /// The same with a clock that is handed in.
    ///
    /// # Errors
    /// See [`Self::open`].
    pub async fn with_clock(config: Config, clock: Option<HouseClock>) -> anyhow::Result<Self> {
        let data = config.data.clone();
        make_private(&data)?;
        let db = Db::open(&data)
            .await
            .with_context(|| format!("Failed to open the database in {}", data.display()))?;
        let objects = Objects::open(&data.join("objects"), config.reserve_bytes)
            .with_context(|| format!("Failed to open the lesson files in {}", data.display()))?;
        let oidc = config.oidc.clone().map(Oidc::open).transpose()?;
        if data.join("keys").exists() {
            trust::rotate::settle(&db, &config)
                .await
                .context("Failed to finish a change of signing keys that was cut")?;
        }
        let opened = pki::open(&config)?;
        let clock = match clock {
            Some(clock) => clock,
            None => HouseClock::system(db.facts().time(LAST_TIME).await?),
        };
        let denylist = Denylist::default();
        denylist
            .refresh(&db)
            .await
            .context("Failed to read who is kept out")?;
        Ok(Self(Arc::new(Parts {
            config,
            db,
            objects,
            pki: Arc::new(opened.pki),
            keys: Arc::new(opened.keys),
            seal: opened.seal,
            denylist,
            clock,
            sign_ins: SignIns::default(),
            usb_guesses: Guesses::default(),
            floods: Floods::default(),
            oidc,
            changes: Changes::default(),
            owed: Notify::new(),
            presence: Notify::new(),
            counters: Counters::default(),
            limits: Limits::default(),
            link: OnceLock::new(),
            connections: AtomicU64::new(u64::MAX),
            stopping: CancellationToken::new(),
            backups: crate::backup::job::Runner::default(),
            started: Instant::now(),
        })))
    }

    /// Where only the provider signs people in (`oidc.only`), ends what passwords of ours have opened before that was so.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_local_sessions(&self) -> db::DbResult<()> {
        if self.config.oidc.as_ref().is_some_and(|oidc| oidc.only) {
            let sessions = self.db.sessions();
            let ended = crate::audit::system("oidc", "session.close", sessions.end_local()).await?;
            if ended > 0 {
                tracing::info!(
                    sessions = ended,
                    "sessions ended: only the provider signs people in (oidc.only)"
                );
            }
        }
        Ok(())
    }

    /// What `by` imports drafts with: a new lesson is `owner`'s, one whose owner is outside `scope` is left alone.
    pub fn importer(&self, owner: Node, scope: Scope, by: &str) -> Importer {
        Importer {
            db: self.db.clone(),
            objects: self.objects.clone(),
            keys: Arc::clone(&self.keys),
            max_lesson_bytes: self.config.max_upload_bytes,
            owner,
            scope,
            by: by.to_owned(),
            release: None,
            revive: true,
            transcode: false,
        }
    }

    /// What drafts are changed and released with.
    pub fn releaser(&self) -> Releaser {
        Releaser {
            db: self.db.clone(),
            objects: self.objects.clone(),
            keys: Arc::clone(&self.keys),
        }
    }

    /// What boards become devices with.
    pub fn enroller(&self) -> Enroller {
        Enroller {
            db: self.db.clone(),
            pki: Arc::clone(&self.pki),
            keys: Arc::clone(&self.keys),
        }
    }

    /// For the middleware that writes errors.
    pub fn default_language(&self) -> DefaultLanguage {
        DefaultLanguage(self.config.language)
    }

    /// Something is owed to devices, or a page should look again: wakes the publisher and tells the pages.
    pub fn changed(&self, noun: Noun, id: impl Into<Option<String>>) {
        self.changes.tell(noun, id.into());
        self.owed.notify_one();
    }

    /// The same for a device.
    pub fn device_changed(&self, device: &DeviceId) {
        self.changed(Noun::Device, device.to_string());
    }
}

/// Makes the data folder where it is missing, and takes it and the database's files from everybody but their owner: they
/// hold password hashes, open tickets, and what classrooms did.
pub(crate) fn make_private(data: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("Failed to create the data folder {}", data.display()))?;
    tighten(data, 0o700)?;
    // SQLite gives the journal's files the mode of the database, which is made here for that reason.
    let database = data.join(db::FILE_NAME);
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&database)
        .with_context(|| format!("Failed to open the database {}", database.display()))?;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        tighten(&data.join(format!("{}{suffix}", db::FILE_NAME)), 0o600)?;
    }
    Ok(())
}

/// Takes rights beyond `allowed` from a file or folder; one that is not there, or tight enough, is left alone.
fn tighten(path: &Path, allowed: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let failed = || {
        format!(
            "Failed to make {} private; its owner must run bbt-console",
            path.display()
        )
    };
    let mode = match std::fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(failed),
    };
    if mode & !allowed == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & allowed)) {
        // A journal file goes when another process closes the database.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.with_context(failed),
    }
}

/// What can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Noun {
    /// Regions, schools, classrooms.
    Tree,
    /// A device: state, lessons, samples, commands.
    Device,
    /// A lesson.
    Lesson,
    /// A push.
    Push,
    /// A ticket.
    Ticket,
    /// A device's standing: revoked, stolen, a copy; what the doors look at.
    Standing,
    /// A board that waits to be let in.
    Claim,
    /// Something to look at.
    Security,
    /// An account or what it may do.
    User,
    /// A work order, equipment, an inspection.
    Order,
    /// An incident, an alert, a rule.
    Incident,
    /// A report.
    Report,
}

impl Noun {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Tree,
        Self::Device,
        Self::Lesson,
        Self::Push,
        Self::Ticket,
        Self::Standing,
        Self::Claim,
        Self::Security,
        Self::User,
        Self::Order,
        Self::Incident,
        Self::Report,
    ];

    /// The event's name, and the row in the database's table of revisions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Device => "device",
            Self::Lesson => "lesson",
            Self::Push => "push",
            Self::Ticket => "ticket",
            Self::Standing => "standing",
            Self::Claim => "claim",
            Self::Security => "security",
            Self::User => "user",
            Self::Order => "order",
            Self::Incident => "incident",
            Self::Report => "report",
        }
    }
}

/// One change; without an id it is several, or unknown which.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// Of which noun.
    pub noun: Noun,
    /// Which one.
    pub id: Option<String>,
}

/// The bell that pages listen to.
#[derive(Debug)]
pub struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::channel(CHANGES_KEPT).0)
    }
}

impl Changes {
    /// Rings; nobody listening is fine.
    pub fn tell(&self, noun: Noun, id: Option<String>) {
        let _ = self.0.send(Change { noun, id });
    }

    /// Listens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}

/// Messages from devices since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// All.
    pub messages: AtomicU64,
    /// Samples stored.
    pub samples_stored: AtomicU64,
    /// Samples that were stored already.
    pub samples_repeated: AtomicU64,
    /// Messages refused.
    pub rejected: AtomicU64,
    /// Events stored.
    pub events_stored: AtomicU64,
    /// Readings and clocks that could not be true and were left out.
    pub implausible: AtomicU64,
    /// Messages that came too often and were not taken.
    pub limited: AtomicU64,
    /// From the first message of a round to its commit and its acknowledgements.
    pub rounds: Durations,
}

impl Counters {
    /// Adds to one counter.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// For the page.
    pub fn shown(&self) -> IngestCounters {
        IngestCounters {
            messages: self.messages.load(Ordering::Relaxed),
            samples_stored: self.samples_stored.load(Ordering::Relaxed),
            samples_repeated: self.samples_repeated.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            events_stored: self.events_stored.load(Ordering::Relaxed),
            implausible: self.implausible.load(Ordering::Relaxed),
            limited: self.limited.load(Ordering::Relaxed),
        }
    }
}
