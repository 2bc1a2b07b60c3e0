//! Admin subcommands on the database and the objects.

use std::process::ExitCode;

use super::{
    args::{Command, Device},
    claim, devices, lessons, places, roster, ticket, usb,
};
use crate::{config::Config, db::Db, error::ApiError};

/// Who orders and pushes from the command line.
pub(super) const BY: &str = "bbt-console (command line)";

pub(super) async fn run(command: Command, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Command::Audit(command) => return super::audit::audit(command, config, db).await,
        Command::User(command) => super::users::user(command, config, db).await?,
        Command::Region(command) => places::region(command, db).await?,
        Command::School(command) => places::school(command, db).await?,
        Command::Classroom(command) => places::classroom(command, db).await?,
        Command::Roster(command) => return roster::roster(command, config, db).await,
        Command::Usage(command) => super::records::usage(command, db).await?,
        Command::Bandwidth(command) => super::bandwidth::bandwidth(command, config, db).await?,
        Command::Exam(command) => super::exams::exam(command, db).await?,
        Command::Fault(command) => super::records::fault(command, db).await?,
        Command::Order(command) => super::orders::order(command, config, db).await?,
        Command::Asset(command) => super::orders::asset(command, db).await?,
        Command::Area(command) => super::orders::area(command, db).await?,
        Command::Alert(command) => super::alerts::alert(command, db).await?,
        Command::Incident(command) => super::alerts::incident(command, db).await?,
        Command::Window(command) => super::alerts::window(command, db).await?,
        Command::Channel(command) => super::alerts::channel(command, config, db).await?,
        Command::Escalation(command) => super::alerts::escalation(command, db).await?,
        Command::Notice(command) => super::records::notice(command, db).await?,
        Command::Report(command) => return super::reports::report(command, config, db).await,
        Command::Timetable(command) => return super::timetables::timetable(command, config, db).await,
        Command::Device(Device::Standing(command)) => super::standing::standing(command, config, db).await?,
        Command::Device(command) => devices::device(command, db).await?,
        Command::Lesson(command) => return lessons::lesson(command, config, db).await,
        Command::Pack(command) => return super::pack::pack(command, config, db).await,
        Command::Push(command) => lessons::push(command, db).await?,
        Command::Ticket(command) => ticket::ticket(command, config, db).await?,
        Command::Usb(command) => return usb::usb(command, config, db).await,
        Command::County(command) => usb::county(command, config, db).await?,
        Command::Claim(command) => claim::claim(command, config, db).await?,
        Command::Clone(command) => super::clone::clone(command, db).await?,
        Command::Ca(command) => super::ca::ca(command, config, db).await?,
        Command::Trust(command) => return super::trust::trust(command, config, db).await,
        Command::Clock(command) => super::clock::clock(command, db).await?,
        Command::Security(command) => super::security::security(command, db).await?,
        Command::Broker(command) => super::broker::broker(command, config, db).await?,
        Command::Health(command) => devices::health(command, db).await?,
        Command::Fleet(command) => super::fleet::fleet(command, db).await?,
        Command::Events(command) => super::fleet::events(command, db).await?,
        Command::Series(command) => super::fleet::series(command, db).await?,
        Command::Setup(command) => super::first_run::first_run(command, config, db).await?,
        Command::Restore(command) => super::backup::restore(command, db).await?,
        Command::Serve
        | Command::Init(_)
        | Command::Openapi
        | Command::Backup(_)
        | Command::Completion(_)
        | Command::Man(_) => anyhow::bail!("not an admin subcommand"),
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
