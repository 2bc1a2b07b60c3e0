//! An import of many lessons: rehearsed, or done. The rehearsal reads every file as far as its format needs and writes
//! nothing; doing it takes the lessons one by one, each whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use contract::{lesson::LessonMeta, path::LessonPath};
use jiff::Timestamp;

use super::{Candidate, Fault, Found, table, tree};
use crate::{
    api::lesson_imports::{
        Completeness, LessonImportError, LessonImportItem, LessonImportReport, LessonImportResult,
    },
    config::Language,
    domain::{
        import::{
            Change, Importer, Reason, import_described, lesson_toml, plan,
            prepare::{Bounds, Bytes, Source},
            sniff,
            zip_safe::{self, Limits},
        },
        roster::{self, Encoding, FileFault},
        vocab::{self, Field},
    },
    messages,
};

/// Rows of the report.
const ITEMS_SHOWN: usize = 500;
const ERRORS_SHOWN: usize = 500;
const IGNORED_SHOWN: usize = 100;

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The table is no table.
    #[error("the table cannot be read: {0}")]
    Table(#[from] FileFault),
    /// The folder or zip cannot be read.
    #[error("the lessons cannot be read: {0}")]
    Folder(Reason),
}

/// What shall be imported.
#[derive(Debug)]
pub struct Wish {
    /// The folder.
    pub root: PathBuf,
    /// A table about its files, and how a csv is written.
    pub table: Option<(Vec<u8>, Encoding)>,
    /// Whether it is done; else it is only rehearsed.
    pub apply: bool,
    /// In which language the report is.
    pub language: Language,
}

/// Rehearses or does it.
///
/// # Errors
/// Folder or table cannot be read at all; everything else is in the report.
pub async fn run(importer: &Importer, wish: Wish, now: Timestamp) -> Result<LessonImportReport, BulkError> {
    let Wish {
        root,
        table,
        apply,
        language,
    } = wish;
    let found = tokio::task::spawn_blocking(move || find(&root, table)).await;
    let mut found = found.map_err(|e| BulkError::Folder(Reason::Console(e.to_string())))??;
    if found.candidates.is_empty() && found.fault_count == 0 {
        found.fault(Fault::new("", 0, "", "bulk_nothing"));
    }
    let mut items = Vec::new();
    let mut counts = Counts::default();
    for candidate in std::mem::take(&mut found.candidates) {
        let (place, row) = (candidate.place.clone(), candidate.row);
        let title = candidate.description.meta.title.clone();
        let meta = candidate.description.meta.clone();
        let known = candidate.description.id.clone();
        let outcome = if apply {
            take(importer, candidate, now).await
        } else {
            rehearse(importer, candidate).await
        };
        let (id, version, result) = match outcome {
            Ok(done) => {
                counts.complete(&meta);
                done
            }
            Err((file, reason)) => {
                found.fault(tree::refusal(&place, row, &file, &reason));
                (known.map(|id| id.to_string()), None, LessonImportResult::Refused)
            }
        };
        counts.add(result);
        let place = match row {
            0 => place,
            row if place.is_empty() => row.to_string(),
            row => format!("{place}!{row}"),
        };
        if items.len() < ITEMS_SHOWN {
            items.push(LessonImportItem {
                place,
                id,
                title,
                version,
                result,
            });
        }
    }
    Ok(report(found, items, &counts, apply, language))
}

fn find(root: &Path, table: Option<(Vec<u8>, Encoding)>) -> Result<Found, BulkError> {
    match table {
        Some((bytes, encoding)) => {
            fs::read_dir(root).map_err(|e| BulkError::Folder(e.into()))?;
            Ok(table::table(&roster::read(&bytes, encoding)?, root))
        }
        None => tree::tree(root).map_err(BulkError::Folder),
    }
}

type Outcome = Result<(Option<String>, Option<u32>, LessonImportResult), (String, Reason)>;

async fn take(importer: &Importer, candidate: Candidate, now: Timestamp) -> Outcome {
    let name = candidate.description.meta.title.clone();
    let lesson = (candidate.description, candidate.sources);
    let done = import_described(importer, &name, lesson, now)
        .await
        .map_err(|error| (error.file, error.reason))?;
    let result = match done.change {
        Change::New => LessonImportResult::New,
        Change::Updated => LessonImportResult::Updated,
        Change::Unchanged | Change::Restored => LessonImportResult::Unchanged,
    };
    Ok((Some(done.id.to_string()), Some(done.version), result))
}

