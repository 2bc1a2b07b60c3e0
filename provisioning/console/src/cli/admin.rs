//! Admin subcommands on the database and the objects.

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context;
use contract::command::{CommandBody, NoticeLevel};
use jiff::{SignedDuration, Timestamp};

use super::{
    args::{Classroom, Command, Device, DeviceCommand, Format, Health, Lesson, Push, Region, School, Target, Ticket, User},
    setup,
    show::{bytes, list, or_dash, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE,
        devices::DeviceQuery,
        lessons::LessonQuery,
        pushes::{NewPush, PushDeviceQuery, PushQuery, PushTarget},
        tickets::NewTicket,
        tree::{NewClassroom, NewRegion, NewSchool},
    },
    auth,
    config::Config,
    controllers::{commands, pushes, tickets, tree},
    db::Db,
    domain::import::{self, Change, Importer},
    error::ApiError,
    objects::Objects,
    pki::{Pki, keys::SigningKeys},
};

/// Who orders and pushes from the command line.
const BY: &str = "bbt-console (command line)";

pub(super) async fn run(command: Command, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Command::User(command) => user(command, config, db).await?,
        Command::Region(command) => region(command, db).await?,
        Command::School(command) => school(command, db).await?,
        Command::Classroom(command) => classroom(command, db).await?,
        Command::Device(command) => device(command, db).await?,
        Command::Lesson(command) => return lesson(command, config, db).await,
        Command::Push(command) => push(command, db).await?,
        Command::Ticket(command) => ticket(command, config, db).await?,
        Command::Health(command) => health(command, db).await?,
        Command::Serve | Command::Init(_) | Command::Openapi => anyhow::bail!("not an admin subcommand"),
    }
    Ok(ExitCode::SUCCESS)
}

/// An API error on the command line: its sentence in English, and the detail.
fn plain(error: ApiError) -> anyhow::Error {
    let problem = error.problem(crate::config::Language::En, "");
    match problem.detail.as_str() {
        "" => anyhow::anyhow!(problem.message),
        detail => anyhow::anyhow!("{} ({detail})", problem.message),
    }
}

async fn user(command: User, config: &Config, db: &Db) -> anyhow::Result<()> {
    match command {
        User::Add { username, display_name, language, password_stdin } => {
            let username = crate::controllers::text("username", &username, 1, 64).map_err(plain)?;
            let (password, generated) = setup::password(password_stdin)?;
            let hash = auth::hash_password(&password)?;
            let shown = display_name.unwrap_or_else(|| username.clone());
            db.users().add(&username, &shown, &hash, language, Timestamp::now()).await?;
            setup::told(&username, &password, generated);
        }
        User::List(format) => {
            let users: Vec<_> = db.users().list().await?.iter().map(crate::db::users::User::session).collect();
            list(format, &users, &["USER", "NAME", "LANGUAGE"], || {
                users.iter().map(|u| vec![u.username.clone(), u.display_name.clone(), u.language.to_string()]).collect()
            })?;
        }
        User::Passwd { username, password_stdin } => {
            let known = db.users().find(&username).await?;
            anyhow::ensure!(known.is_some(), "there is no user {username} in {}; see user list", config.data.display());
            let (password, generated) = setup::password(password_stdin)?;
            db.users().set_password(&username, &auth::hash_password(&password)?).await?;
            setup::told(&username, &password, generated);
        }
    }
    Ok(())
}

async fn region(command: Region, db: &Db) -> anyhow::Result<()> {
    match command {
        Region::Add { name, kind, parent, code } => {
            let new = tree::checked_region(NewRegion { parent_id: parent, kind, name, code }).map_err(plain)?;
            println!("{}", db.tree().add_region(&new).await?);
        }
        Region::List(format) => {
            let regions = db.tree().all().await?.regions;
            list(format, &regions, &["ID", "PARENT", "KIND", "NAME", "CODE", "SCHOOLS"], || {
                let row = |r: &crate::api::tree::Region| {
                    vec![
                        r.id.to_string(),
                        or_dash(r.parent_id),
                        word(&r.kind),
                        r.name.clone(),
                        or_dash(r.code.as_deref()),
                        r.schools.len().to_string(),
                    ]
                };
                regions.iter().map(row).collect()
            })?;
        }
    }
    Ok(())
}

