//! Packs on the command line: made, checked, and what boards wrote back.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use contract::{id::LessonId, pack::FAT32_PART_BYTES};
use jiff::Timestamp;

use super::{
    admin::BY,
    args::Format,
    show::{bytes, list, or_dash},
};
use crate::{
    api::packs::ReceiptOutcome,
    audit::{ActorKind, Context as Actor},
    config::Config,
    db::{Db, scope::Scope},
    objects::Objects,
    packs::{
        Contents, PackFailure,
        build::{Order, Progress, build as build_pack, check_room},
        iso, new_id,
        receipts::{self, Merger},
        sink::Folder,
        verify, volumes,
    },
    pki,
};

/// `pack`.
#[derive(Debug, Subcommand)]
pub enum Pack {
    /// Make a pack on a USB disk (its folder) or as the image of an optical disc.
    Build(Build),
    /// Read every byte of the packs on a disk and say what is wrong; exit code 1 if anything is.
    Verify {
        /// Where the disk is mounted.
        #[arg(value_name = "DIR")]
        disk: PathBuf,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Merge what boards wrote in `bbt/receipts` (回执盘); each receipt counts once.
    Receipts {
        /// Where the disk is mounted.
        #[arg(value_name = "DIR")]
        disk: PathBuf,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

/// `pack build`.
#[derive(Debug, Args)]
pub struct Build {
    /// What goes in.
    #[command(flatten)]
    pub what: What,
    /// What people call it; default: the date.
    #[arg(long)]
    pub title: Option<String>,
    /// Where the USB disk is mounted, or a file that ends in .iso.
    #[arg(long, value_name = "DIR|FILE.iso")]
    pub out: PathBuf,
    /// Spread the lessons over disks of so many MiB; folders and images are numbered.
    #[arg(long, value_name = "MIB")]
    pub volume_mib: Option<u64>,
    /// Leave files in one piece; for disks that are not FAT32.
    #[arg(long, conflicts_with = "part_mib")]
    pub whole_files: bool,
    /// Length of the parts of long files.
    #[arg(long, value_name = "MIB", hide = true)]
    pub part_mib: Option<u64>,
    /// How to print.
    #[command(flatten)]
    pub format: Format,
}

/// Exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// Lessons by id, at their newest versions.
    #[arg(long = "lessons", alias = "lesson", value_name = "ID", value_delimiter = ',', num_args = 1..)]
    pub lessons: Vec<LessonId>,
    /// Id of a push: its lessons, and what its devices should hold.
    #[arg(long, value_name = "ID")]
    pub push: Option<i64>,
    /// Id of a school: all that its devices should hold.
    #[arg(long, value_name = "ID")]
    pub school: Option<i64>,
}

pub(super) async fn pack(command: Pack, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Pack::Build(args) => build(args, config, db).await,
        Pack::Verify { disk, format } => {
            let keys = pki::open(config)?.keys.trusted();
            let checked = verify::check(&disk, &keys)
                .with_context(|| format!("Failed to look for packs on {}", disk.display()))?;
            let good = !checked.is_empty() && checked.iter().all(|pack| pack.problems.is_empty());
            list(
                format,
                &checked,
                &["PACK", "TITLE", "LESSONS", "FILES", "SIZE", "PROBLEMS"],
                || {
                    let row = |c: &verify::Checked| {
                        vec![
                            c.pack.clone(),
                            c.title.clone(),
                            c.lessons.to_string(),
                            c.files.to_string(),
                            bytes(c.bytes),
                            if c.problems.is_empty() {
                                "none".to_owned()
                            } else {
                                c.problems.join("; ")
                            },
                        ]
                    };
                    checked.iter().map(row).collect()
                },
            )?;
            Ok(if good {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Pack::Receipts { disk, format } => merge(&disk, format, config, db).await,
    }
}

/// One pack as it was made.
#[derive(Debug, serde::Serialize)]
struct Made {
    id: String,
    out: PathBuf,
    volume: Option<String>,
    lessons: usize,
    boards: usize,
    bytes: u64,
}

async fn build(args: Build, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let packs = db.packs();
    let contents = match (&args.what.lessons, args.what.push, args.what.school) {
        (_, Some(push), _) => {
            db.pushes().get(&Scope::everything(), push).await?;
            packs.of_push(push).await?
        }
        (_, _, Some(school)) => {
            db.tree().school(&Scope::everything(), school).await?;
            packs.of_school(school).await?
        }
        (lessons, ..) => packs.of_lessons(&Scope::everything(), lessons).await?,
    };
    let disc = args
        .out
        .extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("iso"));
    if disc && !iso::is_possible() {
        return Err(PackFailure::NoXorriso.into());
    }
    let now = Timestamp::now();
    let part_bytes = match (args.whole_files, args.part_mib) {
        (true, _) => None,
        (false, Some(mib)) => Some(mib << 20),
        (false, None) => Some(FAT32_PART_BYTES),
    };
    let keys = pki::open(config)?.keys;
    let maker = Maker {
        trust: crate::packs::trust(db, &keys).await,
        objects: Objects::open(&config.data.join("objects"), config.reserve_bytes)
            .with_context(|| format!("Failed to open the lesson files in {}", config.data.display()))?,
        keys,
        title: args
            .title
            .clone()
            .unwrap_or_else(|| now.strftime("%Y-%m-%d").to_string()),
        county: db.batches().county_name(&Scope::everything()).await?,
        part_bytes,
        now,
        quiet: args.format.json,
    };
    let mut made = Vec::new();
    for (contents, volume) in volumes(contents, args.volume_mib.map(|mib| mib << 20))? {
        let out = numbered(&args.out, volume.map(|v| v.number));
        made.push(maker.make(contents, volume, &out, disc).await?);
    }
    list(
        args.format,
        &made,
        &["PACK", "OUT", "VOLUME", "LESSONS", "BOARDS", "SIZE"],
        || {
            let row = |m: &Made| {
                vec![
                    m.id.clone(),
                    m.out.display().to_string(),
                    or_dash(m.volume.as_deref()),
                    m.lessons.to_string(),
                    m.boards.to_string(),
                    bytes(m.bytes),
                ]
            };
            made.iter().map(row).collect()
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

/// `disk` stays `disk`; the second of several is `disk-2`, and of `disc.iso` it is `disc-2.iso`.
fn numbered(out: &Path, number: Option<u32>) -> PathBuf {
    let Some(number) = number else {
        return out.to_owned();
    };
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let name = match out.extension() {
        Some(kind) => format!("{stem}-{number}.{}", kind.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    out.with_file_name(name)
}

struct Maker {
    objects: Objects,
    keys: pki::keys::SigningKeys,
    title: String,
    county: String,
    part_bytes: Option<u64>,
    trust: Option<contract::trust::TrustBundle>,
    now: Timestamp,
    quiet: bool,
}

impl Maker {
    async fn make(
        &self,
        contents: Contents,
        volume: Option<contract::pack::Volume>,
        out: &Path,
        disc: bool,
    ) -> anyhow::Result<Made> {
        let order = Order {
            id: new_id(self.now)?,
            title: self.title.clone(),
            county: self.county.clone(),
            now: self.now,
            part_bytes: self.part_bytes,
            volume,
            contents,
            trust: self.trust.clone(),
        };
        let mut made = Made {
            id: order.id.to_string(),
            out: out.to_owned(),
            volume: volume.map(|v| format!("{} of {}", v.number, v.of)),
            lessons: order.contents.lessons.len(),
            boards: order.contents.devices.len(),
            bytes: 0,
        };
        if disc {
            let near = out
                .parent()
                .filter(|p| !p.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            let staging = tempfile::Builder::new()
                .prefix(".bbt-disc-")
                .tempdir_in(near)
                .with_context(|| format!("Failed to write beside {}", out.display()))?;
            check_room(staging.path(), &order.contents)?;
            made.bytes = self.write(order, staging.path()).await?;
            let label = format!("BBT_{}", made.id);
            let (folder, image) = (staging.path().to_owned(), out.to_owned());
            tokio::task::spawn_blocking(move || iso::make(&folder, &image, &label)).await??;
        } else {
            std::fs::create_dir_all(out).with_context(|| format!("Failed to create {}", out.display()))?;
            check_room(out, &order.contents)?;
            made.bytes = self.write(order, out).await?;
        }
        Ok(made)
    }

    async fn write(&self, order: Order, out: &Path) -> anyhow::Result<u64> {
        let mut told = 0;
        let tell = |progress: Progress| {
            let percent = progress.done * 100 / progress.total.max(1);
            if !self.quiet && percent >= told + 10 {
                told = percent;
                eprintln!(
                    "{percent} %, {} of {}",
                    bytes(progress.done),
                    bytes(progress.total)
                );
            }
            true
        };
        let made = build_pack(&self.objects, &self.keys, order, &mut Folder::new(out), tell).await?;
        Ok(made.bytes)
    }
}

async fn merge(disk: &Path, format: Format, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    let opened = pki::open(config)?;
    let everything = Scope::everything();
    let merger = Merger {
        db,
        pki: &opened.pki,
        keys: &opened.keys,
        scope: &everything,
        by: BY,
    };
    let mut outcomes = Vec::new();
    for found in receipts::of_folder(disk)? {
        // Each is an act of its own in the audit log.
        let actor = Actor::new(ActorKind::Cli, BY, "packs.receipts");
        let (outcome, ack) = actor.scope(merger.merge(found, Timestamp::now())).await;
        if let Some(ack) = ack
            && let Err(error) = receipts::write_ack(disk, &ack)
        {
            // A disk that cannot be written has been read all the same.
            eprintln!("warning: {error:#}");
        }
        outcomes.push(outcome);
    }
    let failed = outcomes.iter().any(|o| o.problem.is_some());
    let head = [
        "FILE", "DEVICE", "NUMBER", "MERGED", "SAMPLES", "COMMANDS", "PROBLEM",
    ];
    list(format, &outcomes, &head, || {
        let row = |o: &ReceiptOutcome| {
            let merged = match (&o.problem, o.repeated) {
                (Some(_), _) => "no",
                (None, true) => "before",
                (None, false) => "now",
            };
            vec![
                o.name.clone(),
                or_dash(o.device_id.as_deref()),
                or_dash(o.number),
                merged.to_owned(),
                o.samples.to_string(),
                o.commands.to_string(),
                or_dash(o.problem.as_deref()),
            ]
        };
        outcomes.iter().map(row).collect()
    })?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
