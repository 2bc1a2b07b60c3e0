//! Backups by plan (`[backup]` in `console.toml`), and those that somebody asks for. They are encrypted for a recipient whose
//! secret key is not on this machine: whoever takes the machine or the disk with the backups reads none of them.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    BackupError, Progress,
    create::{self, Order},
    keys::For,
    name, of_name,
};
use crate::{
    api::{
        backup::{BackupFile, BackupPlan, BackupProgress, BackupResult, Backups},
        security::SecurityKind,
    },
    app::{AppState, Noun},
    db::DbResult,
    error::{ApiError, Code},
};

/// How often it looks whether one is due.
const EVERY: Duration = Duration::from_secs(60);
/// One that failed is tried again after this.
const AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// A console without any good backup is overdue after it has run for this long.
const FIRST: Duration = Duration::from_secs(2 * 3_600);
const TELL: Duration = Duration::from_millis(200);

/// `[backup]` as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPlan {
    folder: PathBuf,
    recipient: String,
    every_hours: Option<u32>,
    keep: Option<u32>,
    allowed_hours: Option<u32>,
    lessons: Option<bool>,
}

/// The plan, checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the files lie; outside of the data folder.
    pub folder: PathBuf,
    /// For whom.
    pub key: For,
    /// The same as text.
    pub recipient: String,
    /// Hours from one to the next, 1–744.
    pub every_hours: u32,
    /// So many are kept, 1–400.
    pub keep: u32,
    /// The last good one is overdue when it is older.
    pub allowed_hours: u32,
    /// Whether the bytes of lessons go in.
    pub lessons: bool,
}

impl RawPlan {
    /// Checks it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub fn check(self, data: &Path) -> Result<Plan, String> {
        let key = For::recipient(&self.recipient).map_err(|e| format!("recipient: {e}"))?;
        if !self.folder.is_absolute() {
            return Err(format!("folder: {} is no absolute path", self.folder.display()));
        }
        let own = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        if self.folder.starts_with(&own) {
            return Err(format!(
                "folder: {} lies in the data folder and would be lost with it; name one on another disk",
                self.folder.display()
            ));
        }
        let within = |key: &str, value: u32, most: u32| match value {
            value if (1..=most).contains(&value) => Ok(value),
            value => Err(format!("{key}: {value} is not between 1 and {most}")),
        };
        let every_hours = within("every_hours", self.every_hours.unwrap_or(24), 744)?;
        let allowed_hours = self.allowed_hours.unwrap_or(2 * every_hours);
        if allowed_hours < every_hours {
            return Err(format!(
                "allowed_hours: {allowed_hours} is less than every_hours ({every_hours}); every backup would be overdue"
            ));
        }
        Ok(Plan {
            folder: self.folder,
            key,
            recipient: self.recipient,
            every_hours,
            keep: within("keep", self.keep.unwrap_or(7), 400)?,
            allowed_hours: within("allowed_hours", allowed_hours, 2_000)?,
            lessons: self.lessons.unwrap_or(true),
        })
    }
}

impl Plan {
    fn shown(&self) -> BackupPlan {
        BackupPlan {
            folder: self.folder.display().to_string(),
            every_hours: self.every_hours,
            keep: self.keep,
            allowed_hours: self.allowed_hours,
            lessons: self.lessons,
            recipient: self.recipient.clone(),
        }
    }

    /// Whether one is to be made now.
    fn is_due(&self, last: Option<&BackupResult>, last_good: Option<Timestamp>, now: Timestamp) -> bool {
        let every = SignedDuration::from_hours(i64::from(self.every_hours));
        // A clock that was set back makes nothing wait for longer than it would from now on.
        let since = |at: Timestamp| now.duration_since(at).abs();
        let good = last_good.is_some_and(|at| since(at) < every);
        let failed = last.is_some_and(|last| last.error.is_some() && since(last.at) < AGAIN);
        !good && !failed
    }

    fn is_overdue(&self, last_good: Option<Timestamp>, running_for: Duration, now: Timestamp) -> bool {
        let allowed = SignedDuration::from_hours(i64::from(self.allowed_hours));
        last_good.map_or(running_for > FIRST, |at| now.duration_since(at) > allowed)
    }
}

/// The one backup that this process makes at a time.
#[derive(Debug, Default)]
pub struct Runner(Mutex<Option<Running>>);

#[derive(Debug, Clone)]
struct Running {
    started_at: Timestamp,
    name: String,
    lessons: bool,
    progress: Arc<Progress>,
}

impl Runner {
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of the one that runs, if it is free.
    fn begin(&self, lessons: bool, now: Timestamp) -> Option<Running> {
        let mut running = self.lock();
        if running.is_some() {
            return None;
        }
        let new = Running {
            started_at: now,
            name: name(now, lessons),
            lessons,
            progress: Arc::default(),
        };
        *running = Some(new.clone());
        Some(new)
    }