async fn school(command: School, db: &Db) -> anyhow::Result<()> {
    match command {
        School::Add { name, region, code, kind } => {
            let new = tree::checked_school(NewSchool { region_id: region, code, name, kind }).map_err(plain)?;
            println!("{}", db.tree().add_school(&new).await?);
        }
        School::List(format) => {
            let regions = db.tree().all().await?.regions;
            let schools: Vec<_> = regions.iter().flat_map(|r| r.schools.iter().map(move |s| (r, s))).collect();
            let items: Vec<_> = schools.iter().map(|(_, s)| s).collect();
            list(format, &items, &["ID", "CODE", "NAME", "KIND", "REGION", "CLASSROOMS", "DEVICES", "ONLINE"], || {
                let row = |(r, s): &(&crate::api::tree::Region, &crate::api::tree::SchoolSummary)| {
                    vec![
                        s.id.to_string(),
                        s.code.clone(),
                        s.name.clone(),
                        word(&s.kind),
                        r.name.clone(),
                        s.classrooms.to_string(),
                        s.devices.to_string(),
                        s.online.to_string(),
                    ]
                };
                schools.iter().map(row).collect()
            })?;
        }
    }
    Ok(())
}

async fn classroom(command: Classroom, db: &Db) -> anyhow::Result<()> {
    match command {
        Classroom::Add { name, school, code, grade } => {
            let new = tree::checked_classroom(NewClassroom { school_id: school, code, name, grade }).map_err(plain)?;
            println!("{}", db.tree().add_classroom(&new).await?);
        }
        Classroom::List { school, format } => {
            let rooms = db.tree().classrooms(school).await?;
            list(format, &rooms, &["ID", "SCHOOL", "CODE", "NAME", "GRADE"], || {
                let row = |c: &crate::api::tree::Classroom| {
                    vec![c.id.to_string(), c.school_id.to_string(), c.code.clone(), c.name.clone(), c.grade.clone()]
                };
                rooms.iter().map(row).collect()
            })?;
        }
    }
    Ok(())
}

async fn device(command: Device, db: &Db) -> anyhow::Result<()> {
    match command {
        Device::List(format) => {
            let devices = all(|page| {
                let query = DeviceQuery { page: Some(page), page_size: Some(MAX_PAGE_SIZE), ..Default::default() };
                async move { db.devices().list(&query).await }
            })
            .await?;
            list(format, &devices, &["ID", "SCHOOL", "CLASSROOM", "STATE", "READY", "ASSIGNED", "LAST SEEN", "AGENT"], || {
                let row = |d: &crate::api::devices::DeviceSummary| {
                    vec![
                        d.id.to_string(),
                        d.school.clone(),
                        d.classroom.clone(),
                        word(&d.state),
                        d.lessons_ready.to_string(),
                        d.lessons_assigned.to_string(),
                        or_dash(d.last_seen_at),
                        d.agent_version.clone(),
                    ]
                };
                devices.iter().map(row).collect()
            })
        }
        Device::Show { id, format } => {
            let device = db.devices().detail(&id).await?;
            list(format, &device, &["LESSON", "TITLE", "VERSION", "STATE", "DONE", "TOTAL", "REASON"], || {
                let row = |l: &crate::api::devices::DeviceLesson| {
                    vec![
                        l.lesson_id.to_string(),
                        l.title.clone(),
                        l.version.to_string(),
                        word(&l.state),
                        bytes(l.done_bytes),
                        bytes(l.total_bytes),
                        or_dash(l.reason.as_deref()),
                    ]
                };
                let s = &device.summary;
                println!("{} {} {} {}: {}", s.id, s.region, s.school, s.classroom, word(&s.state));
                device.lessons.iter().map(row).collect()
            })
        }
        Device::Command(command) => order(command, db).await,
    }
}

