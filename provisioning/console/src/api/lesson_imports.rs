//! Many lessons at once: a zip of folders, or a table about files.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How to import.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LessonImportQuery {
    /// Whether lessons are made; left out or `false`: only a report.
    #[serde(default)]
    pub apply: bool,
    /// Whose new lessons shall be: a region.
    pub region_id: Option<i64>,
    /// Or a school.
    pub school_id: Option<i64>,
    /// How a csv is written; left out: it is guessed.
    #[param(inline)]
    pub encoding: Option<super::roster::RosterEncoding>,
}

/// The multipart body, for the API document.
#[derive(Debug, ToSchema)]
pub struct LessonImportForm {
    /// A zip of lesson folders, or of the files that the table names.
    #[schema(value_type = String, format = Binary)]
    pub zip: Vec<u8>,
    /// A table (xlsx or csv) about the files in the zip; left out: the folders say it.
    #[schema(value_type = Option<String>, format = Binary)]
    pub table: Option<Vec<u8>>,
}

/// Which empty table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportTemplateFormat {
    /// A workbook with lists to choose from.
    #[default]
    Xlsx,
    /// UTF-8 with a byte order mark.
    Csv,
}

/// Which empty table.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ImportTemplateQuery {
    /// Left out: xlsx.
    #[serde(default)]
    #[param(inline)]
    pub format: ImportTemplateFormat,
}

/// What an import did, or would do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonImportReport {
    /// Whether it was done.
    pub applied: bool,
    /// Lessons found.
    pub lessons: u32,
    /// Lessons by what became of them.
    pub new: u32,
    /// A version more.
    pub updated: u32,
    /// Nothing new in them.
    pub unchanged: u32,
    /// Refused; see `errors`.
    pub refused: u32,
    /// How complete the lessons' descriptions are.
    pub complete: Completeness,
    /// What became of each lesson, the first 500.
    pub items: Vec<LessonImportItem>,
    /// What is wrong, the first 500.
    pub errors: Vec<LessonImportError>,
    /// How much is wrong.
    pub error_count: u32,
    /// Files that no lesson uses, the first 100.
    pub ignored: Vec<String>,
}

/// Lessons that carry the national model's five fields.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
pub struct Completeness {
    /// Lessons that are not refused.
    pub lessons: u32,
    /// With 学段, 学科, 版本, 年级 and 册次.
    pub complete: u32,
    /// `complete` of `lessons` in tenths of a percent, rounded down; 1000 if there are none.
    pub permille: u32,
    /// With 学段.
    pub stage: u32,
    /// With 学科.
    pub subject: u32,
    /// With 版本.
    pub edition: u32,
    /// With 年级.
    pub grade: u32,
    /// With 册次.
    pub volume: u32,
}

/// What became of a lesson, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LessonImportResult {
    /// First version.
    New,
    /// A version more; in a rehearsal: the lesson is there already, and what would change shows only when it is done.
    Updated,
    /// Nothing new.
    Unchanged,
    /// It cannot be imported.
    Refused,
}

/// One lesson of an import.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonImportItem {
    /// Its folder, or the rows of the table.
    pub place: String,
    /// The lesson's id, where it is known.
    pub id: Option<String>,
    /// 课题.
    pub title: String,
    /// Its version now; `null` in a rehearsal.
    pub version: Option<u32>,
    /// What became of it.
    pub result: LessonImportResult,
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LessonImportError {
    /// The folder, or the sheet of the table.
    pub place: String,
    /// Row of the table, from 1; 0 without a table.
    pub row: u32,
    /// Column, or the file.
    pub column: String,
    /// Stable name.
    pub code: String,
    /// The sentence, in the reader's language.
    pub message: String,
}
