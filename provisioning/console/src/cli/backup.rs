//! Backups on the command line: made, tried, put back; and what is to be decided after an older one was put back.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use contract::id::DeviceId;
use jiff::Timestamp;

use super::{
    admin::BY,
    args::Format,
    setup::line,
    show::{bytes, list, word},
};
use crate::{
    api::backup::{BackupFile, BackupResult, ConflictLesson, ConflictQuery, Decision, RestoreConflict},
    backup::{
        Progress, check,
        create::{self, Order},
        job,
        keys::{self, For, Key},
        name, restore,
    },
    config::Config,
    controllers::backup::standing,
    db::{Db, scope::Scope},
};

/// `backup`.
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Write everything (database, keys, unlock secret, configuration, photos, lessons) to one encrypted file; also beside a
    /// serving console.
    Create {
        /// The file; it must not be there. A folder: the file is named after the time.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// For whom: an `age1…` that `backup key` printed. Left out: the recipient of [backup] in console.toml.
        #[arg(long, value_name = "AGE1", conflicts_with = "passphrase_stdin")]
        recipient: Option<String>,
        /// Encrypt with a passphrase, read from the first line of standard input.
        #[arg(long)]
        passphrase_stdin: bool,
        /// Leave the bytes of lessons out; they are most of it, and can be uploaded again.
        #[arg(long)]
        without_lessons: bool,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Try a backup: read all of it, open its database, fit its keys, hash every lesson. Nothing is kept. Fails if it cannot
    /// be put back.
    Verify {
        /// The backup.
        file: PathBuf,
        /// What opens it.
        #[command(flatten)]
        with: With,
        /// Where the trial's folder is made.
        #[arg(long, value_name = "DIR")]
        work: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Put a backup back into the new folder that --data names, which must be empty or not there.
    Restore {
        /// The backup.
        file: PathBuf,
        /// What opens it.
        #[command(flatten)]
        with: With,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Make a key pair: the secret key into a new file, to be kept away from this machine; prints the recipient.
    Key {
        /// The file; it must not be there.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// List the backups that the plan of console.toml has made, and how the last one ended.
    List(Format),
}

/// What opens a backup.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct With {
    /// The file that `backup key` wrote.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Read the passphrase from the first line of standard input.
    #[arg(long)]
    passphrase_stdin: bool,
}

impl With {
    fn key(&self) -> anyhow::Result<Key> {
        match &self.identity {
            Some(file) => Ok(Key::read(file)?),
            None => Ok(Key::passphrase(&line("the passphrase")?)),
        }
    }
}

/// `restore`.
#[derive(Debug, Subcommand)]
pub enum Restore {
    /// List the devices that are ahead of the copy which was put back: nothing is assigned to them before somebody decides.
    Conflicts(Format),
    /// Decide about them.
    Decide {
        /// What becomes of them.
        decision: Decided,
        /// Which devices.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        devices: Vec<DeviceId>,
        /// All that are undecided.
        #[arg(long)]
        all: bool,
    },
    /// Say that every lesson withdrawn since the copy was made is withdrawn again; newer lists are signed from now on.
    ConfirmWithdrawals,
}

/// See [`Decision`].
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Decided {
    /// Stay as they are; nothing is assigned to them until this is changed.
    Keep,
    /// Be given this console's set, under a generation above their own.
    Reassign,
}

pub(super) async fn backup(command: Backup, data: &Path) -> anyhow::Result<ExitCode> {
    let (now, progress) = (Timestamp::now(), Arc::<Progress>::default());
    match command {
        Backup::Key { out } => {
            println!("{}", keys::make(&out)?);
            eprintln!(
                "the secret key is in {}; carry it away: whoever has it reads every backup, and without it none can be opened",
                out.display()
            );
        }
        Backup::Verify {
            file,
            with,
            work,
            format,
        } => {
            let work = work.unwrap_or_else(std::env::temp_dir);
            let checked = check::verify(&file, &with.key()?, &work, now, progress).await?;
            print(&checked, format)?;
            if !checked.faults.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
        Backup::Restore { file, with, format } => {
            let back = restore::restore(&file, &with.key()?, data, now, progress).await?;
            print(&back.checked, format)?;
            if !format.json {
                println!("data folder: {}", data.display());
                println!("unlock secret: {}", back.unlock.display());
                println!(
                    "start it with: bbt-console --data {} serve\ndevices that are ahead of this copy are shown by: restore conflicts",
                    data.display()
                );
            }
        }
        Backup::List(format) => {
            let config = Config::load(data)?;
            let db = super::open(data).await?;
            let (last, good) = db.backups().last().await?;
            db.close().await;
            let files = config.backup.as_ref().map(|plan| job::files(&plan.folder));
            if format.json {
                let all = serde_json::json!({ "items": files, "last": last, "last_good_at": good });
                println!("{}", serde_json::to_string_pretty(&all)?);
                return Ok(ExitCode::SUCCESS);
            }
            match last {
                Some(BackupResult {
                    at, error: Some(why), ..
                }) => println!("the last one failed at {at}: {why}"),
                Some(BackupResult { at, name, .. }) => println!("the last one: {name}, {at}"),
                None => println!("none was made yet"),
            }
            let Some(files) = files else {
                println!(
                    "no plan: set [backup] in {}",
                    data.join(crate::config::FILE_NAME).display()
                );
                return Ok(ExitCode::SUCCESS);
            };
            list(format, &files, &["NAME", "MADE", "SIZE", "LESSONS"], || {
                let row = |f: &BackupFile| {
                    vec![
                        f.name.clone(),
                        f.made_at.to_string(),
                        bytes(f.bytes),
                        if f.lessons { "yes" } else { "no" }.to_owned(),
                    ]
                };
                files.iter().map(row).collect()
            })?;
        }
        Backup::Create {
            out,
            recipient,
            passphrase_stdin,
            without_lessons,
            format,
        } => {
            let config = Config::load(data)?;
            let key = match (recipient, passphrase_stdin, &config.backup) {
                (Some(text), ..) => For::recipient(&text)?,
                (None, true, _) => For::passphrase(&line("the passphrase")?)?,
                (None, false, Some(plan)) => plan.key.clone(),
                (None, false, None) => bail!(
                    "say for whom: --recipient age1… (make a key with: bbt-console backup key --out FILE) or --passphrase-stdin"
                ),
            };
            let out = match out.is_dir() {
                true => out.join(name(now, !without_lessons)),
                false => out,
            };
            let db = super::open(data).await?;
            let order = Order {
                out: out.clone(),
                key,
                lessons: !without_lessons,
                now,
            };
            let begun = std::time::Instant::now();
            let made = create::create(&db, &config, order, progress).await;
            let result = BackupResult {
                at: now,
                name: out.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                bytes: made.as_ref().map_or(0, |made| made.bytes),
                took_s: begun.elapsed().as_secs(),
                error: made.as_ref().err().map(ToString::to_string),
            };
            let noted = db.backups().ended(&result).await;
            db.close().await;
            let made = made?;
            noted.context("Failed to note that the backup was made")?;
            if format.json {
                println!("{}", serde_json::to_string_pretty(&result)?);
            } else {
                println!(
                    "{}: {} ({} files, {} unpacked)",
                    out.display(),
                    bytes(made.bytes),
                    made.manifest.entries.len(),
                    bytes(made.manifest.entries.iter().map(|e| e.bytes).sum())
                );
                for file in &made.manifest.outside {
                    println!("not in it: {} (outside of the data folder)", file.display());
                }
                println!("try it with: bbt-console backup verify {}", out.display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(checked: &check::Checked, format: Format) -> anyhow::Result<()> {
    if format.json {
        println!("{}", serde_json::to_string_pretty(checked)?);
        return Ok(());
    }
    let counts = &checked.counts;
    println!(
        "made {} by bbt-console {}, {} in {} files, lessons {}",
        checked.made_at,
        checked.console,
        bytes(checked.bytes),
        checked.files,
        if checked.lessons { "in it" } else { "left out" }
    );
    println!(
        "{} schools, {} classrooms, {} devices, {} lessons, {} pushes, {} accounts, {} work orders, {} samples, {} audit rows",
        counts.schools,
        counts.classrooms,
        counts.devices,
        counts.lessons,
        counts.pushes,
        counts.users,
        counts.orders,
        counts.samples,
        counts.audit
    );
    println!(
        "objects: {} there with the right hash, {} missing",
        checked.objects, checked.objects_missing
    );
    for file in &checked.outside {
        println!("not in it: {} (outside of the data folder)", file.display());
    }
    for note in &checked.notes {
        println!("note: {note}");
    }
    for fault in &checked.faults {
        println!("FAULT: {fault}");
    }
    if checked.faults.is_empty() {
        println!("it can be put back");
    }
    Ok(())
}

pub(super) async fn restore(command: Restore, db: &Db) -> anyhow::Result<()> {
    let everywhere = Scope::everything();
    match command {
        Restore::Conflicts(format) => {
            let all = standing(db, &everywhere, &ConflictQuery::default()).await?;
            if format.json {
                println!("{}", serde_json::to_string_pretty(&all)?);
                return Ok(());
            }
            let Some(restored) = &all.restored else {
                println!("this console was never restored");
                return Ok(());
            };
            println!(
                "copy of {}, put back {}: {} devices not heard yet, {} not ahead, {} in conflict, {} kept, {} reassigned",
                restored.made_at,
                restored.restored_at,
                restored.waiting,
                restored.same,
                restored.conflicts,
                restored.kept,
                restored.reassigned
            );
            if all.withdrawals_wait {
                let why = match restored.withdrawals_newer {
                    true => {
                        "devices hold a newer list of withdrawals: withdraw again what was withdrawn since"
                    }
                    false => "not every device was heard yet",
                };
                println!("no list of withdrawals is signed ({why}; then: restore confirm-withdrawals)");
            }
            for stranger in &all.strangers {
                println!(
                    "not known to the copy: {} (heard {}); enrol it again with a ticket",
                    stranger.device_id, stranger.last_seen_at
                );
            }
            let head = [
                "DEVICE",
                "SCHOOL",
                "CLASSROOM",
                "STATE",
                "COPY",
                "DEVICE HAS",
                "LESSONS THAT DIFFER",
            ];
            list(format, &all.items, &head, || {
                let row = |c: &RestoreConflict| {
                    vec![
                        c.device_id.clone(),
                        c.school.clone(),
                        c.classroom.clone(),
                        word(&c.state),
                        c.copy_generation.to_string(),
                        c.device_generation.to_string(),
                        c.lessons.iter().map(difference).collect::<Vec<_>>().join(" "),
                    ]
                };
                all.items.iter().map(row).collect()
            })
        }
        Restore::Decide {
            decision,
            devices,
            all,
        } => {
            ensure!(all || !devices.is_empty(), "name devices, or --all");
            let decision = match decision {
                Decided::Keep => Decision::Keep,
                Decided::Reassign => Decision::Reassign,
            };
            let devices = (!all).then_some(devices);
            let count = db
                .backups()
                .decide(&everywhere, devices.as_deref(), decision, BY, Timestamp::now())
                .await?;
            println!("decided about {count} devices");
            Ok(())
        }
        Restore::ConfirmWithdrawals => {
            db.backups().confirm_withdrawals(BY, Timestamp::now()).await?;
            println!("lists of withdrawals are signed again");
            Ok(())
        }
    }
}

/// `lesson:has→would be`.
fn difference(lesson: &ConflictLesson) -> String {
    let version = |v: Option<u32>| v.map_or("-".to_owned(), |v| v.to_string());
    format!(
        "{}:{}→{}",
        lesson.lesson_id,
        version(lesson.device_version),
        version(lesson.wanted_version)
    )
}