async fn order(command: DeviceCommand, db: &Db) -> anyhow::Result<()> {
    let (id, body, ttl_s) = match command {
        DeviceCommand::Reboot { id, delay_s, ttl_s } => (id, CommandBody::Reboot { delay_s }, ttl_s),
        DeviceCommand::Notice { id, title, text, urgent, show_for_s, ttl_s } => {
            let level = if urgent { NoticeLevel::Urgent } else { NoticeLevel::Standard };
            (id, CommandBody::Notice { level, title, text, show_for_s }, ttl_s)
        }
        DeviceCommand::List { id, format } => {
            let orders = db.commands().list(&id).await?;
            return list(format, &orders, &["ID", "KIND", "STATE", "ISSUED", "EXPIRES", "REASON"], || {
                let row = |c: &crate::api::commands::Command| {
                    let kind = match c.body {
                        CommandBody::Reboot { .. } => "reboot",
                        CommandBody::Notice { .. } => "notice",
                        CommandBody::Unknown => "unknown",
                    };
                    vec![
                        c.id.to_string(),
                        kind.to_owned(),
                        word(&c.state),
                        c.issued_at.to_string(),
                        c.expires_at.to_string(),
                        or_dash(c.reason.as_deref()),
                    ]
                };
                orders.iter().map(row).collect()
            });
        }
    };
    let order = commands::order(id, body, Some(ttl_s), Timestamp::now()).map_err(plain)?;
    db.commands().add(&order, BY).await?;
    println!("{}", order.id);
    Ok(())
}

async fn lesson(command: Lesson, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Lesson::Import { folder, format } => return import_folder(&folder, format, config, db).await,
        Lesson::List { retired, format } => {
            let lessons = all(|page| {
                let query = LessonQuery {
                    retired: Some(retired),
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..Default::default()
                };
                async move { db.lessons().list(&query).await }
            })
            .await?;
            list(format, &lessons, &["ID", "VERSION", "TITLE", "SUBJECT", "GRADE", "ITEMS", "SIZE"], || {
                let row = |l: &crate::api::lessons::LessonSummary| {
                    vec![
                        l.id.to_string(),
                        l.version.to_string(),
                        l.meta.title.clone(),
                        l.meta.subject.clone(),
                        l.meta.grade.clone(),
                        l.item_count.to_string(),
                        bytes(l.size_bytes),
                    ]
                };
                lessons.iter().map(row).collect()
            })?;
        }
        Lesson::Show { id, format } => {
            let lesson = db.lessons().detail(&id).await?;
            list(format, &lesson, &["FILE", "TYPE", "SIZE", "BLAKE3"], || {
                println!("{} version {}: {}", lesson.summary.id, lesson.summary.version, lesson.summary.meta.title);
                let row = |f: &crate::api::lessons::LessonFile| {
                    vec![f.path.to_string(), f.media_type.clone(), bytes(f.size_bytes), f.hash.to_hex()]
                };
                lesson.files.iter().map(row).collect()
            })?;
        }
        Lesson::Retire { id } => db.lessons().retire(&id, Timestamp::now()).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Imports all that is good; fails if anything was refused.
async fn import_folder(folder: &Path, format: Format, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    #[derive(serde::Serialize)]
    struct Line {
        folder: String,
        result: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        ignored: Vec<String>,
    }
    let importer = Importer {
        db: db.clone(),
        objects: Objects::open(&config.data.join("objects"), config.reserve_bytes)
            .with_context(|| format!("Failed to open the lesson files in {}", config.data.display()))?,
        keys: Arc::new(SigningKeys::open_or_create(&config.data.join("keys"))?),
        max_lesson_bytes: config.max_upload_bytes,
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
                    code: Some(error.code()),
                    error: Some(error.to_string()),
                    ignored: Vec::new(),
                }
            }
        });
    }
    list(format, &lines, &["FOLDER", "RESULT", "LESSON", "VERSION"], || {
        let row = |l: &Line| {
            vec![l.folder.clone(), l.result.to_owned(), or_dash(l.id.as_deref()), or_dash(l.version)]
        };
        lines.iter().map(row).collect()
    })?;
    Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn push(command: Push, db: &Db) -> anyhow::Result<()> {
    match command {
        Push::Create { target, lessons, pinned, needed_by } => {
            let new = NewPush { lesson_ids: lessons, target: place(target)?, pinned, needed_by };
            pushes::check(&new).map_err(plain)?;
            println!("{}", db.pushes().add(&new, BY, Timestamp::now()).await?);
        }
        Push::List(format) => {
            let found = all(|page| {
                let query = PushQuery { page: Some(page), page_size: Some(MAX_PAGE_SIZE), ..Default::default() };
                async move { db.pushes().list(&query).await }
            })
            .await?;
            list(format, &found, &["ID", "TO", "LESSONS", "READY", "DEVICES", "FAILED", "DONE", "WITHDRAWN"], || {
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
            })?;
        }
        Push::Show { id, format } => {
            let devices = all(|page| {
                let query = PushDeviceQuery { page: Some(page), page_size: Some(MAX_PAGE_SIZE) };
                async move { db.pushes().devices(id, &query).await }
            })
            .await?;
            list(format, &devices, &["DEVICE", "SCHOOL", "CLASSROOM", "STATE", "READY", "LESSONS", "DONE", "REASON"], || {
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
            })?;
        }
        Push::Withdraw { id } => db.pushes().withdraw(id, Timestamp::now()).await?,
    }
    Ok(())
}

