//! `bbt-agent`: arguments in, one command run, one error printed.
#![forbid(unsafe_code)]

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use bbt_agent::{
    boards,
    config::Config,
    identity::IdentityFolder,
    io,
    io::enrol::{Enrolled, Means, say_already, say_enrolled, say_restart_needed},
    io::tls::TimeFloor,
    lock::DataLock,
    recent, run, store, trust, who,
};
use clap::{Parser, Subcommand};
use contract::id::LessonId;
use tracing_subscriber::{EnvFilter, fmt::writer::MakeWriterExt};

/// The classroom device: keeps lessons, plays them, reports health.
#[derive(Debug, Parser)]
#[command(name = "bbt-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs until it is told to stop.
    Run(ConfigFile),
    /// Gets an identity from the console with a ticket. An identity from before is replaced only when all went well.
    Enrol {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        with: EnrolWith,
        /// Code of the classroom where the board stands, for a ticket that is a school's.
        #[arg(long, value_name = "CODE")]
        classroom: Option<String>,
        /// Also when the same console enrolled the device already.
        #[arg(long, conflicts_with = "usb")]
        again: bool,
    },
    /// Does whatever a USB disk's folder bbt/ offers this board: unlock it, enrol it, make its county known.
    Usb {
        #[command(flatten)]
        config: ConfigFile,
        /// The disk, or any folder with a folder bbt/ in it.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Code of the classroom where the board stands, where the disk holds tickets for several.
        #[arg(long, value_name = "CODE")]
        classroom: Option<String>,
    },
    /// Says who the device is and how it is, as JSON.
    Status(ConfigFile),
    /// Says who the device is, how it stands with its console, and what it knows of the time, as JSON.
    Identity(ConfigFile),
    /// Lesson packs on USB disks and discs.
    Pack {
        #[command(subcommand)]
        command: PackCommand,
    },
    /// Looks after the lessons of a stopped agent.
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Board files: what a board is.
    Board {
        #[command(subcommand)]
        command: BoardCommand,
    },
}