async fn rehearse(importer: &Importer, candidate: Candidate) -> Outcome {
    let id = match &candidate.description.id {
        Some(id) => id.clone(),
        None => lesson_toml::derive_id(&candidate.description.meta, importer.owner)
            .map_err(|reason| (String::new(), reason))?,
    };
    let bounds = importer.bounds();
    let looked = tokio::task::spawn_blocking(move || look(&candidate, bounds)).await;
    looked.map_err(|e| (String::new(), Reason::Console(e.to_string())))??;
    let database = |e: crate::db::DbError| (String::new(), Reason::Console(e.to_string()));
    let lessons = importer.db.lessons();
    let result = match lessons.writable(&importer.scope, &id).await.map_err(database)? {
        None => LessonImportResult::New,
        Some(true) => LessonImportResult::Updated,
        Some(false) => {
            let taken = format!("the id {id} is taken by somebody else's lesson; choose another");
            return Err((String::new(), Reason::Description(taken)));
        }
    };
    Ok((Some(id.to_string()), None, result))
}

/// What the import would refuse, without a copy of anything.
fn look(candidate: &Candidate, bounds: Bounds) -> Result<(), (String, Reason)> {
    let size: u64 = candidate.sources.iter().map(|source| source.size).sum();
    if size > bounds.lesson_bytes {
        let limit = bounds.lesson_bytes;
        return Err((String::new(), Reason::TooLarge { size, limit }));
    }
    let paths: Vec<LessonPath> = candidate.sources.iter().map(|s| s.path.clone()).collect();
    let planned = plan::plan(&paths, &candidate.description)
        .map_err(|(file, reason)| (file.map(|f| f.to_string()).unwrap_or_default(), reason))?;
    for item in &planned.items {
        let at = |reason| (item.file.to_string(), reason);
        let source = candidate.sources.iter().find(|s| s.path == item.file);
        if let Some(source) = source {
            content(source, bounds.zip).map_err(at)?;
        }
    }
    Ok(())
}

fn content(source: &Source, limits: Limits) -> Result<(), Reason> {
    let Bytes::Disk(path) = &source.bytes else {
        return Ok(());
    };
    let mut file = BufReader::new(File::open(path)?);
    let mut head = Vec::new();
    (&mut file)
        .take(sniff::HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    let extension = source.path.extension();
    sniff::check_name(&extension, sniff::family(&head), &head)?;
    sniff::check(&mut file, source.size, &extension, limits)?;
    Ok(())
}

/// Unpacks a zip of lesson folders into `folder`, which is empty. Every name was judged before.
///
/// # Errors
/// The zip breaks a rule, or the disk fails.
pub fn unpack(zip: File, folder: &Path, total_bytes: u64) -> Result<(), Reason> {
    let limits = Limits {
        total_bytes,
        ..Limits::default()
    };
    let mut zip = zip_safe::open(BufReader::new(zip), limits)?;
    zip.unpack(|path, reader| {
        let place = folder.join(path.as_str());
        if let Some(above) = place.parent() {
            fs::create_dir_all(above)?;
        }
        io::copy(reader, &mut File::create_new(&place)?)?;
        Ok(())
    })
}

#[derive(Debug, Default)]
struct Counts {
    lessons: u32,
    by_result: BTreeMap<u8, u32>,
    good: Completeness,
}

const fn rank(result: LessonImportResult) -> u8 {
    match result {
        LessonImportResult::New => 0,
        LessonImportResult::Updated => 1,
        LessonImportResult::Unchanged => 2,
        LessonImportResult::Refused => 3,
    }
}

impl Counts {
    fn add(&mut self, result: LessonImportResult) {
        self.lessons += 1;
        *self.by_result.entry(rank(result)).or_default() += 1;
    }

    fn of(&self, result: LessonImportResult) -> u32 {
        self.by_result.get(&rank(result)).copied().unwrap_or(0)
    }

    fn complete(&mut self, meta: &LessonMeta) {
        let missing = vocab::missing(meta);
        let has = |field| u32::from(!missing.contains(&field));
        let good = &mut self.good;
        good.lessons += 1;
        good.complete += u32::from(missing.is_empty());
        good.stage += has(Field::Stage);
        good.subject += has(Field::Subject);
        good.edition += has(Field::Edition);
        good.grade += has(Field::Grade);
        good.volume += has(Field::Volume);
    }
}

fn report(
    found: Found,
    items: Vec<LessonImportItem>,
    counts: &Counts,
    applied: bool,
    language: Language,
) -> LessonImportReport {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let mut complete = counts.good;
    complete.permille = (complete.complete * 1_000)
        .checked_div(complete.lessons)
        .unwrap_or(1_000);
    let error = |fault: &Fault| LessonImportError {
        place: fault.place.clone(),
        row: small(fault.row),
        column: fault.column.clone(),
        code: fault.code.to_owned(),
        message: messages::text(language, fault.code, &fault.args),
    };
    LessonImportReport {
        applied,
        lessons: counts.lessons + small(found.refused),
        new: counts.of(LessonImportResult::New),
        updated: counts.of(LessonImportResult::Updated),
        unchanged: counts.of(LessonImportResult::Unchanged),
        refused: counts.of(LessonImportResult::Refused) + small(found.refused),
        complete,
        items,
        errors: found.faults.iter().take(ERRORS_SHOWN).map(error).collect(),
        error_count: small(found.fault_count),
        ignored: found.ignored.into_iter().take(IGNORED_SHOWN).collect(),
    }
}
