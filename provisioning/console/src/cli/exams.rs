//! Exams on the command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use jiff::Timestamp;

use super::{
    admin::{BY, all, plain},
    args::Format,
    records::write,
    show::{list, or_dash, word},
};
use crate::{
    api::{
        MAX_PAGE_SIZE,
        exams::{AudioSpan, ClassroomSilence, Exam, ExamChange, ExamQuery, ExamRecordQuery, NewExam},
    },
    config::Language,
    controllers::{exams, receipts::local},
    db::{Db, scope::Scope},
    domain::pin,
};

/// `exam`.
#[derive(Debug, Subcommand)]
pub enum ExamCommand {
    /// Plan an exam; prints its id, and the PIN if there is one (it cannot be read again).
    Add {
        /// What it is called.
        name: String,
        /// In all schools of this region.
        #[arg(long, required_unless_present = "school", conflicts_with = "school")]
        region: Option<i64>,
        /// In this school.
        #[arg(long)]
        school: Option<i64>,
        /// Begin, e.g. 2027-01-12T08:00+08.
        #[arg(long)]
        from: Timestamp,
        /// End.
        #[arg(long)]
        to: Timestamp,
        /// Only in this classroom of the school; may be given several times.
        #[arg(long, conflicts_with = "region")]
        classroom: Vec<i64>,
        /// Listening audio, e.g. "2027-01-12T08:00+08 2027-01-12T08:20+08"; may be given several times.
        #[arg(long, value_name = "FROM TO", value_parser = span)]
        audio: Vec<AudioSpan>,
        /// Read the PIN from the first line of standard input instead of making one.
        #[arg(long)]
        pin_stdin: bool,
    },
    /// List the exams, latest begin first.
    List {
        /// Only those that hold for this school.
        #[arg(long)]
        school: Option<i64>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
    /// Change an exam that is not over; what is not named stays.
    Change {
        /// Which.
        id: String,
        /// Its name.
        #[arg(long)]
        name: Option<String>,
        /// Begin.
        #[arg(long)]
        from: Option<Timestamp>,
        /// End.
        #[arg(long)]
        to: Option<Timestamp>,
    },
    /// Give an exam another PIN and print it; it cannot be read again.
    Pin {
        /// Which.
        id: String,
    },
    /// Cancel an exam that is not over.
    Cancel {
        /// Which.
        id: String,
    },
    /// How each classroom was in an exam (静默记录).
    Records {
        /// Which.
        id: String,
        /// Only of this school.
        #[arg(long)]
        school: Option<i64>,
        /// Write a table for a spreadsheet instead.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "school"])]
        csv: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        format: Format,
    },
}

fn span(text: &str) -> Result<AudioSpan, String> {
    let time = |word: &str| {
        word.parse::<Timestamp>()
            .map_err(|e| format!("{word:?} is no time such as 2027-01-12T08:00+08: {e}"))
    };
    let (from, to) = text
        .trim()
        .split_once(' ')
        .ok_or_else(|| "write two times: begin and end".to_owned())?;
    Ok(AudioSpan {
        from: time(from)?,
        to: time(to.trim())?,
    })
}

pub(super) async fn exam(command: ExamCommand, db: &Db) -> anyhow::Result<()> {
    let (everything, now) = (Scope::everything(), Timestamp::now());
    match command {
        ExamCommand::Add {
            name,
            region,
            school,
            from,
            to,
            classroom,
            audio,
            pin_stdin,
        } => {
            let pin = if pin_stdin {
                let mut line = String::new();
                std::io::stdin()
                    .read_line(&mut line)
                    .context("Failed to read the PIN from standard input")?;
                Some(line.trim().to_owned())
            } else {
                None
            };
            let new = NewExam {
                region_id: region,
                school_id: school,
                name,
                from,
                to,
                classroom_ids: classroom,
                audio,
                pin,
            };
            let (node, exam, pin) = exams::checked_new(&new, now).map_err(plain)?;
            let digest = exams::digest(pin.clone()).await.map_err(plain)?;
            let id = db
                .exams()
                .add(&everything, node, &exam, digest.as_ref(), BY, now)
                .await?;
            println!("{id}");
            if let Some(pin) = pin.filter(|_| !pin_stdin) {
                println!("PIN {pin} (shown this once)");
            }
            Ok(())
        }
        ExamCommand::List { school, format } => {
            let found = all(async |page| {
                let query = ExamQuery {
                    school_id: school,
                    page: Some(page),
                    page_size: Some(MAX_PAGE_SIZE),
                    ..ExamQuery::default()
                };
                db.exams().list(&everything, &query, now).await
            })
            .await?;
            list(
                format,
                &found,
                &["ID", "NAME", "PLACE", "FROM", "TO", "STATE", "PIN"],
                || {
                    let row = |exam: &Exam| {
                        vec![
                            exam.id.clone(),
                            exam.name.clone(),
                            exam.place.clone(),
                            local(exam.from),
                            local(exam.to),
                            word(&exam.state),
                            if exam.pin_set { "set" } else { "-" }.to_owned(),
                        ]
                    };
                    found.iter().map(row).collect()
                },
            )
        }
        ExamCommand::Change { id, name, from, to } => {
            let exam = db.exams().get(&everything, &id, now).await?;
            let change = ExamChange {
                name,
                from,
                to,
                ..ExamChange::default()
            };
            let changed = exams::checked_change(exam, change).map_err(plain)?;
            Ok(db.exams().change(&everything, &id, &changed, BY, now).await?)
        }
        ExamCommand::Pin { id } => {
            let pin = pin::generate(&mut rand::rng());
            let digest = exams::digest(Some(pin.clone())).await.map_err(plain)?;
            let digest = digest.context("Failed to make a digest of the PIN")?;
            db.exams().set_pin(&everything, &id, &digest, BY, now).await?;
            println!("PIN {pin} (shown this once)");
            Ok(())
        }
        ExamCommand::Cancel { id } => Ok(db.exams().cancel(&everything, &id, BY, now).await?),
        ExamCommand::Records {
            id,
            school,
            csv,
            format,
        } => {
            if let Some(file) = csv {
                let table = exams::records_csv(db, &everything, &id, Language::ZhCn, now).await;
                return write(&file, &table.map_err(plain)?);
            }
            let query = ExamRecordQuery {
                school_id: school,
                ..ExamRecordQuery::default()
            };
            let (_, _, rooms) = db.exams().records(&everything, &id, &query, now).await?;
            let head = [
                "SCHOOL",
                "CLASSROOM",
                "VERDICT",
                "WHY",
                "MENDED",
                "HELD BACK",
                "CHAIN",
            ];
            list(format, &rooms, &head, || {
                let row = |room: &ClassroomSilence| {
                    vec![
                        room.school.clone(),
                        room.classroom.clone(),
                        exams::verdict_in_words(room.verdict, Language::En),
                        or_dash(room.doubt.map(|doubt| exams::doubt_in_words(doubt, Language::En))),
                        room.mended.to_string(),
                        room.held_back.to_string(),
                        or_dash(room.chain.map(|chain| word(&chain))),
                    ]
                };
                rooms.iter().map(row).collect()
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_two_times() {
        let audio = span("2027-01-12T08:00+08 2027-01-12T08:20+08").unwrap();
        assert_eq!(audio.from.to_string(), "2027-01-12T00:00:00Z");
        assert!(span("tomorrow").is_err() && span("2027-01-12T08:00+08").is_err());
    }
}
