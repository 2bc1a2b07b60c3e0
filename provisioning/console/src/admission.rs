//! The console's part at the broker's door: who is denied stays out before anything else is looked at, a copied disk is told
//! from its original, and what was seen is kept.
//!
//! Decisions are in [`crate::domain::clones`], the list of the denied in [`crate::pki::denylist`]. A refused device that
//! tries again and again costs a look into memory each time; what it did is written down once a minute.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use contract::id::DeviceId;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::{
    api::{clones::CloneMark, security::SecurityKind},
    broker::{Caller, Door, Shut},
    db::{Db, DbResult, clones::Sighting},
    domain::clones::{Decision, Known, Refusal, decide},
    pki::denylist::{Denial, Denylist},
};

/// A refused copy that tries again within this time is refused from memory.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Calls of the denied are written down at most this often for one device and address.
const WRITTEN_EVERY: Duration = Duration::from_secs(60);
/// Entries of each kind kept in memory; beyond it the oldest knowledge is dropped.
const MAX_ENTRIES: usize = 20_000;

/// The door of a console.
#[derive(Debug)]
pub struct Admission {
    db: Db,
    denylist: Denylist,
    /// The console's own threads: the broker's end before the database does.
    runtime: Handle,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    refused: HashMap<(DeviceId, Option<IpAddr>), Refused>,
    dead: HashMap<(DeviceId, IpAddr), Dead>,
}

#[derive(Debug)]
struct Refused {
    caller: Caller,
    reason: String,
    at: Instant,
}

/// Calls of a denied device that are not written down yet.
#[derive(Debug)]
struct Dead {
    why: &'static str,
    calls: u64,
    written: Option<Instant>,
}

/// What a denied device did since it was last asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Calls {
    device: DeviceId,
    address: IpAddr,
    why: &'static str,
    calls: u64,
}

impl Admission {
    /// A door that looks at `denylist` and `db`; must be made on the console's own runtime.
    pub fn new(db: Db, denylist: Denylist) -> Self {
        Self {
            db,
            denylist,
            runtime: Handle::current(),
            memory: Mutex::default(),
        }
    }

    /// Whether a session that is open must end.
    pub fn is_dead(&self, caller: &Caller) -> bool {
        self.denylist
            .admit(&caller.device, caller.serial.as_deref())
            .is_err()
    }

    /// Looks at everybody anew: somebody has decided something.
    pub fn forget_refusals(&self) {
        self.lock().refused.clear();
    }

    /// Devices among `sessions` that would no longer be let in because an operator decided about a copy since `since`.
    ///
    /// # Errors
    /// The database's.
    pub async fn unwelcome(&self, sessions: &[Caller], since: Timestamp) -> DbResult<Vec<DeviceId>> {
        let decided = self.db.clones().decided_since(since).await?;
        let mut unwelcome = Vec::new();
        for caller in sessions.iter().filter(|caller| decided.contains(&caller.device)) {
            if let Some(known) = self.db.clones().known(&caller.device).await?
                && let Decision::Refuse(_) = decide(&known, &caller.told, None)
            {
                unwelcome.push(caller.device.clone());
            }
        }
        Ok(unwelcome)
    }

