//! The roster: schools and classrooms from a table.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How the table is to be taken.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RosterQuery {
    /// `true`: make the changes, unless anything is wrong; else only say what would be.
    #[serde(default)]
    pub apply: bool,
    /// Letters of a csv file: `utf-8` or `gbk`; left out, they are found out.
    #[param(inline)]
    pub encoding: Option<RosterEncoding>,
}

/// Letters of a csv file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum RosterEncoding {
    /// UTF-8.
    #[serde(rename = "utf-8")]
    Utf8,
    /// GBK, in its widest form GB18030.
    #[serde(rename = "gbk")]
    Gbk,
}

/// The table, as `multipart/form-data`.
#[derive(Debug, ToSchema)]
pub struct RosterForm {
    /// An xlsx or csv file.
    #[schema(value_type = String, format = Binary)]
    #[allow(dead_code, reason = "shape of the document only")]
    pub file: Vec<u8>,
}

/// Which template.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TemplateQuery {
    /// `xlsx` (default), or one csv file of `schools` or `classrooms`.
    #[serde(default)]
    #[param(inline)]
    pub format: TemplateFormat,
}

/// Which template.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemplateFormat {
    /// A workbook with both tables and remarks.
    #[default]
    Xlsx,
    /// Schools as csv.
    CsvSchools,
    /// Classrooms as csv.
    #[serde(alias = "csv")]
    CsvClassrooms,
}

/// How many of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RosterCounts {
    /// New.
    pub added: usize,
    /// Known, and something differs.
    pub changed: usize,
    /// Known, and nothing differs.
    pub same: usize,
}

/// Of what kind a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RosterChangeKind {
    /// A township is made.
    TownshipAdded,
    /// A school is made.
    SchoolAdded,
    /// A school changes.
    SchoolChanged,
    /// A classroom is made.
    ClassroomAdded,
    /// A classroom changes.
    ClassroomChanged,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RosterChange {
    /// Of what kind.
    pub kind: RosterChangeKind,
    /// Code of the school, and of the classroom after a slash.
    pub code: String,
    /// Name.
    pub name: String,
    /// What differs, each as `heading：old → new`.
    pub what: Vec<String>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RosterError {
    /// Name of the sheet; empty for csv.
    pub sheet: String,
    /// Row as the spreadsheet numbers it, from 1.
    pub row: usize,
    /// Heading of the column; empty for the whole row.
    pub column: String,
    /// Stable name of the error.
    pub code: String,
    /// What is wrong and what to do, in the caller's language.
    pub message: String,
}

/// What a table changes, or would.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RosterReport {
    /// Whether the changes were made. Never with errors.
    pub applied: bool,
    /// Rows read.
    pub rows: usize,
    /// Schools.
    pub schools: RosterCounts,
    /// Classrooms.
    pub classrooms: RosterCounts,
    /// The changes, at most 200.
    pub changes: Vec<RosterChange>,
    /// How many there are.
    pub change_count: usize,
    /// What is wrong, at most 500.
    pub errors: Vec<RosterError>,
    /// How much is wrong.
    pub error_count: usize,
}
