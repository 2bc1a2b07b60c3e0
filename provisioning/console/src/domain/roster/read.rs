//! Bytes of a file into cells. Trusts nothing: size, number of rows, what a zip claims to unpack to.

use std::io::Cursor;

use calamine::{DataRef, Reader, Xlsx};

use super::{Cell, MAX_FILE_BYTES, MAX_ROWS, Merged, Row, Sheet};

/// Most bytes that an xlsx file may unpack to.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
const MAX_SHEETS: usize = 20;
const MAX_COLUMNS: usize = 200;

/// How the letters of a csv file are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// By its byte order mark; else UTF-8 if it is that throughout; else GB18030, which holds GBK and GB2312.
    #[default]
    Guess,
    /// UTF-8.
    Utf8,
    /// GB18030.
    Gb18030,
}

/// Why nothing of a file can be read; the sentences are in the message catalogues.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// No bytes.
    #[error("the file is empty")]
    Empty,
    /// Over [`MAX_FILE_BYTES`], or it would unpack to far more.
    #[error("the file is larger than {} MiB", MAX_FILE_BYTES >> 20)]
    TooLarge,
    /// Neither a spreadsheet nor text.
    #[error("the file is neither xlsx nor csv")]
    Kind,
    /// The spreadsheet format of before 2007.
    #[error("the file is an old xls; save it as xlsx")]
    Old,
    /// A spreadsheet that contradicts itself, or has a password.
    #[error("the spreadsheet cannot be opened: {0}")]
    Damaged(String),
    /// Over [`MAX_ROWS`].
    #[error("the file has more than {MAX_ROWS} rows")]
    TooManyRows,
    /// Letters in an unknown encoding.
    #[error("the text is neither UTF-8 nor GBK")]
    Letters,
}

/// Reads all sheets.
///
/// # Errors
/// See [`FileFault`].
pub fn read(bytes: &[u8], encoding: Encoding) -> Result<Vec<Sheet>, FileFault> {
    if bytes.is_empty() {
        return Err(FileFault::Empty);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(FileFault::TooLarge);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return workbook(bytes);
    }
    if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(FileFault::Old);
    }
    let text = letters(bytes, encoding)?;
    if text.contains('\0') {
        return Err(FileFault::Kind);
    }
    separated(&text).map(|sheet| vec![sheet])
}

fn damaged(error: impl std::fmt::Display) -> FileFault {
    FileFault::Damaged(error.to_string().chars().take(200).collect())
}

/// By what the zip's directory claims. An entry that lies is cut off at its claim by the reader of zips.
fn unpacks_to_little(bytes: &[u8]) -> Result<(), FileFault> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut total = 0_u64;
    for at in 0..archive.len() {
        total = total.saturating_add(archive.by_index_raw(at).map_err(damaged)?.size());
    }
    if total > MAX_UNPACKED_BYTES {
        return Err(FileFault::TooLarge);
    }
    Ok(())
}

/// Cell by cell, never as a rectangle: one cell in the last corner of a sheet would make that one of 17 thousand million.
fn workbook(bytes: &[u8]) -> Result<Vec<Sheet>, FileFault> {
    unpacks_to_little(bytes)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut sheets = Vec::new();
    let mut rows = 0;
    for name in book.sheet_names().into_iter().take(MAX_SHEETS) {
        let areas = book.merge_cells_by_sheet_name(&name).unwrap_or_default();
        let merged = areas.iter().map(merged).collect();
        let mut sheet = Sheet {
            name: name.clone(),
            rows: Vec::new(),
            merged,
        };
        // A chart or a macro sheet has no cells to read.
        let Ok(mut cells) = book.worksheet_cells_reader(&name) else {
            continue;
        };
        while let Some(found) = cells.next_cell_with_formula_metadata().map_err(damaged)? {
            let (row, column) = found.pos;
            let (number, column) = (row as usize + 1, column as usize);
            let cell = match found.formula {
                Some(_) => Cell::Formula,
                None => cell(&found.value),
            };
            if column >= MAX_COLUMNS || cell == Cell::Empty {
                continue;
            }
            if sheet.rows.last().is_none_or(|last| last.number != number) {
                rows += 1;
                if rows > MAX_ROWS {
                    return Err(FileFault::TooManyRows);
                }
                sheet.rows.push(Row {
                    number,
                    cells: Vec::new(),
                });
            }
            if let Some(row) = sheet.rows.last_mut() {
                row.cells.resize(row.cells.len().max(column + 1), Cell::Empty);
                if let Some(place) = row.cells.get_mut(column) {
                    *place = cell;
                }
            }
        }
        sheets.push(sheet);
    }
    Ok(sheets)
}

