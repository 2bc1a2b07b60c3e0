//! Reports and registers, indicators, the data catalogue.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
    page_of,
};
use crate::domain::indicators::{Figure, Row};
pub use crate::{
    domain::indicators::Dictionary,
    reports::{
        body::{FigureChange, Kind as ReportKind},
        export::{SCHEMA_VERSION, Table as ExportTable},
        registers::Kind as RegisterKind,
        seal::ReportSeal,
    },
};

/// How a version of a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ReportState {
    /// 草稿.
    Draft,
    /// 已上报.
    Submitted,
    /// 已退回.
    Returned,
    /// 已审核.
    Approved,
    /// 已冻结: sealed, never changed again.
    Frozen,
}

/// What was done with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportStepKind {
    /// Its figures were worked out.
    Made,
    /// Opened as a correction (更正) of a frozen version.
    Corrected,
    /// 上报.
    Submitted,
    /// 退回.
    Returned,
    /// 审核通过.
    Approved,
    /// 冻结.
    Frozen,
}

/// One step.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportStep {
    /// What was done.
    pub step: ReportStepKind,
    /// Why, of a return or a correction.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// A report, as its newest version stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Row id.
    pub id: i64,
    /// Month, quarter or year.
    pub kind: ReportKind,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// The region it is about…
    pub region_id: Option<i64>,
    /// …or the school.
    pub school_id: Option<i64>,
    /// Name of that.
    pub place: String,
    /// Its newest version.
    pub version: u32,
    /// How that stands.
    pub state: ReportState,
    /// BLAKE3 of what that says.
    pub digest: String,
    /// When it was worked out.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: String,
}

page_of!(
    /// Reports, one page: newest first.
    ReportPage, Report);

/// A version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportVersion {
    /// From 1.
    pub version: u32,
    /// How it stands.
    pub state: ReportState,
    /// The frozen version it corrects.
    pub corrects: Option<u32>,
    /// Why.
    pub why: String,
    /// BLAKE3 of what it says.
    pub digest: String,
    /// When it was worked out.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: String,
    /// It is signed.
    pub sealed: bool,
    /// What was done with it, oldest first.
    pub steps: Vec<ReportStep>,
}

/// A report with its versions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportDetail {
    /// The report.
    pub report: Report,
    /// Oldest first.
    pub versions: Vec<ReportVersion>,
}

/// A figure with its value.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShownFigure {
    /// `indicator`, or `indicator@school`: opens its rows.
    pub name: String,
    /// What its rows add up to.
    #[serde(flatten)]
    pub figure: Figure,
    /// As it is shown, e.g. `97.35%`; none: 未知.
    pub value: Option<String>,
    /// 人工填报.
    pub manual: bool,
}

/// What a version says.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportFigures {
    /// Which version.
    pub version: u32,
    /// How it stands.
    pub state: ReportState,
    /// BLAKE3 of all of it.
    pub digest: String,
    /// Version of the dictionary.
    pub dictionary: String,
    /// Nothing at all was known of that time.
    pub empty: bool,
    /// Of all, then of each school, by indicator.
    pub figures: Vec<ShownFigure>,
    /// Schools in it.
    pub schools: Vec<ReportSchool>,
    /// Each day.
    pub days: Vec<ReportDay>,
}

/// Of which running time a preview is.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// Month, quarter or year.
    #[param(inline)]
    pub kind: ReportKind,
    /// Of a region and all below…
    pub region_id: Option<i64>,
    /// …or of one school.
    pub school_id: Option<i64>,
}

/// What a report of the running time would say of the days that are over. It is kept nowhere: it cannot be handed in or frozen.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportPreview {
    /// First day of the time.
    pub from: Date,
    /// Its last day, which is still to come.
    pub to: Date,
    /// The last day that is counted: yesterday.
    pub until: Date,
    /// Version of the dictionary.
    pub dictionary: String,
    /// Nothing at all is known of that time yet.
    pub empty: bool,
    /// Of all, then of each school, by indicator.
    pub figures: Vec<ShownFigure>,
    /// Schools in it.
    pub schools: Vec<ReportSchool>,
    /// Each day up to `until`.
    pub days: Vec<ReportDay>,
}

/// A school of a report.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportSchool {
    /// Row id.
    pub id: i64,
    /// Official code.
    pub code: String,
    /// Name.
    pub name: String,
    /// 教学点.
    pub teaching_point: bool,
}

/// All devices on one day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportDay {
    /// Which.
    pub date: Date,
    /// In use.
    pub devices: i64,
    /// Heard.
    pub heard: i64,
    /// 未知: not heard on a school day.
    pub silent: i64,
    /// Seconds on in class hours.
    pub online_s: i64,
}

page_of!(
    /// What a figure is made of, one page.
    FigureRowPage, Row);

/// Whether a report still says what the data say.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReportCheck {
    /// Which version.
    pub version: u32,
    /// BLAKE3 of what it says.
    pub digest: String,
    /// BLAKE3 of what it would say now.
    pub now: String,
    /// The same, byte for byte.
    pub equal: bool,
    /// Figures that differ: a reason for a correction (更正).
    pub changes: Vec<FigureChange>,
    /// Of a frozen one: whether the signature and all files are as they were sealed; none: not frozen.
    pub seal: Option<bool>,
}