    fn shown(&self) -> Option<BackupProgress> {
        self.lock().as_ref().map(|running| BackupProgress {
            started_at: running.started_at,
            name: running.name.clone(),
            done_bytes: running.progress.done.load(Ordering::Relaxed),
            total_bytes: running.progress.total.load(Ordering::Relaxed),
        })
    }
}

/// Makes backups by plan until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let Some(plan) = app.config.backup.clone() else {
        return;
    };
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Not while a starting console gives boards what they wait for.
    clock.tick().await;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = round(&app, &plan, app.clock.now()).await {
            tracing::error!(error = %error, "backups could not be looked after");
        }
    }
}

/// Once: makes one if it is due, and tells if the last good one is too old. Answers whether one was made.
///
/// # Errors
/// The database's.
pub async fn round(app: &AppState, plan: &Plan, now: Timestamp) -> DbResult<bool> {
    let (last, good) = app.db.backups().last().await?;
    let mut made = false;
    if plan.is_due(last.as_ref(), good, now)
        && let Some(running) = app.backups.begin(plan.lessons, now)
    {
        made = make(app, plan, running).await;
    }
    let (last, good) = app.db.backups().last().await?;
    if plan.is_overdue(good, app.started.elapsed(), now) {
        let why = last.and_then(|last| last.error);
        let detail = serde_json::json!({
            "last_good": good.map(|at| at.to_string()), "allowed_hours": plan.allowed_hours, "error": why,
        });
        let kind = SecurityKind::BackupOverdue;
        app.db.security().note_lasting(kind, &detail, now).await?;
        app.changed(Noun::Security, None);
    }
    Ok(made)
}

/// Makes the one that was begun; answers whether it is there.
async fn make(app: &AppState, plan: &Plan, running: Running) -> bool {
    let begun = std::time::Instant::now();
    let order = Order {
        out: plan.folder.join(&running.name),
        key: plan.key.clone(),
        lessons: running.lessons,
        now: running.started_at,
    };
    let done = match plan.folder.is_dir() {
        true => {
            let work = create::create(&app.db, &app.config, order, Arc::clone(&running.progress));
            tokio::pin!(work);
            loop {
                tokio::select! {
                    done = &mut work => break done,
                    () = tokio::time::sleep(TELL) => {
                        running.progress.stop.store(app.stopping.is_cancelled(), Ordering::Relaxed);
                    }
                }
            }
        }
        false => Err(BackupError::Other(anyhow::anyhow!(
            "the folder {} is not there; mount its disk, or set folder of [backup] in console.toml",
            plan.folder.display()
        ))),
    };
    let result = BackupResult {
        at: running.started_at,
        name: running.name.clone(),
        bytes: done.as_ref().map_or(0, |made| made.bytes),
        took_s: begun.elapsed().as_secs(),
        error: done.as_ref().err().map(ToString::to_string),
    };
    match &result.error {
        None => {
            tracing::info!(
                backup.name = result.name,
                bytes = result.bytes,
                seconds = result.took_s,
                "backup made"
            );
            prune(plan, &running.name);
        }
        Some(error) => tracing::error!(error, "no backup was made"),
    }
    // One that the console's end cut short is begun anew at its next start.
    if !matches!(done, Err(BackupError::Stopped))
        && let Err(error) = app.db.backups().ended(&result).await
    {
        tracing::error!(error = %error, "how a backup ended could not be noted");
    }
    *app.backups.lock() = None;
    result.error.is_none()
}

/// Takes away what is beyond the number to be kept, oldest first, and what was cut short. Never the one just made.
fn prune(plan: &Plan, just_made: &str) {
    let Ok(entries) = std::fs::read_dir(&plan.folder) else {
        return;
    };
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    for name in names {
        match name.strip_suffix(".part").map(str::to_owned) {
            Some(of) if of_name(&of).is_some() => parts.push(name),
            _ => whole.extend(of_name(&name).map(|(at, _)| (at, name))),
        }
    }
    whole.retain(|(_, name)| name != just_made);
    whole.sort_unstable();
    let surplus = (whole.len() + 1).saturating_sub(plan.keep as usize);
    for name in whole.into_iter().take(surplus).map(|(_, name)| name).chain(parts) {
        match std::fs::remove_file(plan.folder.join(&name)) {
            Ok(()) => tracing::info!(backup.name = name, "an old backup was removed"),
            Err(error) => {
                tracing::warn!(backup.name = name, error = %error, "an old backup could not be removed")
            }
        }
    }
}

/// Begins one that somebody asked for; it is made in the background.
///
/// # Errors
/// There is no plan, so it is not known where to and for whom, or one is being made already.
pub async fn start(
    app: &AppState,
    lessons: Option<bool>,
    by: &str,
    now: Timestamp,
) -> Result<BackupProgress, ApiError> {
    let Some(plan) = app.config.backup.clone() else {
        return Err(ApiError::new(Code::BackupNoPlan));
    };
    let Some(running) = app.backups.begin(lessons.unwrap_or(plan.lessons), now) else {
        return Err(ApiError::new(Code::BackupRunning));
    };
    if let Err(error) = app.db.backups().ordered(by).await {
        *app.backups.lock() = None;
        return Err(error.into());
    }
    let shown = BackupProgress {
        started_at: running.started_at,
        name: running.name.clone(),
        done_bytes: 0,
        total_bytes: 0,
    };
    let app = app.clone();
    tokio::spawn(async move { make(&app, &plan, running).await });
    Ok(shown)
}

