//! What the linter found, in the asker's language.

use axum::{Json, extract::State, http::HeaderMap};
use contract::id::LessonId;

use super::{Path, Query};
use crate::{
    access::Access,
    api::{
        lint::{ConvertTool, LintFinding, LintReport, LintRule, LintRules},
        reviews::VersionQuery,
        schema,
    },
    app::AppState,
    domain::{
        convert::Tools,
        lint::{self, Finding},
    },
    error::{ApiError, accepted_language},
};

/// What the linter found in a version: errors keep it from 自审, each finding says what to do.
#[utoipa::path(get, path = "/lessons/{id}/lint", tag = "lessons", params(("id" = String, Path), VersionQuery), responses(
    (status = 200, body = LintReport),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn report(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Path(id): Path<LessonId>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<LintReport>, ApiError> {
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let (version, examined) = app.db.lint().within(&access.scope, &id, query.version).await?;
    let (findings, examined_at) = match examined {
        Some((examination, at)) => (examination.findings, Some(at)),
        None => (Vec::new(), None),
    };
    let told = |finding: &Finding| {
        let sentence = finding.sentence(language);
        LintFinding {
            rule: finding.rule.clone(),
            severity: finding.severity,
            file: finding.file.clone(),
            message: sentence.message,
            fix: sentence.fix,
        }
    };
    Ok(Json(LintReport {
        lesson: id,
        version,
        examined_at,
        passes: lint::passes(&findings),
        findings: findings.iter().map(told).collect(),
    }))
}

/// The rules that lessons are held against, and what this server can convert.
#[utoipa::path(get, path = "/lint-rules", tag = "lessons", responses((status = 200, body = LintRules)))]
pub async fn rules(State(app): State<AppState>, _: Access, headers: HeaderMap) -> Json<LintRules> {
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let rule = |rule: &lint::Rule| {
        let (message, fix) = rule.words(language);
        LintRule {
            id: rule.id.clone(),
            severity: rule.severity,
            limit: rule.limit,
            message: message.to_owned(),
            fix: fix.to_owned(),
        }
    };
    let tool = |(program, package, installed): (&str, &str, bool)| ConvertTool {
        program: program.to_owned(),
        package: package.to_owned(),
        installed,
    };
    Json(LintRules {
        rules: lint::rules().map(rule).collect(),
        tools: Tools::of_this_machine().list().map(tool).collect(),
    })
}