/// What a list of reports can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportColumn {
    /// First day of its time.
    From,
    /// Month, quarter, year.
    Kind,
    /// Name of the region or school.
    Place,
    /// How far it is on its way, drafts first.
    State,
    /// Number of its newest version.
    Version,
    /// When that was made.
    MadeAt,
    /// By whom.
    MadeBy,
}

impl Column for ReportColumn {}

/// How a list of reports is ordered; rows without a value come last either way. Without: the newest time first.
pub type ReportSort = Sorted<ReportColumn>;

/// Which reports.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// Only these.
    #[param(inline)]
    pub kind: Option<ReportKind>,
    /// Only those that stand so.
    #[param(inline)]
    pub state: Option<ReportState>,
    /// Only of this region and below.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// Of a time that begins in this year.
    #[param(minimum = 2000, maximum = 9999)]
    pub year: Option<i16>,
    /// Name of a column, `-` before it turns the order round: `from`, `kind`, `place`, `state`, `version`, `made_at`,
    /// `made_by`. Left out: the newest time first.
    #[param(value_type = Option<String>, pattern = "^-?(from|kind|place|state|version|made_at|made_by)$")]
    pub sort: Option<ReportSort>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl ReportQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// A report to be made: of a region or of a school.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReport {
    /// Month, quarter or year.
    pub kind: ReportKind,
    /// Any day in it.
    pub date: Date,
    /// Of a region and all below…
    pub region_id: Option<i64>,
    /// …or of one school.
    pub school_id: Option<i64>,
}

/// Why something is returned or corrected.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithReason {
    /// 1–200 characters.
    pub reason: String,
}

/// Which version.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct VersionQuery {
    /// Which; the newest if none is given.
    pub version: Option<u32>,
}

/// Rows of which version, which page.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FigureQuery {
    /// Which version; the newest if none is given.
    pub version: Option<u32>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

impl FigureQuery {
    /// Which rows.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// As what a report is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ReportFormat {
    /// A spreadsheet.
    Xlsx,
    /// A page to print.
    Html,
    /// What it says, for programs.
    Json,
    /// Of a frozen one: all of these with the seal and a list of hashes.
    Zip,
}

/// Which file.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReportFileQuery {
    /// As what.
    #[param(inline)]
    pub format: ReportFormat,
    /// Which version; the newest if none is given.
    pub version: Option<u32>,
}

/// A figure that somebody typed in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ManualFigure {
    /// Which indicator.
    pub indicator: String,
    /// E.g. pupils.
    pub numerator: i64,
    /// E.g. computers.
    pub denominator: i64,
    /// From where it is.
    pub note: String,
    /// When.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// A figure to be typed in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ManualFigureChange {
    /// Any day of the month.
    pub month: Date,
    /// An indicator that is 人工填报.
    pub indicator: String,
    /// E.g. pupils.
    pub numerator: u32,
    /// E.g. computers; at least 1.
    pub denominator: u32,
    /// From where it is, at most 100 characters.
    #[serde(default)]
    pub note: String,
}

/// Which month.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MonthQuery {
    /// Any day of it.
    pub month: Date,
}

/// Rows of a register.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RegisterQuery {
    /// First day.
    pub from: Date,
    /// Last day, at most 400 days later: a school year fits.
    pub to: Date,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// From 1.
    pub page: Option<u32>,
    /// 1–500, default 50.
    pub page_size: Option<u32>,
}

/// As what a register is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RegisterFormat {
    /// A spreadsheet.
    Xlsx,
    /// A table.
    Csv,
    /// A page to print.
    Html,
}

/// A whole register as a file.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RegisterFileQuery {
    /// First day.
    pub from: Date,
    /// Last day, at most 400 days later.
    pub to: Date,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
    /// As what.
    #[param(inline)]
    pub format: RegisterFormat,
}

/// One page of a register.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegisterPage {
    /// What its columns are called.
    pub columns: Vec<String>,
    /// Rows as text, one cell for each column.
    pub rows: Vec<Vec<String>>,
    /// Rows of all pages.
    pub total: u64,
    /// This page, from 1.
    pub page: u32,
    /// Rows in a full page.
    pub page_size: u32,
}

/// Tables for other programs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Catalogue {
    /// Changes with any change of a table that is here.
    pub schema_version: &'static str,
    /// By name.
    pub tables: Vec<ExportTable>,
}

/// As what a table is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// UTF-8 with a mark; unknown values are empty.
    Csv,
    /// One object for each row; unknown values are null.
    Json,
    /// Uncompressed; unknown values are null.
    Parquet,
}

/// Which rows of a table.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// As what.
    #[param(inline)]
    pub format: ExportFormat,
    /// First day; needed for tables of days.
    pub from: Option<Date>,
    /// Last day, at most 400 days later.
    pub to: Option<Date>,
    /// Only of this region.
    pub region_id: Option<i64>,
    /// Only of this school.
    pub school_id: Option<i64>,
}