/// How backups stand.
///
/// # Errors
/// The database's.
pub async fn standing(app: &AppState, now: Timestamp) -> DbResult<Backups> {
    let (last, last_good_at) = app.db.backups().last().await?;
    let plan = app.config.backup.as_ref();
    Ok(Backups {
        overdue: plan.is_some_and(|plan| plan.is_overdue(last_good_at, app.started.elapsed(), now)),
        plan: plan.map(Plan::shown),
        last,
        last_good_at,
        running: app.backups.shown(),
        items: plan.map(|plan| files(&plan.folder)).unwrap_or_default(),
    })
}

/// Backups in a folder, newest first; a folder that is not there has none.
pub fn files(folder: &Path) -> Vec<BackupFile> {
    let mut found: Vec<BackupFile> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (made_at, lessons) = of_name(&name)?;
            let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some(BackupFile {
                name,
                made_at,
                bytes: meta.len(),
                lessons,
            })
        })
        .collect();
    found.sort_by(|a, b| b.name.cmp(&a.name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    fn plan(folder: &Path, keep: u32) -> Plan {
        RawPlan {
            folder: folder.to_owned(),
            recipient: RECIPIENT.to_owned(),
            every_hours: None,
            keep: Some(keep),
            allowed_hours: None,
            lessons: None,
        }
        .check(Path::new("/data"))
        .unwrap()
    }

    fn ended(at: Timestamp, error: Option<&str>) -> BackupResult {
        BackupResult {
            at,
            name: String::new(),
            bytes: 0,
            took_s: 0,
            error: error.map(str::to_owned),
        }
    }

    #[test]
    fn it_is_due_once_a_day_and_an_hour_after_a_failure_and_overdue_after_two_days() {
        let plan = plan(Path::new("/backups"), 7);
        let now: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
        let ago = |hours| now - SignedDuration::from_hours(hours);
        assert!(plan.is_due(None, None, now));
        assert!(!plan.is_due(Some(&ended(ago(23), None)), Some(ago(23)), now));
        assert!(plan.is_due(Some(&ended(ago(25), None)), Some(ago(25)), now));
        let failed = ended(now - SignedDuration::from_mins(59), Some("full"));
        assert!(!plan.is_due(Some(&failed), Some(ago(25)), now));
        assert!(plan.is_due(Some(&ended(ago(2), Some("full"))), Some(ago(25)), now));
        let long = Duration::from_secs(86_400);
        assert!(!plan.is_overdue(Some(ago(47)), long, now) && plan.is_overdue(Some(ago(49)), long, now));
        assert!(!plan.is_overdue(None, Duration::ZERO, now) && plan.is_overdue(None, long, now));
    }

    #[test]
    fn the_newest_are_kept_and_other_files_are_never_touched() {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), 2);
        let at = |hour: i64| name(Timestamp::from_second(hour * 3_600).unwrap(), hour % 2 == 0);
        for hour in 0..5 {
            std::fs::write(folder.path().join(at(hour)), "x").unwrap();
        }
        let part = format!("{}.part", at(9));
        for other in ["notes.txt", "bbt-console-mine.tar.zst.age", part.as_str()] {
            std::fs::write(folder.path().join(other), "x").unwrap();
        }
        // The one just made is the oldest by its name: a clock that was set back.
        prune(&plan, &at(0));
        let mut left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut right = vec![
            at(0),
            at(4),
            "bbt-console-mine.tar.zst.age".into(),
            "notes.txt".into(),
        ];
        right.sort();
        assert_eq!(left, right);
        assert_eq!(files(folder.path()).len(), 2);
    }

    #[test]
    fn a_plan_that_cannot_work_is_refused_with_its_key() {
        let check = |folder: &str, recipient: &str, every, allowed| {
            RawPlan {
                folder: folder.into(),
                recipient: recipient.into(),
                every_hours: every,
                keep: None,
                allowed_hours: allowed,
                lessons: None,
            }
            .check(Path::new("/data"))
            .map(|_| ())
            .unwrap_err()
        };
        for (error, word) in [
            (check("/b", "age1x", None, None), "recipient"),
            (check("b", RECIPIENT, None, None), "folder"),
            (check("/data/b", RECIPIENT, None, None), "data folder"),
            (check("/b", RECIPIENT, Some(0), None), "every_hours"),
            (check("/b", RECIPIENT, Some(24), Some(12)), "allowed_hours"),
        ] {
            assert!(error.contains(word), "{error}");
        }
    }
}
