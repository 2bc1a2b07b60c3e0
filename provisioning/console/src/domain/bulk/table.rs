//! Lessons out of a table about files. A row is a file or a folder with what it is; rows of one lesson follow from its id, or
//! from the same title at the same place in the curriculum.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use contract::{
    id::LessonId,
    lesson::{LessonMeta, Licence},
    path::LessonPath,
};

use super::{Candidate, Fault, Found, MAX_LESSONS, files::files, guess, tree::refusal};
use crate::domain::{
    import::lesson_toml::{self, Description, ItemWish},
    roster::{Cell, Row, Sheet},
    vocab::{self, Field},
};

/// Headings may begin this far down, below a title and a remark.
const HEADINGS_WITHIN: usize = 10;

/// What a column is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Column {
    File,
    Title,
    Stage,
    Subject,
    Edition,
    Grade,
    Volume,
    Chapter,
    Period,
    ResourceType,
    StandardYear,
    RevisedYear,
    Source,
    LicenceScope,
    LicenceUntil,
    Item,
    Id,
}

/// All columns: heading of the template first, then other spellings; whether it is needed; an example.
pub(super) const COLUMNS: [(Column, &[&str], bool, &str); 17] = [
    (
        Column::File,
        &["文件", "文件或文件夹", "文件夹", "文件名", "路径", "文件路径"],
        true,
        "三角形/微课.mp4",
    ),
    (
        Column::Title,
        &["课题", "课程名称", "资源标题", "标题", "课名"],
        true,
        "三角形的内角和",
    ),
    (Column::Stage, &["学段"], false, "小学"),
    (Column::Subject, &["学科", "科目"], true, "数学"),
    (Column::Edition, &["版本", "教材版本"], false, "人教版"),
    (Column::Grade, &["年级"], true, "四年级"),
    (Column::Volume, &["册次", "册别"], false, "下册"),
    (Column::Chapter, &["章节", "单元"], false, "第五单元 三角形"),
    (Column::Period, &["课时"], false, "第1课时"),
    (Column::ResourceType, &["资源类型", "类型"], false, "微课"),
    (Column::StandardYear, &["课标年份", "课标"], false, "2022"),
    (Column::RevisedYear, &["修订年份", "教材年份"], false, "2024"),
    (Column::Source, &["来源", "作者", "出处"], false, "县教研室"),
    (Column::LicenceScope, &["授权范围", "授权"], false, "县（区）内"),
    (
        Column::LicenceUntil,
        &["授权到期", "授权截止", "有效期"],
        false,
        "2030-08-31",
    ),
    (Column::Item, &["资源名称", "显示名称"], false, "微课"),
    (Column::Id, &["课程编号", "编号"], false, ""),
];

impl Column {
    fn heading(self) -> &'static str {
        COLUMNS
            .iter()
            .find(|(column, ..)| *column == self)
            .and_then(|(_, headings, ..)| headings.first().copied())
            .unwrap_or_default()
    }

    const fn of(field: Field) -> Self {
        match field {
            Field::Stage => Self::Stage,
            Field::Subject => Self::Subject,
            Field::Edition => Self::Edition,
            Field::Grade => Self::Grade,
            Field::Volume => Self::Volume,
            Field::ResourceType => Self::ResourceType,
            Field::LicenceScope => Self::LicenceScope,
        }
    }
}

/// Reads all tables in `sheets` about the files in `root`.
pub fn table(sheets: &[Sheet], root: &Path) -> Found {
    let mut found = Found::default();
    let mut any = false;
    let mut used: HashMap<PathBuf, String> = HashMap::new();
    for sheet in sheets {
        let Some((at, places)) = headings(sheet) else {
            continue;
        };
        any = true;
        let lacking: Vec<_> = COLUMNS
            .iter()
            .filter(|(column, _, needed, _)| *needed && !places.contains_key(column))
            .collect();
        for (column, ..) in &lacking {
            found.fault(Fault::new(&sheet.name, at, column.heading(), "bulk_column_lacks"));
        }
        if lacking.is_empty() {
            rows(sheet, at, &places, root, &mut used, &mut found);
        }
    }
    if !any {
        found.fault(Fault::new("", 0, "", "bulk_no_table"));
    }
    found
}