fn place(target: Target) -> anyhow::Result<PushTarget> {
    let Target { region, school, classroom, device } = target;
    region
        .map(|id| PushTarget::Region { id })
        .or_else(|| school.map(|id| PushTarget::School { id }))
        .or_else(|| classroom.map(|id| PushTarget::Classroom { id }))
        .or_else(|| device.map(|id| PushTarget::Device { id }))
        .context("say where to: --region, --school, --classroom or --device")
}

async fn ticket(command: Ticket, config: &Config, db: &Db) -> anyhow::Result<()> {
    match command {
        Ticket::New { classroom, out, ttl_hours, console_url, broker } => {
            let (broker_host, broker_port) = match broker.as_deref().map(|b| b.rsplit_once(':')) {
                None => (None, None),
                Some(Some((host, port))) => {
                    let port = port.parse().with_context(|| format!("--broker: {port:?} is not a port"))?;
                    (Some(host.trim_matches(['[', ']']).to_owned()), Some(port))
                }
                Some(None) => anyhow::bail!("--broker: expected HOST:PORT"),
            };
            let pki = Pki::open_or_create(&config.data.join("pki"), &config.certificate_hosts())?;
            let new =
                NewTicket { classroom_id: classroom, ttl_hours: Some(ttl_hours), console_url, broker_host, broker_port };
            let issued = tickets::issue(db, config, pki.ca_pem(), &new, Timestamp::now()).await.map_err(plain)?;
            let text = serde_json::to_string_pretty(&issued.ticket)?;
            if out == Path::new("-") {
                println!("{text}");
            } else {
                write_private(&out, &text).with_context(|| format!("Failed to write {}", out.display()))?;
                println!("ticket {} written to {}, good until {}", issued.id, out.display(), issued.ticket.expires_at);
            }
        }
        Ticket::List(format) => {
            let found = db.tickets().list(Timestamp::now()).await?;
            list(format, &found, &["ID", "SCHOOL", "CLASSROOM", "STATE", "EXPIRES", "DEVICE"], || {
                let row = |t: &crate::api::tickets::Ticket| {
                    vec![
                        t.id.to_string(),
                        t.school.clone(),
                        t.classroom.clone(),
                        word(&t.state),
                        t.expires_at.to_string(),
                        or_dash(t.device_id.as_deref()),
                    ]
                };
                found.iter().map(row).collect()
            })?;
        }
    }
    Ok(())
}

/// The ticket lets a device in, so nobody else on this machine should read it.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

async fn health(command: Health, db: &Db) -> anyhow::Result<()> {
    let to = command.to.unwrap_or_else(Timestamp::now);
    let from = match command.from {
        Some(from) => from,
        None => to.saturating_sub(SignedDuration::from_hours(24))?,
    };
    let series = db.health().series(&command.id, from, to, command.max_points.clamp(2, 100_000)).await?;
    list(command.format, &series, &["AT", "BOOT", "SEQ", "CPU %", "MEMORY FREE", "DISK FREE", "°C"], || {
        let row = |p: &crate::api::health::HealthPoint| {
            vec![
                p.at.to_string(),
                p.boot_id.as_str().chars().take(8).collect(),
                p.seq.to_string(),
                or_dash(p.readings.cpu_percent.map(|v| format!("{v:.1}"))),
                or_dash(p.readings.memory_available_bytes.map(bytes)),
                or_dash(p.readings.disk_free_bytes.map(bytes)),
                or_dash(p.readings.temperature_celsius.map(|v| format!("{v:.1}"))),
            ]
        };
        series.points.iter().map(row).collect()
    })
}

/// Every page of a list.
async fn all<T, F>(mut page: impl FnMut(u32) -> F) -> anyhow::Result<Vec<T>>
where
    F: Future<Output = crate::db::DbResult<(Vec<T>, u64)>>,
{
    let mut items = Vec::new();
    for number in 1.. {
        let (some, total) = page(number).await?;
        let last = some.is_empty();
        items.extend(some);
        if last || items.len() as u64 >= total {
            break;
        }
    }
    Ok(items)
}
