//! How far the first run is, for whoever sits at the console's machine.

use clap::Subcommand;
use jiff::Timestamp;

use super::{args::Format, show::list};
use crate::{
    api::setup::{FurtherKind, SetupStatus, SetupStepKind},
    config::Config,
    controllers::setup,
    db::Db,
};

/// `setup`.
#[derive(Debug, Subcommand)]
pub enum SetupCommand {
    /// Show what of the first run is done, and what is next.
    Status(Format),
}

pub(super) async fn first_run(command: SetupCommand, config: &Config, db: &Db) -> anyhow::Result<()> {
    let SetupCommand::Status(format) = command;
    let status = setup::everything(db, config, Timestamp::now()).await?;
    list(format, &status, &["STEP", "DONE", "WHAT THERE IS"], || {
        let step = |s: &crate::api::setup::SetupStep| {
            vec![
                s.step.as_str().to_owned(),
                if s.done { "yes" } else { "-" }.to_owned(),
                there_is(&status, s.step),
            ]
        };
        status.steps.iter().map(step).collect()
    })?;
    if !format.json {
        for line in advice(&status) {
            println!("{line}");
        }
    }
    Ok(())
}

fn there_is(status: &SetupStatus, step: SetupStepKind) -> String {
    match step {
        SetupStepKind::County => format!("{} regions", status.regions),
        SetupStepKind::Places => format!("{} schools, {} classrooms", status.schools, status.classrooms),
        SetupStepKind::Device => format!(
            "{} devices, {} heard; {} tickets open",
            status.devices_total, status.devices_heard, status.tickets_open
        ),
        SetupStepKind::Lesson => format!("{} lessons, {} released", status.lessons, status.lessons_released),
        SetupStepKind::Push => format!("{} pushes, {} devices ready", status.pushes, status.devices_ready),
    }
}

/// What to do now, as sentences.
fn advice(status: &SetupStatus) -> Vec<String> {
    let mut lines = vec![match status.next {
        Some(SetupStepKind::County) => "next: bbt-console region add --kind county NAME".to_owned(),
        Some(SetupStepKind::Places) => {
            "next: bbt-console roster import FILE --county ID --apply, or school add and classroom add"
                .to_owned()
        }
        Some(SetupStepKind::Device) => "next: bbt-console ticket new, and enrol a board with it".to_owned(),
        Some(SetupStepKind::Lesson) => match &status.waiting_lesson {
            Some(lesson) => format!(
                "next: {} ({}) waits for its review: {}",
                lesson.title,
                lesson.id,
                lesson.waits_for.map_or("nothing", |step| step.as_str())
            ),
            None => "next: bbt-console lesson import FOLDER, and have it reviewed".to_owned(),
        },
        Some(SetupStepKind::Push) => {
            "next: bbt-console push create, and wait until a device is ready".to_owned()
        }
        None => "all steps are done".to_owned(),
    }];
    if status.addresses.local_only {
        lines.push(format!(
            "boards elsewhere cannot find {}: set public_host in console.toml and start the console again",
            status.addresses.devices_url
        ));
    }
    if status.next.is_none() {
        for further in status.further.iter().filter(|f| !f.done) {
            lines.push(match further.what {
                FurtherKind::People => "then: an account for each person: bbt-console user add".to_owned(),
                FurtherKind::Backup => {
                    "then: backups: bbt-console backup key, then [backup] in console.toml".to_owned()
                }
                FurtherKind::Channel => {
                    "then: a way to tell people of alerts: bbt-console channel add".to_owned()
                }
            });
        }
    }
    lines
}