    /// Writes down what denied devices did.
    ///
    /// # Errors
    /// The database's.
    pub async fn write_down(&self, now: Timestamp) -> DbResult<()> {
        let due = self.lock().due(Instant::now());
        for calls in due {
            let detail = json!({ "standing": calls.why, "door": "mqtt" });
            let kind = SecurityKind::DeadIdentityCalled;
            let (device, address) = (Some(&calls.device), Some(calls.address));
            self.db
                .security()
                .note_times(kind, device, address, &detail, calls.calls, now)
                .await?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Counts a call of a denied device; says whether it is the first for a while.
    fn dead(&mut self, caller: &Caller, why: &'static str) -> bool {
        if self.dead.len() >= MAX_ENTRIES {
            self.dead.clear();
        }
        let dead = self
            .dead
            .entry((caller.device.clone(), caller.peer.ip()))
            .or_insert(Dead {
                why,
                calls: 0,
                written: None,
            });
        dead.why = why;
        dead.calls += 1;
        dead.calls == 1 && dead.written.is_none()
    }

    fn due(&mut self, now: Instant) -> Vec<Calls> {
        let recent = |written: Option<Instant>| {
            written.is_some_and(|at| now.saturating_duration_since(at) < WRITTEN_EVERY)
        };
        self.dead.retain(|_, dead| dead.calls > 0 || recent(dead.written));
        let mut due = Vec::new();
        for ((device, address), dead) in &mut self.dead {
            if dead.calls > 0 && !recent(dead.written) {
                due.push(Calls {
                    device: device.clone(),
                    address: *address,
                    why: dead.why,
                    calls: std::mem::take(&mut dead.calls),
                });
                dead.written = Some(now);
            }
        }
        due
    }

    fn refused(&self, caller: &Caller, now: Instant) -> Option<&Refused> {
        self.refused
            .get(&(caller.device.clone(), Some(caller.peer.ip())))
            .filter(|refused| {
                refused.caller.told == caller.told && now.saturating_duration_since(refused.at) < REMEMBERED
            })
    }

    fn remember(&mut self, caller: &Caller, reason: &str, now: Instant) {
        if self.refused.len() >= MAX_ENTRIES {
            self.refused.clear();
        }
        let refused = Refused {
            caller: caller.clone(),
            reason: reason.to_owned(),
            at: now,
        };
        self.refused
            .insert((caller.device.clone(), Some(caller.peer.ip())), refused);
    }
}

#[async_trait]
impl Door for Admission {
    async fn admit(&self, caller: &Caller, live: Option<&Caller>) -> Result<(), Shut> {
        if let Err(denial) = self.denylist.admit(&caller.device, caller.serial.as_deref()) {
            let why = word(denial);
            return Err(Shut {
                reason: format!("{}: {why}", caller.device),
                news: self.lock().dead(caller, why),
                unknown: false,
            });
        }
        if let Some(refused) = self.lock().refused(caller, Instant::now()) {
            return Err(Shut {
                reason: refused.reason.clone(),
                news: false,
                unknown: false,
            });
        }
        let looking = look(self.db.clone(), caller.clone(), live.cloned());
        let looked = match self.runtime.spawn(looking).await {
            Ok(Ok(looked)) => looked,
            // Who a board is cannot be told now: it comes again in a moment.
            Ok(Err(error)) => return Err(unavailable(&error)),
            Err(error) => return Err(unavailable(&error)),
        };
        match looked {
            Looked::Welcome => Ok(()),
            Looked::Refused(refusal, news) => {
                let reason = refusal.to_string();
                if refusal != Refusal::SecondSession {
                    self.lock().remember(caller, &reason, Instant::now());
                }
                Err(Shut {
                    reason,
                    news,
                    unknown: false,
                })
            }
        }
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Shut {
    tracing::error!(error = %error, "a device could not be looked up at the broker's door");
    Shut {
        reason: "the console could not look the device up".to_owned(),
        news: false,
        unknown: true,
    }
}

enum Looked {
    Welcome,
    /// Why, and whether that is news.
    Refused(Refusal, bool),
}

/// Decides about a caller, and keeps what was seen.
async fn look(db: Db, caller: Caller, live: Option<Caller>) -> DbResult<Looked> {
    let Some(known) = db.clones().known(&caller.device).await? else {
        // Our authority signed its certificate and nothing speaks against it: a console restored from an older backup.
        return Ok(Looked::Welcome);
    };
    let now = Timestamp::now();
    let sighting = |mark| Sighting {
        device: &caller.device,
        mark,
        hardware: caller.told.hardware.as_ref().unwrap_or(&NOTHING),
        boot: caller.told.boot.as_ref(),
        address: Some(caller.peer.ip()),
        original_address: live.as_ref().map(|live| live.peer.ip()),
    };
    match decide(&known, &caller.told, live.as_ref().map(|live| &live.told)) {
        Decision::Admit { learn, copies } => {
            // What cannot be kept (a full disk) keeps nobody out.
            if let Err(error) = admitted(&db, &caller, &known, learn, &copies, live.as_ref(), now).await {
                tracing::error!(device.id = %caller.device, error = %error, "what a device told of its board could not be kept");
            }
            Ok(Looked::Welcome)
        }
        Decision::Refuse(refusal) => {
            let noted = match refusal {
                Refusal::OtherBoard(mark) => {
                    let seen = db.clones().seen(&sighting(mark.into()), now).await;
                    seen.map(|seen| seen.news)
                }
                Refusal::CopiedPowerUp => {
                    let seen = db.clones().seen(&sighting(CloneMark::Boots), now).await;
                    seen.map(|seen| seen.news)
                }
                Refusal::SecondSession => {
                    let original = live.as_ref().map(|live| live.peer.ip().to_string());
                    let detail: Value = json!({ "mark": "session", "original_address": original });
                    let (device, address) = (Some(&caller.device), Some(caller.peer.ip()));
                    db.security()
                        .note(SecurityKind::CloneSuspected, device, address, &detail, now)
                        .await
                }
            };
            // What cannot be noted (a full disk) is refused all the same.
            let news = noted.unwrap_or_else(|error| {
                tracing::error!(device.id = %caller.device, error = %error, "a copy that was kept out could not be noted");
                true
            });
            Ok(Looked::Refused(refusal, news))
        }
    }
}

async fn admitted(
    db: &Db,
    caller: &Caller,
    known: &Known,
    learn: bool,
    copies: &[contract::id::BootId],
    live: Option<&Caller>,
    now: Timestamp,
) -> DbResult<()> {
    if let (true, Some(hardware)) = (learn, &caller.told.hardware) {
        db.clones().learn(&caller.device, hardware).await?;
    }
    if let Some(boot) = &caller.told.boot
        && !known.boots.iter().any(|seen| seen.id == *boot)
    {
        db.clones()
            .boot_seen(&caller.device, boot, Some(caller.peer.ip()), now)
            .await?;
    }
    for boot in copies {
        // The copy is whoever came with that power-up; if it is connected now, that is where it stands.
        let copy = live.filter(|live| live.told.boot.as_ref() == Some(boot));
        let sighting = Sighting {
            device: &caller.device,
            mark: CloneMark::Boots,
            hardware: copy
                .and_then(|copy| copy.told.hardware.as_ref())
                .or(caller.told.hardware.as_ref())
                .unwrap_or(&NOTHING),
            boot: Some(boot),
            address: copy.map(|copy| copy.peer.ip()),
            original_address: Some(caller.peer.ip()),
        };
        let seen = db.clones().seen(&sighting, now).await?;
        tracing::warn!(device.id = %caller.device, clone.id = seen.id, boot = %boot,
            "two boards use this device's key: the later one is kept out");
    }
    Ok(())
}

static NOTHING: contract::hardware::Hardware = contract::hardware::Hardware {
    serial: String::new(),
    mcu_id: None,
    disk_id: None,
    macs: Vec::new(),
};

const fn word(denial: Denial) -> &'static str {
    use contract::standing::Standing;

    use crate::pki::denylist::DeadCertificate;
    match denial {
        Denial::Device(Standing::Stolen) => "stolen",
        Denial::Device(Standing::Replaced) => "replaced",
        Denial::Device(Standing::Quarantined) => "quarantined",
        Denial::Certificate(DeadCertificate::Retired) => "certificate_retired",
        Denial::Device(_) | Denial::Certificate(DeadCertificate::Revoked) => "revoked",
    }
}
