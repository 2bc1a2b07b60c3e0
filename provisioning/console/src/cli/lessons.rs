//! Lessons and pushes on the command line.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use jiff::Timestamp;

use super::{
    admin::{BY, all, plain},
    args::{Format, Lesson, Push, Target},
    show::{bytes, list, or_dash, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE,
        lessons::LessonQuery,
        pushes::{NewPush, PushDeviceQuery, PushQuery, PushTarget},
    },
    config::Config,
    controllers::pushes,
    db::{
        Db,
        reviews::Emergency,
        scope::{Node, Scope},
    },
    domain::import::{self, Change, Importer, release::Releaser},
    objects::Objects,
};

pub(super) async fn lesson(command: Lesson, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Lesson::Import {
            folder,
            release,
            reason,
            transcode,
            format,
        } => {
            said(&reason)?;
            let release = release.then_some(reason);
            return import_folder(&folder, release, transcode, format, config, db).await;
        }
        Lesson::Bulk {
            folder,
            table,
            apply,
            at,
            release,
            reason,
            format,
        } => {
            said(&reason)?;
            let importer = Importer {
                owner: at.node().unwrap_or(Node::Root),
                ..importer(config, db, release.then_some(reason))?
            };
            return super::bulk::bulk(&importer, folder, table, apply, config.language, format).await;
        }
        Lesson::Template { out } => super::bulk::template(&out)?,
        Lesson::List { retired, format } => {
            let lessons = all(|page| {
                let query = LessonQuery {
                    retired: Some(retired),
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..Default::default()
                };
                async move { db.lessons().list(&Scope::everything(), &query).await }
            })
            .await?;
            list(
                format,
                &lessons,
                &[
                    "ID", "VERSION", "STATE", "RELEASED", "TITLE", "SUBJECT", "GRADE", "ITEMS", "SIZE",
                ],
                || {
                    let row = |l: &crate::api::lessons::LessonSummary| {
                        vec![
                            l.id.to_string(),
                            l.version.to_string(),
                            l.review_state.as_str().to_owned(),
                            or_dash(l.released_version),
                            l.meta.title.clone(),
                            l.meta.subject.clone(),
                            l.meta.grade.clone(),
                            l.item_count.to_string(),
                            bytes(l.size_bytes),
                        ]
                    };
                    lessons.iter().map(row).collect()
                },
            )?;
        }
        Lesson::Show { id, format } => {
            let lesson = db.lessons().detail(&Scope::everything(), &id).await?;
            list(format, &lesson, &["FILE", "TYPE", "SIZE", "BLAKE3"], || {
                println!(
                    "{} version {}: {}",
                    lesson.summary.id, lesson.summary.version, lesson.summary.meta.title
                );
                let row = |f: &crate::api::lessons::LessonFile| {
                    vec![
                        f.path.to_string(),
                        f.media_type.clone(),
                        bytes(f.size_bytes),
                        f.hash.to_hex(),
                    ]
                };
                lesson.files.iter().map(row).collect()
            })?;
        }
        Lesson::Release { id, reason } => {
            let releaser = Releaser {
                db: db.clone(),
                objects: objects(config)?,
                keys: Arc::new(crate::pki::open(config)?.keys),
            };
            let devices = releaser
                .emergency(&Emergency {
                    scope: &Scope::everything(),
                    lesson: &id,
                    by: &by(),
                    reason: said(&reason)?,
                    now: Timestamp::now(),
                })
                .await?;
            println!("released; {devices} devices have a new assignment");
        }
        Lesson::Withdraw { id, reason, up_to } => {
            let scope = Scope::everything();
            let done = db
                .reviews()
                .withdraw(&scope, &id, up_to, &by(), said(&reason)?, Timestamp::now())
                .await?;
            println!(
                "withdrawn up to version {}; {} devices have a new assignment",
                done.up_to_version, done.devices
            );
        }
        Lesson::History { id, format } => {
            let history = db.reviews().history(&id).await?;
            list(
                format,
                &history,
                &["VERSION", "AT", "STEP", "STATE", "PERSON", "REASON"],
                || {
                    let row = |e: &crate::api::reviews::ReviewEntry| {
                        vec![
                            e.version.to_string(),
                            e.at.to_string(),
                            e.step.as_str().to_owned(),
                            e.state.as_str().to_owned(),
                            e.person.clone(),
                            e.reason.clone(),
                        ]
                    };
                    history.iter().map(row).collect()
                },
            )?;
        }
        Lesson::Retire { id } => {
            db.lessons()
                .retire(&Scope::everything(), &id, Timestamp::now())
                .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn objects(config: &Config) -> anyhow::Result<Objects> {
    Objects::open(&config.data.join("objects"), config.reserve_bytes)
        .with_context(|| format!("Failed to open the lesson files in {}", config.data.display()))
}

/// What the command line imports with.
fn importer(config: &Config, db: &Db, release: Option<String>) -> anyhow::Result<Importer> {
    Ok(Importer {
        db: db.clone(),
        objects: objects(config)?,
        keys: Arc::new(crate::pki::open(config)?.keys),
        max_lesson_bytes: config.max_upload_bytes,
        owner: Node::Root,
        scope: Scope::everything(),
        by: by(),
        release,
        revive: false,
        transcode: false,
    })
}

fn said(reason: &str) -> anyhow::Result<&str> {
    let reason = reason.trim();
    anyhow::ensure!(!reason.is_empty(), "--reason is empty; say why");
    Ok(reason)
}

/// The person behind the command line, as the review's history names it.
pub(super) fn by() -> String {
    let name = crate::audit::current().map(|context| context.so_far().1.actor);
    format!("cli:{}", name.unwrap_or_default())
}

/// Imports all that is good; fails if anything was refused.
async fn import_folder(
    folder: &Path,
    release: Option<String>,
    transcode: bool,
    format: Format,
    config: &Config,
    db: &Db,
) -> anyhow::Result<ExitCode> {
    #[derive(serde::Serialize)]
    struct Line {
        folder: String,
        result: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        ignored: Vec<String>,
    }
    let importer = Importer {
        transcode,
        ..importer(config, db, release)?
    };
    let outcomes = import::import_folder(&importer, folder, Timestamp::now(), Arc::new(|_| ())).await?;
    let mut failed = 0;
    let mut lines = Vec::new();
    for outcome in outcomes {
        let folder = outcome.folder;
        lines.push(match outcome.result {
            Ok(done) => Line {
                folder,
                result: match done.change {
                    Change::New => "new",
                    Change::Updated => "updated",
                    Change::Unchanged => "unchanged",
                    Change::Restored => "restored",
                },
                id: Some(done.id.to_string()),
                version: Some(done.version),
                state: Some(done.state.as_str()),
                code: None,
                error: None,
                ignored: done.ignored.iter().map(ToString::to_string).collect(),
            },
            Err(error) => {
                failed += 1;
                eprintln!("error: {error}");
                Line {
                    folder,
                    result: "refused",
                    id: None,
                    version: None,
                    state: None,
                    code: Some(error.code()),
                    error: Some(error.to_string()),
                    ignored: Vec::new(),
                }
            }
        });
    }
    list(
        format,
        &lines,
        &["FOLDER", "RESULT", "LESSON", "VERSION", "STATE"],
        || {
            let row = |l: &Line| {
                vec![
                    l.folder.clone(),
                    l.result.to_owned(),
                    or_dash(l.id.as_deref()),
                    or_dash(l.version),
                    or_dash(l.state),
                ]
            };
            lines.iter().map(row).collect()
        },
    )?;
    Ok(if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

pub(super) async fn push(command: Push, db: &Db) -> anyhow::Result<()> {
    match command {
        Push::Create {
            target,
            lessons,
            pinned,
            needed_by,
        } => {
            let new = NewPush {
                lesson_ids: lessons,
                target: place(target)?,
                pinned,
                needed_by,
            };
            pushes::check(&new).map_err(plain)?;
            println!(
                "{}",
                db.pushes()
                    .add(
                        &Scope::everything(),
                        &Scope::everything(),
                        &new,
                        BY,
                        Timestamp::now()
                    )
                    .await?
            );
        }
        Push::Answers(command) => super::answers::answers(command, db).await?,
        Push::List(format) => {
            let found = all(|page| {
                let query = PushQuery {
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..Default::default()
                };
                async move { db.pushes().list(&Scope::everything(), &query).await }
            })
            .await?;
            list(
                format,
                &found,
                &[
                    "ID",
                    "TO",
                    "LESSONS",
                    "READY",
                    "DEVICES",
                    "FAILED",
                    "DONE",
                    "WITHDRAWN",
                ],
                || {
                    let row = |p: &crate::api::pushes::Push| {
                        vec![
                            p.id.to_string(),
                            format!("{} {}", p.target.kind(), p.target_name),
                            p.lessons.len().to_string(),
                            p.totals.ready.to_string(),
                            p.totals.devices.to_string(),
                            p.totals.failed.to_string(),
                            format!("{} of {}", bytes(p.bytes_done), bytes(p.bytes_total)),
                            or_dash(p.withdrawn_at),
                        ]
                    };
                    found.iter().map(row).collect()
                },
            )?;
        }
        Push::Show { id, format } => {
            let devices = all(|page| {
                let query = PushDeviceQuery {
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..Default::default()
                };
                async move { db.pushes().devices(&Scope::everything(), id, &query).await }
            })
            .await?;
            list(
                format,
                &devices,
                &[
                    "DEVICE",
                    "SCHOOL",
                    "CLASSROOM",
                    "STATE",
                    "READY",
                    "LESSONS",
                    "DONE",
                    "REASON",
                ],
                || {
                    let row = |p: &crate::api::pushes::PushDevice| {
                        vec![
                            p.device.id.to_string(),
                            p.device.school.clone(),
                            p.device.classroom.clone(),
                            word(&p.state),
                            p.lessons_ready.to_string(),
                            p.lessons_total.to_string(),
                            format!("{} of {}", bytes(p.done_bytes), bytes(p.total_bytes)),
                            or_dash(p.reason.as_deref()),
                        ]
                    };
                    devices.iter().map(row).collect()
                },
            )?;
        }
        Push::Withdraw { id } => {
            db.pushes()
                .withdraw(&Scope::everything(), id, Timestamp::now())
                .await?
        }
    }
    Ok(())
}

pub(super) fn place(target: Target) -> anyhow::Result<PushTarget> {
    let Target {
        region,
        school,
        classroom,
        device,
    } = target;
    region
        .map(|id| PushTarget::Region { id })
        .or_else(|| school.map(|id| PushTarget::School { id }))
        .or_else(|| classroom.map(|id| PushTarget::Classroom { id }))
        .or_else(|| device.map(|id| PushTarget::Device { id }))
        .context("say where to: --region, --school, --classroom or --device")
}
