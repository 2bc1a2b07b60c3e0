//! Many lessons at once on the command line.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use jiff::Timestamp;

use super::{args::Format, show::harmless};
use crate::{
    config::Language,
    domain::{
        bulk::{
            csv_template,
            run::{self, Wish},
            xlsx_template,
        },
        import::Importer,
        roster::Encoding,
    },
};

/// Exit code 1 if anything is wrong.
pub(super) async fn bulk(
    importer: &Importer,
    folder: PathBuf,
    table: Option<PathBuf>,
    apply: bool,
    language: Language,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let table = table
        .map(|file| std::fs::read(&file).with_context(|| format!("Failed to read {}", file.display())))
        .transpose()?;
    let wish = Wish {
        root: folder,
        table: table.map(|bytes| (bytes, Encoding::Guess)),
        apply,
        language,
    };
    let report = run::run(importer, wish, Timestamp::now()).await?;
    if format.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        for error in &report.errors {
            let row = if error.row == 0 {
                String::new()
            } else {
                format!(" {}", error.row)
            };
            let line = format!("{}{row}: {}", error.place, error.message);
            println!("{}", harmless(line));
        }
        for file in &report.ignored {
            println!("{}: -", harmless(file));
        }
        let complete = &report.complete;
        println!(
            "lessons {}; new {}; updated {}; unchanged {}; refused {}; errors {}; with 学段 学科 版本 年级 册次: {} of {} ({}.{} %); {}",
            report.lessons,
            report.new,
            report.updated,
            report.unchanged,
            report.refused,
            report.error_count,
            complete.complete,
            complete.lessons,
            complete.permille / 10,
            complete.permille % 10,
            if report.applied {
                "imported"
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

/// Writes the empty table; what it is follows from the name.
pub(super) fn template(out: &Path) -> anyhow::Result<()> {
    let csv = out.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let bytes = if csv { csv_template() } else { xlsx_template()? };
    std::fs::write(out, bytes).with_context(|| format!("Failed to write {}", out.display()))?;
    println!("{}", out.display());
    Ok(())
}