type Places = HashMap<Column, usize>;

fn headings(sheet: &Sheet) -> Option<(usize, Places)> {
    let rows = sheet.rows.iter().take_while(|row| row.number <= HEADINGS_WITHIN);
    for row in rows {
        let mut places = Places::new();
        for (at, cell) in row.cells.iter().enumerate() {
            let Cell::Text(text) = cell else { continue };
            let text = text.trim_end_matches(['*', '＊']).trim();
            let known = COLUMNS.iter().find(|(_, names, ..)| names.contains(&text));
            if let Some((column, ..)) = known {
                places.entry(*column).or_insert(at);
            }
        }
        if places.contains_key(&Column::Title) && places.len() >= 3 {
            return Some((row.number, places));
        }
    }
    None
}

/// One row as it was read, every cell a text.
struct Line<'a> {
    sheet: &'a Sheet,
    row: &'a Row,
    places: &'a Places,
}

impl Line<'_> {
    /// The cell's text; of a merged area that of its first cell.
    fn text(&self, column: Column, faults: &mut Vec<Fault>) -> String {
        let Some(&at) = self.places.get(&column) else {
            return String::new();
        };
        let number = self.row.number;
        let mut cell = self.row.cells.get(at).unwrap_or(&Cell::Empty);
        if *cell == Cell::Empty {
            let area = self.sheet.merged.iter().find(|area| {
                (area.rows.0..=area.rows.1).contains(&number)
                    && (area.columns.0..=area.columns.1).contains(&at)
            });
            let first = area.and_then(|area| {
                let row = self.sheet.rows.iter().find(|row| row.number == area.rows.0)?;
                row.cells.get(area.columns.0)
            });
            cell = first.unwrap_or(cell);
        }
        match cell {
            Cell::Empty => String::new(),
            Cell::Text(text) => text.clone(),
            Cell::Number(number) if column == Column::LicenceUntil => date(*number),
            Cell::Number(number) => number.to_string(),
            Cell::Formula | Cell::Broken(_) => {
                faults.push(Fault::new(
                    &self.sheet.name,
                    number,
                    column.heading(),
                    "bulk_formula",
                ));
                String::new()
            }
        }
    }
}

/// A spreadsheet's day: days since 1899-12-30.
fn date(number: f64) -> String {
    #[allow(clippy::cast_possible_truncation)]
    let days = number.floor().clamp(0.0, 1_000_000.0) as i64;
    jiff::civil::date(1899, 12, 30)
        .checked_add(jiff::Span::new().days(days))
        .map_or_else(|_| number.to_string(), |day| day.to_string())
}

