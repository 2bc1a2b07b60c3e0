//! The command line. Admin subcommands open the data folder beside a serving console; what they change it picks up.
// Printing is this module's duty.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod admin;
mod alerts;
mod answers;
mod args;
mod audit;
mod backup;
mod bandwidth;
mod board_orders;
mod broker;
mod bulk;
mod ca;
mod claim;
mod clock;
mod clone;
mod completion;
mod device_lists;
mod devices;
mod exams;
mod first_run;
mod fleet;
mod lessons;
mod orders;
mod pack;
mod places;
mod records;
mod reports;
mod roster;
mod school;
mod security;
mod setup;
mod show;
mod standing;
mod ticket;
mod timetables;
mod trust;
mod usb;
mod users;

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Context;
pub use args::Cli;
use clap::CommandFactory;
use tracing::Instrument;
use tracing_subscriber::EnvFilter;

use self::args::Command;
use crate::{app::make_private, audit as audit_log, config::Config, db::Db, router, serve};

/// Runs one command to its end; an error is printed once.
pub fn main(cli: Cli) -> ExitCode {
    let default = if matches!(cli.command, Command::Serve) {
        "info"
    } else {
        "warn"
    };
    let filter = EnvFilter::try_from_env("BBT_CONSOLE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .init();
    // One TLS provider for all; a second call only means that it is set.
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: failed to start: {error}");
            return ExitCode::FAILURE;
        }
    };
    // As a request's: it stands in the audit log beside what the command changed, and in each line that it logs.
    let request_id = uuid::Uuid::now_v7().simple().to_string();
    let serving = matches!(cli.command, Command::Serve);
    let work = run(cli, &request_id);
    let done = if serving {
        runtime.block_on(work) // each request has its own
    } else {
        runtime.block_on(work.instrument(tracing::error_span!("command", %request_id)))
    };
    let code = match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            eprintln!("request id: {request_id}");
            ExitCode::FAILURE
        }
    };
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    code
}

/// Everything typed here is done in the name of the operating system's user.
fn by(request_id: &str) -> audit_log::Context {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|key| std::env::var(key).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| {
            use std::os::unix::fs::MetadataExt;
            let uid = std::fs::metadata("/proc/self").map(|m| m.uid().to_string());
            let uid = uid.unwrap_or_default();
            let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            let named = users.lines().find_map(|line| {
                let mut fields = line.split(':');
                let name = fields.next()?;
                (fields.nth(1)? == uid).then(|| name.to_owned())
            });
            named.unwrap_or_else(|| format!("uid {uid}"))
        });
    // The words of the command without what was given to them: `cli.user.passwd`.
    let mut action = "cli".to_owned();
    if let Ok(matches) = Cli::command().try_get_matches_from(std::env::args_os()) {
        let mut at = &matches;
        while let Some((word, below)) = at.subcommand() {
            action.push('.');
            action.push_str(word);
            at = below;
        }
    }
    audit_log::Context::new(audit_log::ActorKind::Cli, &name, &action).from("", request_id)
}

async fn run(cli: Cli, request_id: &str) -> anyhow::Result<ExitCode> {
    let by = by(request_id);
    match cli.command {
        Command::Openapi => println!("{}", serde_json::to_string_pretty(&router::openapi())?),
        Command::Completion(wish) => completion::completion(&wish),
        Command::Man(wish) => completion::man(&wish)?,
        Command::Backup(command) => return by.scope(backup::backup(command, &cli.data)).await,
        Command::Serve => serve::serve(&cli.data).await?,
        Command::Init(init) => by.scope(setup::init(&cli.data, init)).await?,
        command => {
            let config = Config::load(&cli.data)?;
            let db = open(&cli.data).await?;
            let code = by.scope(admin::run(command, &config, &db)).await;
            db.close().await;
            return code;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the database of a folder that `init` has made.
async fn open(data: &std::path::Path) -> anyhow::Result<Db> {
    anyhow::ensure!(
        data.join(crate::db::FILE_NAME).is_file(),
        "there is no console in the data folder {}; make one with: bbt-console --data {} init",
        data.display(),
        data.display()
    );
    make_private(data)?;
    Db::open(data)
        .await
        .with_context(|| format!("Failed to open the database in {}", data.display()))
}