#[derive(Debug, Subcommand)]
enum BoardCommand {
    /// Lists the boards in the program and in a folder.
    List {
        /// A folder with board files of your own.
        #[arg(long, value_name = "DIR")]
        boards: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Checks board files, and what they inherit; exit code 1 if one is wrong.
    Check {
        /// `<model>-rev-<revision>.toml`
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the JSON Schema of board files, for editors.
    Schema,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct EnrolWith {
    /// The ticket, a JSON file from the console.
    #[arg(long, value_name = "FILE")]
    ticket: Option<PathBuf>,
    /// The code on the label, nine characters; the county must be known ([county] file, or county.json in data_dir).
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// A USB disk, or any folder with a folder bbt/ in it.
    #[arg(long, value_name = "DIR")]
    usb: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum PackCommand {
    /// Says what packs are on a disk and what of them is believed, as JSON.
    Show(PackDisk),
    /// Takes the assigned lessons from a disk into a stopped agent, as JSON; a running one does that by itself.
    Import {
        #[command(flatten)]
        on: PackDisk,
        /// Also the lessons that are not assigned.
        #[arg(long)]
        all: bool,
    },
    /// Makes a lesson of the school's own (校本) of the files in a folder, in the order of their names; a running agent does
    /// that from its page.
    Build(PackBuild),
    /// Lets the running agent write what it holds and how it was on a disk (回执).
    Receipts(PackDisk),
}

#[derive(Debug, clap::Args)]
struct PackBuild {
    #[command(flatten)]
    config: ConfigFile,
    /// Where the PPT, PDF, MP4, MP3 and picture files lie.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// 课题.
    #[arg(long)]
    title: String,
    /// 学科.
    #[arg(long)]
    subject: String,
    /// 年级.
    #[arg(long, default_value = "")]
    grade: String,
    /// 册次.
    #[arg(long, default_value = "")]
    volume: String,
    /// 章节.
    #[arg(long, default_value = "")]
    chapter: String,
    /// The lesson of which it is the next version.
    #[arg(long, value_name = "LESSON")]
    replaces: Option<LessonId>,
    /// Also writes it as a pack for the school's other boards on the disk that is mounted here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct PackDisk {
    #[command(flatten)]
    config: ConfigFile,
    /// Where the disk is mounted.
    #[arg(value_name = "DIR")]
    disk: PathBuf,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Compares the index with the files, as JSON; exit code 1 if they disagree.
    Check(ConfigFile),
    /// Builds the index anew from files and manifests.
    Rebuild(ConfigFile),
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE", default_value = "/etc/bbt-agent.toml")]
    config: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(Config::load(&self.config)?)
    }
}

fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_env("BBT_AGENT_LOG").unwrap_or_else(|_| EnvFilter::new("info,sled=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr.and(recent::Recent))
        .init();
    match perform(&Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bbt-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(file) => {
            let config = file.load()?;
            let runtime = runtime()?;
            let ended = runtime.block_on(run::run(config));
            // A read that hangs on a dying disk must not keep the process.
            runtime.shutdown_timeout(Duration::from_secs(3));
            ended.map(|()| ExitCode::SUCCESS)
        }
        Command::Enrol {
            config,
            with,
            classroom,
            again,
        } => {
            let config = config.load()?;
            match (&with.ticket, &with.code) {
                (Some(file), _) => enrol(&config, Means::Ticket(file), classroom.as_deref(), *again),
                (None, Some(code)) => enrol(&config, Means::Code(code), classroom.as_deref(), *again),
                (None, None) => {
                    let folder = with
                        .usb
                        .as_deref()
                        .context("give one of --ticket, --code, --usb")?;
                    usb(config, folder, classroom.as_deref())
                }
            }
        }
        Command::Usb {
            config,
            folder,
            classroom,
        } => usb(config.load()?, folder, classroom.as_deref()),
        Command::Status(file) => status(&file.load()?),
        Command::Identity(file) => {
            print(&who::identity(&file.load()?)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Pack { command } => pack(command),
        Command::Board { command } => board(command),
        Command::Store {
            command: StoreCommand::Check(file),
        } => {
            let config = file.load()?;
            let _lock = DataLock::take(&config.data_dir)?;
            let report = store::check(&config.data_dir)?;
            print(&serde_json::to_value(&report)?)?;
            Ok(if report.disagreements.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        Command::Store {
            command: StoreCommand::Rebuild(file),
        } => {
            let config = file.load()?;
            let _lock = DataLock::take(&config.data_dir)?;
            let identity = IdentityFolder::of(&config).identity()?;
            let identity = identity.context("this device is not enrolled: no manifest could be believed")?;
            let trust = trust::resume(&config.data_dir, &identity.reply);
            let report = store::rebuild(&config.data_dir, trust.keys_of_the_held())?;
            print(&serde_json::to_value(&report)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Exit code 1 if a file is wrong.
fn board(command: &BoardCommand) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    match command {
        BoardCommand::List { boards, json: true } => print(&boards::list(boards.as_deref())?.into())?,
        BoardCommand::List { boards, json: false } => {
            write!(out, "{}", boards::list_lines(boards.as_deref())?)?;
        }
        BoardCommand::Schema => print(&boards::schema())?,
        BoardCommand::Check { files, json } => {
            let mut all_good = true;
            let mut told = Vec::new();
            for file in files {
                match boards::check(file) {
                    Ok(board) if *json => told.push(board),
                    Ok(board) => writeln!(out, "{}", boards::good(file, &board))?,
                    Err(error) => {
                        all_good = false;
                        if *json {
                            told.push(serde_json::json!({ "file": file, "error": error.to_string() }));
                        } else {
                            writeln!(std::io::stderr(), "bbt-agent: {error}")?;
                        }
                    }
                }
            }
            if *json {
                print(&told.into())?;
            }
            if !all_good {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Few threads with small stacks: each one costs memory on a board that has little. There are more blocking ones than other
/// boards can keep busy (`io/lan` hands out twelve chunks at a time), so that the player always finds one; they exist only
/// while they are used.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(28)
        .thread_stack_size(1024 * 1024)
        .thread_name("bbt")
        .enable_all()
        .build()
        .context("Failed to start the runtime")
}

fn enrol(
    config: &Config,
    means: Means<'_>,
    classroom: Option<&str>,
    again: bool,
) -> anyhow::Result<ExitCode> {
    io::tls::install_provider();
    let folder = IdentityFolder::of(config);
    let replaces = folder.identity().is_ok_and(|identity| identity.is_some());
    let language = config.language;
    // Not a part of the result, so not on standard output.
    let tell = |sentence: &str| {
        let _ = writeln!(std::io::stderr(), "bbt-agent: {sentence}");
    };
    let asked = io::enrol::enrol(config, means, classroom, again, tell);
    let device_id = match runtime()?.block_on(asked) {
        Ok(Enrolled::Now(device_id)) => device_id,
        Ok(Enrolled::Already(device_id)) => {
            writeln!(std::io::stdout(), "{}", say_already(language, &device_id))?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            writeln!(std::io::stderr(), "bbt-agent: {}", error.say(language))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut out = std::io::stdout();
    writeln!(out, "{}", say_enrolled(language, &device_id))?;
    if replaces && DataLock::take(&config.data_dir).is_err() {
        writeln!(out, "{}", say_restart_needed(language))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Exit code 1 if the disk was of no use, or somebody has to choose first.
fn usb(config: Config, folder: &Path, classroom: Option<&str>) -> anyhow::Result<ExitCode> {
    io::tls::install_provider();
    let language = config.language;
    let board = io::usb::Board {
        hardware: io::hardware::hardware(&config),
        config: Arc::new(config),
        floor: TimeFloor::default(),
        by_hand: true,
    };
    let visit = match board.visit(folder, classroom) {
        Ok(visit) => visit,
        Err(error) => {
            let said = error.said();
            writeln!(std::io::stderr(), "bbt-agent: {}", said.in_language(language))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    for done in &visit.done {
        writeln!(std::io::stdout(), "{}", done.said().in_language(language))?;
    }
    if visit.offered.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let said = io::usb::say_choose(&visit.offered);
    writeln!(std::io::stderr(), "bbt-agent: {}", said.in_language(language))?;
    Ok(ExitCode::FAILURE)
}

/// Exit code 1 if something did not come.
fn pack(command: &PackCommand) -> anyhow::Result<ExitCode> {
    match command {
        PackCommand::Show(on) => print(&io::pack::cli::show(&on.config.load()?, &on.disk)?)?,
        PackCommand::Import { on, all } => {
            let (taken, good) = io::pack::cli::take(&on.config.load()?, &on.disk, *all)?;
            print(&taken)?;
            if !good {
                return Ok(ExitCode::FAILURE);
            }
        }
        PackCommand::Build(build) => print(&build_lesson(build)?)?,
        PackCommand::Receipts(on) => {
            io::tls::install_provider();
            let said = runtime()?.block_on(io::pack::cli::receipt(&on.config.load()?, &on.disk))?;
            writeln!(std::io::stdout(), "{said}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn build_lesson(build: &PackBuild) -> anyhow::Result<serde_json::Value> {
    let wanted = io::pack::make::NewLesson {
        title: build.title.clone(),
        subject: build.subject.clone(),
        grade: build.grade.clone(),
        volume: build.volume.clone(),
        chapter: build.chapter.clone(),
        files: Vec::new(),
        again: build.replaces.clone(),
    };
    io::pack::cli::build(&build.config.load()?, &build.folder, wanted, build.out.as_deref())
}

fn status(config: &Config) -> anyhow::Result<ExitCode> {
    let identity = IdentityFolder::of(config).identity()?;
    let who = who::identity(config)?;
    let running = DataLock::take(&config.data_dir)
        .err()
        .map(|error| error.to_string());
    let player = format!("http://{}/", config.player.listen);
    let shelf = if running.is_some() {
        runtime()?.block_on(shelf(&player))
    } else {
        None
    };
    print(&serde_json::json!({
        "device_id": identity.as_ref().map(|i| &i.reply.device_id),
        "placement": identity.as_ref().map(|i| &i.reply.placement),
        "console_url": identity.as_ref().map(|i| &i.console_url),
        "data_dir": config.data_dir,
        "state": who["state"],
        "standing": who["standing"],
        "provisional": who["state"] == "provisional",
        "running": running.is_some(),
        "player": player,
        "shelf": shelf,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// What the running agent shows on its player; `None` if it does not answer.
async fn shelf(player: &str) -> Option<serde_json::Value> {
    io::tls::install_provider();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()
        .ok()?;
    client
        .get(format!("{player}api/shelf"))
        .send()
        .await
        .ok()?
        .json()
        .await
        .ok()
}

fn print(value: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    writeln!(std::io::stdout(), "{text}").context("Failed to print")
}