fn rows(
    sheet: &Sheet,
    at: usize,
    places: &Places,
    root: &Path,
    used: &mut HashMap<PathBuf, String>,
    found: &mut Found,
) {
    let mut lessons: HashMap<String, usize> = HashMap::new();
    // Lessons with a fault in any of their rows are refused as a whole.
    let mut bad: HashMap<String, bool> = HashMap::new();
    for row in sheet.rows.iter().filter(|row| row.number > at) {
        if row.cells.iter().all(|cell| *cell == Cell::Empty) {
            continue;
        }
        if found.candidates.len() >= MAX_LESSONS {
            let fault = Fault::new(&sheet.name, row.number, "", "bulk_too_much").arg("limit", MAX_LESSONS);
            return found.fault(fault);
        }
        let line = Line { sheet, row, places };
        let mut faults = Vec::new();
        let (key, read) = one(&line, root, &lessons, found, &mut faults);
        if let Some(read) = read.filter(|_| faults.is_empty()) {
            for source in &read.sources {
                if let crate::domain::import::prepare::Bytes::Disk(path) = &source.bytes {
                    let by = used.entry(path.clone()).or_insert_with(|| key.clone());
                    if *by != key {
                        faults.push(
                            Fault::new(&sheet.name, row.number, Column::File.heading(), "bulk_used_twice")
                                .arg("file", &source.path),
                        );
                    }
                }
            }
            if faults.is_empty() {
                match lessons.get(&key) {
                    Some(at) => {
                        if let Some(first) = found.candidates.get_mut(*at) {
                            join(first, read);
                        }
                    }
                    None => {
                        lessons.insert(key.clone(), found.candidates.len());
                        found.candidates.push(read);
                    }
                }
            }
        }
        let failed = bad.entry(key).or_default();
        *failed |= !faults.is_empty();
        for fault in faults {
            found.fault(fault);
        }
    }
    found.refused += bad.values().filter(|bad| **bad).count();
    let out: Vec<usize> = bad
        .iter()
        .filter(|(_, bad)| **bad)
        .filter_map(|(key, _)| lessons.get(key).copied())
        .collect();
    let mut at = 0;
    found.candidates.retain(|_| {
        at += 1;
        !out.contains(&(at - 1))
    });
}

/// One row: the key of its lesson, and what it adds to it.
fn one(
    line: &Line<'_>,
    root: &Path,
    lessons: &HashMap<String, usize>,
    found: &Found,
    faults: &mut Vec<Fault>,
) -> (String, Option<Candidate>) {
    let (place, number) = (line.sheet.name.as_str(), line.row.number);
    let fault = |column: Column, code| Fault::new(place, number, column.heading(), code);
    let mut text = |column| line.text(column, faults);
    let id = text(Column::Id);
    let file = text(Column::File);
    let item = text(Column::Item);
    let years = [text(Column::StandardYear), text(Column::RevisedYear)];
    let until = text(Column::LicenceUntil);
    let scope = text(Column::LicenceScope);
    let mut meta = LessonMeta {
        title: text(Column::Title),
        stage: text(Column::Stage),
        subject: text(Column::Subject),
        edition: text(Column::Edition),
        grade: text(Column::Grade),
        volume: text(Column::Volume),
        chapter: text(Column::Chapter),
        period: text(Column::Period),
        resource_type: text(Column::ResourceType),
        source: text(Column::Source),
        ..LessonMeta::default()
    };
    // A further row of a lesson that has a number needs to say nothing but its file.
    let known = (!id.is_empty())
        .then(|| lessons.get(&id).and_then(|at| found.candidates.get(*at)))
        .flatten();
    if let Some(known) = known {
        inherit(&mut meta, &known.description.meta);
    }
    guess::usual_stage(&mut meta);
    for (column, value) in [
        (Column::File, &file),
        (Column::Title, &meta.title),
        (Column::Subject, &meta.subject),
        (Column::Grade, &meta.grade),
    ] {
        let said = faults.iter().any(|f| f.column == column.heading());
        if value.is_empty() && !said {
            faults.push(fault(column, "bulk_cell_lacks"));
        }
    }
    for ((column, slot), value) in [
        (Column::StandardYear, &mut meta.standard_year),
        (Column::RevisedYear, &mut meta.revised_year),
    ]
    .into_iter()
    .zip(years)
    {
        if value.is_empty() {
            continue;
        }
        match value
            .trim_end_matches('年')
            .trim_end_matches("年版")
            .parse::<u16>()
        {
            Ok(year) if (1980..=2100).contains(&year) => *slot = Some(year),
            _ => faults.push(fault(column, "bulk_year").arg("value", &value)),
        }
    }
    let expires_at = match until.as_str() {
        "" | "长期" | "永久" => None,
        day => lesson_toml::expiry(day)
            .map_err(|_| faults.push(fault(Column::LicenceUntil, "bulk_day").arg("value", day)))
            .ok(),
    };
    if !scope.is_empty() {
        meta.licence = Some(Licence { scope, expires_at });
    } else if expires_at.is_some() && meta.licence.is_none() {
        faults.push(fault(Column::LicenceScope, "bulk_cell_lacks"));
    }
    if let Err(words) = vocab::check(&mut meta) {
        for word in &words {
            let column = Column::of(word.field()).heading();
            faults.push(Fault::word(place, number, column, word));
        }
    }
    let id = match id.as_str() {
        "" => None,
        id => match LessonId::new(id) {
            Ok(id) => Some(id),
            Err(_) => {
                faults.push(fault(Column::Id, "bulk_id").arg("value", id));
                None
            }
        },
    };
    let key = match &id {
        Some(id) => id.to_string(),
        None => serde_json::to_string(&(
            &meta.title,
            &meta.stage,
            &meta.subject,
            &meta.edition,
            &meta.grade,
            &meta.volume,
            &meta.chapter,
            &meta.period,
        ))
        .unwrap_or_default(),
    };
    let meta = match lesson_toml::check_meta(meta.clone()) {
        Ok(checked) => checked,
        Err(reason) => {
            // Said already, and better, unless it is something else.
            if faults.is_empty() {
                faults.push(refusal(place, number, "", &reason));
            }
            meta
        }
    };
    let first = lessons.get(&key).and_then(|at| found.candidates.get(*at));
    if let Some(first) = first
        && first.description.meta != meta
    {
        faults.push(fault(Column::Title, "bulk_mixed").arg("row", first.row));
    }
    let files = (!file.is_empty()).then(|| files(root, &file)).transpose();
    let (sources, items) = match files {
        Ok(files) => files.unwrap_or_default(),
        Err(code) => {
            faults.push(fault(Column::File, code).arg("file", &file));
            Default::default()
        }
    };
    let title = (!item.is_empty()).then_some(item);
    let items = items
        .into_iter()
        .map(|file| ItemWish {
            file,
            title: title.clone(),
            subtitles: None,
        })
        .collect();
    let description = Description { id, meta, items };
    let candidate = Candidate {
        place: place.to_owned(),
        row: number,
        description,
        sources,
    };
    (key, Some(candidate))
}

