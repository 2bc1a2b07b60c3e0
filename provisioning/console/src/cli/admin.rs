//! Admin subcommands on the database and the objects.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use jiff::Timestamp;

use super::{
    args::{Command, Ticket},
    devices, lessons, places, roster,
    show::{list, or_dash, word},
};
use crate::{
    api::tickets::NewTicket, config::Config, controllers::tickets, db::Db, error::ApiError, pki::Pki,
};

/// Who orders and pushes from the command line.
pub(super) const BY: &str = "bbt-console (command line)";

pub(super) async fn run(command: Command, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Command::User(command) => places::user(command, config, db).await?,
        Command::Region(command) => places::region(command, db).await?,
        Command::School(command) => places::school(command, db).await?,
        Command::Classroom(command) => places::classroom(command, db).await?,
        Command::Roster(command) => return roster::roster(command, config, db).await,
        Command::Device(command) => devices::device(command, db).await?,
        Command::Lesson(command) => return lessons::lesson(command, config, db).await,
        Command::Push(command) => lessons::push(command, db).await?,
        Command::Ticket(command) => ticket(command, config, db).await?,
        Command::Health(command) => devices::health(command, db).await?,
        Command::Serve | Command::Init(_) | Command::Openapi => anyhow::bail!("not an admin subcommand"),
    }
    Ok(ExitCode::SUCCESS)
}

/// An API error on the command line: its sentence in English, and the detail.
pub(super) fn plain(error: ApiError) -> anyhow::Error {
    let problem = error.problem(crate::config::Language::En, "");
    match problem.detail.as_str() {
        "" => anyhow::anyhow!(problem.message),
        detail => anyhow::anyhow!("{} ({detail})", problem.message),
    }
}

async fn ticket(command: Ticket, config: &Config, db: &Db) -> anyhow::Result<()> {
    match command {
        Ticket::New {
            classroom,
            out,
            ttl_hours,
            console_url,
            broker,
        } => {
            let (broker_host, broker_port) = match broker.as_deref().map(|b| b.rsplit_once(':')) {
                None => (None, None),
                Some(Some((host, port))) => {
                    let port = port
                        .parse()
                        .with_context(|| format!("--broker: {port:?} is not a port"))?;
                    (Some(host.trim_matches(['[', ']']).to_owned()), Some(port))
                }
                Some(None) => anyhow::bail!("--broker: expected HOST:PORT"),
            };
            let pki = crate::pki::open(config)?.pki;
            let new = NewTicket {
                classroom_id: classroom,
                ttl_hours: Some(ttl_hours),
                console_url,
                broker_host,
                broker_port,
            };
            let issued = tickets::issue(db, config, pki.ca_pem(), &new, Timestamp::now())
                .await
                .map_err(plain)?;
            let text = serde_json::to_string_pretty(&issued.ticket)?;
            if out == Path::new("-") {
                println!("{text}");
            } else {
                write_private(&out, &text).with_context(|| format!("Failed to write {}", out.display()))?;
                println!(
                    "ticket {} written to {}, good until {}",
                    issued.id,
                    out.display(),
                    issued.ticket.expires_at
                );
            }
        }
        Ticket::List(format) => {
            let found = db.tickets().list(Timestamp::now()).await?;
            list(
                format,
                &found,
                &["ID", "SCHOOL", "CLASSROOM", "STATE", "EXPIRES", "DEVICE"],
                || {
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
                },
            )?;
        }
    }
    Ok(())
}

/// The ticket lets a device in, so nobody else on this machine should read it.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// Every page of a list.
pub(super) async fn all<T, F>(mut page: impl FnMut(u32) -> F) -> anyhow::Result<Vec<T>>
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
