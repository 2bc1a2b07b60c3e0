//! What the linter found in a lesson, and the rules it goes by.

use contract::id::LessonId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::domain::lint::Severity;

/// One version's examination.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LintReport {
    /// The lesson.
    #[schema(value_type = String)]
    pub lesson: LessonId,
    /// The version.
    pub version: u32,
    /// When it was examined; none for a version from before there was a linter.
    pub examined_at: Option<Timestamp>,
    /// Whether 自审 may pass it: no finding is an error.
    pub passes: bool,
    /// Errors first.
    pub findings: Vec<LintFinding>,
}

/// One thing found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LintFinding {
    /// The rule's id, e.g. `video.level`.
    pub rule: String,
    /// Whether it keeps the version from being reviewed.
    pub severity: Severity,
    /// The file in the lesson.
    pub file: String,
    /// What is wrong, in the asker's language.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// The rules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LintRules {
    /// By id.
    pub rules: Vec<LintRule>,
    /// The programs that convert, and whether they are installed on the server.
    pub tools: Vec<ConvertTool>,
}

/// One rule.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LintRule {
    /// Stable name.
    pub id: String,
    /// Whether it keeps a version from being reviewed.
    pub severity: Severity,
    /// What it is held against, where it is a figure.
    pub limit: Option<u64>,
    /// What is wrong; `{found}` and `{limit}` are filled in.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// A program that converts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConvertTool {
    /// Its name.
    pub program: String,
    /// The Debian package that brings it.
    pub package: String,
    /// Whether it is here.
    pub installed: bool,
}