fn inherit(meta: &mut LessonMeta, from: &LessonMeta) {
    for (own, from) in [
        (&mut meta.title, &from.title),
        (&mut meta.stage, &from.stage),
        (&mut meta.subject, &from.subject),
        (&mut meta.edition, &from.edition),
        (&mut meta.grade, &from.grade),
        (&mut meta.volume, &from.volume),
        (&mut meta.chapter, &from.chapter),
        (&mut meta.period, &from.period),
        (&mut meta.resource_type, &from.resource_type),
        (&mut meta.source, &from.source),
    ] {
        if own.is_empty() {
            own.clone_from(from);
        }
    }
    meta.standard_year = from.standard_year;
    meta.revised_year = from.revised_year;
    meta.licence.clone_from(&from.licence);
}

/// Adds a row's files to its lesson; a name that is taken already gets its row in front.
fn join(first: &mut Candidate, more: Candidate) {
    let row = more.row;
    let mut renamed: HashMap<LessonPath, LessonPath> = HashMap::new();
    for mut source in more.sources {
        if first.sources.iter().any(|s| s.path == source.path) {
            // Subtitles keep their film's name only together with it, so both get the same prefix.
            if let Ok(other) = format!("{row}/{}", source.path).parse::<LessonPath>() {
                renamed.insert(source.path.clone(), other.clone());
                source.path = other;
            }
        }
        first.sources.push(source);
    }
    for mut item in more.description.items {
        if let Some(other) = renamed.get(&item.file) {
            item.file = other.clone();
        }
        first.description.items.push(item);
    }
}