fn merged(area: &calamine::Dimensions) -> Merged {
    let (first, last) = (area.start, area.end);
    Merged {
        rows: (first.0 as usize + 1, last.0 as usize + 1),
        columns: (first.1 as usize, last.1 as usize),
    }
}

fn cell(value: &DataRef<'_>) -> Cell {
    match value {
        DataRef::Empty => Cell::Empty,
        DataRef::String(text) => words(text),
        DataRef::SharedString(text) => words(text),
        DataRef::Int(number) => words(&number.to_string()),
        DataRef::Float(number) => Cell::Number(*number),
        DataRef::Bool(yes) => words(if *yes { "是" } else { "否" }),
        DataRef::DateTime(date) => Cell::Number(date.as_f64()),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => words(text),
        DataRef::Error(error) => Cell::Broken(error.to_string()),
    }
}

/// Blanks at both ends mean nothing, the wide ones included; nor does what only turns the direction of writing.
fn words(text: &str) -> Cell {
    let text =
        text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200f}'));
    if text.is_empty() {
        Cell::Empty
    } else {
        Cell::Text(text.to_owned())
    }
}

fn letters(bytes: &[u8], encoding: Encoding) -> Result<String, FileFault> {
    let (bytes, marked) = match encoding_rs::Encoding::for_bom(bytes) {
        Some((marked, length)) => (bytes.get(length..).unwrap_or_default(), Some(marked)),
        None => (bytes, None),
    };
    let wanted: &[&'static encoding_rs::Encoding] = match (marked, encoding) {
        (Some(marked), _) => &[marked],
        (None, Encoding::Utf8) => &[encoding_rs::UTF_8],
        (None, Encoding::Gb18030) => &[encoding_rs::GB18030],
        (None, Encoding::Guess) => &[encoding_rs::UTF_8, encoding_rs::GB18030],
    };
    wanted
        .iter()
        .find_map(|e| e.decode_without_bom_handling_and_without_replacement(bytes))
        .map(std::borrow::Cow::into_owned)
        .ok_or(FileFault::Letters)
}

fn separated(text: &str) -> Result<Sheet, FileFault> {
    // Between CR and LF the reader of csv would already count the next record's line.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // A title or a remark may stand above the headings.
    let count =
        |separator: char| -> usize { text.lines().take(10).map(|l| l.matches(separator).count()).sum() };
    let separator = [',', '\t', ';']
        .into_iter()
        .max_by_key(|c| count(*c))
        .unwrap_or(',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(u8::try_from(separator).unwrap_or(b','))
        .from_reader(text.as_bytes());
    let mut sheet = Sheet::default();
    for record in reader.records() {
        let record = record.map_err(damaged)?;
        let number = record.position().map_or(0, csv::Position::line);
        let cells: Vec<Cell> = record.iter().take(MAX_COLUMNS).map(field).collect();
        if cells.iter().all(|cell| *cell == Cell::Empty) {
            continue;
        }
        if sheet.rows.len() >= MAX_ROWS {
            return Err(FileFault::TooManyRows);
        }
        sheet.rows.push(Row {
            number: usize::try_from(number).unwrap_or(usize::MAX),
            cells,
        });
    }
    Ok(sheet)
}

/// A spreadsheet writes `="0101"` to keep a zero in front: that is the text. Anything else that begins with `=` is a formula.
fn field(text: &str) -> Cell {
    let quoted = text
        .trim()
        .strip_prefix("=\"")
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|rest| !rest.contains('"'));
    match quoted {
        Some(inner) => words(inner),
        None if text.trim_start().starts_with('=') => Cell::Formula,
        None => words(text),
    }
}
