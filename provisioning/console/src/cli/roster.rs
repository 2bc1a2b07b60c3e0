//! The roster on the command line.

use std::process::ExitCode;

use anyhow::Context;

use super::{admin::plain, args::Roster, show::harmless};
use crate::{
    config::Config,
    controllers::roster,
    db::Db,
    domain::roster::{Encoding, csv_template, xlsx_template},
};

pub(super) async fn roster(command: Roster, config: &Config, db: &Db) -> anyhow::Result<ExitCode> {
    match command {
        Roster::Template { out } => {
            let csv = out.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
            let bytes = if csv { csv_template(true) } else { xlsx_template()? };
            std::fs::write(&out, bytes).with_context(|| format!("Failed to write {}", out.display()))?;
            println!("{}", out.display());
            Ok(ExitCode::SUCCESS)
        }
        Roster::Import {
            file,
            county,
            apply,
            format,
        } => {
            let bytes = std::fs::read(&file).with_context(|| format!("Failed to read {}", file.display()))?;
            let report = roster::run(db, county, bytes, Encoding::Guess, apply, config.language)
                .await
                .map_err(plain)?;
            if format.json {
                println!("{}", serde_json::to_string_pretty(&report)?);
            } else {
                for error in &report.errors {
                    let sheet = if error.sheet.is_empty() {
                        String::new()
                    } else {
                        format!("{}!", error.sheet)
                    };
                    let line = format!("{sheet}{} {}: {}", error.row, error.column, error.message);
                    println!("{}", harmless(line));
                }
                for change in &report.changes {
                    let line = format!("{} {} {}", change.code, change.name, change.what.join("; "));
                    println!("{}", harmless(line));
                }
                let (s, c) = (report.schools, report.classrooms);
                println!(
                    "rows {}; schools +{} ~{} ={}; classrooms +{} ~{} ={}; errors {}; {}",
                    report.rows,
                    s.added,
                    s.changed,
                    s.same,
                    c.added,
                    c.changed,
                    c.same,
                    report.error_count,
                    if report.applied {
                        "applied"
                    } else {
                        "nothing was changed"
                    }
                );
            }
            Ok(if report.error_count > 0 {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            })
        }
    }
}
