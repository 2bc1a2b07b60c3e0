//! What happened in classrooms, as tables: faults, exams, notices, inspections.

use std::collections::BTreeMap;

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;

use super::{
    at,
    lists::{listed, paged},
    word,
};
use crate::{
    access::Access,
    api::{
        assets::{Inspection, InspectionQuery},
        exams::{Exam, ExamQuery},
        faults::{Fault, FaultQuery},
        notices::{Notice, NoticeListQuery},
        schema,
    },
    app::AppState,
    config::Language,
    controllers::{Query, receipts::local},
    domain::faults::class_word,
    error::ApiError,
    messages,
};

paged!(ExamQuery, FaultQuery, InspectionQuery, NoticeListQuery);

fn said(language: Language, key: &str) -> String {
    messages::text(language, key, &BTreeMap::new())
}

/// The list of faults as a table, with the same filters and order.
#[utoipa::path(get, path = "/faults/export.csv", tag = "faults", params(FaultQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn faults(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<FaultQuery>,
) -> Result<Response, ApiError> {
    let columns =
        "fault school classroom device serial fault_class symptom lesson reported fault_state since note";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: FaultQuery| async move { db.faults().list(scope, &query).await };
    listed((&app, &headers), ("faults.csv", columns), &query, ask, fault_row).await
}

fn fault_row(language: Language, f: Fault) -> Vec<String> {
    let class = class_word(f.class);
    let symptom = match f.symptom.as_str() {
        "" => String::new(),
        word => {
            let key = format!("wall.symptom.{class}.{word}");
            let text = said(language, &key);
            if text == key { word.to_owned() } else { text }
        }
    };
    vec![
        f.id,
        f.school,
        f.classroom,
        f.device_id,
        f.serial,
        said(language, &format!("wall.class.{class}")),
        symptom,
        f.lesson.unwrap_or_default(),
        local(f.at.unwrap_or(f.received_at)),
        word(language, "fault_state", &f.state),
        local(f.since),
        f.note,
    ]
}

/// The list of exams as a table, with the same filters and order.
#[utoipa::path(get, path = "/exams/export.csv", tag = "exams", params(ExamQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn exams(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<ExamQuery>,
) -> Result<Response, ApiError> {
    let now = Timestamp::now();
    let columns = "exam place from to rooms audio_spans exam_state created_by created cancelled";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: ExamQuery| async move { db.exams().list(scope, &query, now).await };
    listed((&app, &headers), ("exams.csv", columns), &query, ask, exam_row).await
}

fn exam_row(language: Language, e: Exam) -> Vec<String> {
    let rooms: Vec<&str> = e.classrooms.iter().map(|room| room.name.as_str()).collect();
    vec![
        e.name,
        e.place,
        local(e.from),
        local(e.to),
        rooms.join("、"),
        e.audio.len().to_string(),
        word(language, "exam", &e.state),
        e.created_by,
        local(e.created_at),
        at(e.cancelled_at),
    ]
}

/// The list of notices as a table, with the same filters and order.
#[utoipa::path(get, path = "/notices/export.csv", tag = "notices", params(NoticeListQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn notices(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<NoticeListQuery>,
) -> Result<Response, ApiError> {
    let columns =
        "notice level title text sent_to devices shown waiting expired failed created_by created until";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: NoticeListQuery| async move { db.notices().list(scope, &query).await };
    listed(
        (&app, &headers),
        ("notices.csv", columns),
        &query,
        ask,
        notice_row,
    )
    .await
}

fn notice_row(language: Language, n: Notice) -> Vec<String> {
    let targets: Vec<&str> = n.targets.iter().map(|target| target.name.as_str()).collect();
    vec![
        n.id.to_string(),
        word(language, "level", &n.level),
        n.title,
        n.text,
        targets.join("、"),
        n.counts.devices.to_string(),
        n.counts.shown.to_string(),
        n.counts.waiting.to_string(),
        n.counts.expired.to_string(),
        n.counts.failed.to_string(),
        n.issued_by,
        local(n.issued_at),
        local(n.expires_at),
    ]
}

/// The list of inspections as a table, with the same filters and order.
#[utoipa::path(get, path = "/inspections/export.csv", tag = "assets", params(InspectionQuery), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn inspections(
    State(app): State<AppState>,
    access: Access,
    headers: HeaderMap,
    Query(query): Query<InspectionQuery>,
) -> Result<Response, ApiError> {
    let columns = "date school classroom device inspection result points note by at";
    let (db, scope) = (&app.db, &access.scope);
    let ask = |query: InspectionQuery| async move { db.inspections().list(scope, &query).await };
    listed(
        (&app, &headers),
        ("inspections.csv", columns),
        &query,
        ask,
        inspection_row,
    )
    .await
}

fn inspection_row(language: Language, i: Inspection) -> Vec<String> {
    let points: Vec<String> = i
        .items
        .iter()
        .map(|item| {
            format!(
                "{} {} {}",
                item.point,
                word(language, "result", &item.result),
                item.value
            )
        })
        .collect();
    vec![
        i.date.to_string(),
        i.school,
        i.classroom,
        i.device_id.unwrap_or_default(),
        word(language, "inspection", &i.kind),
        word(language, "result", &i.result),
        points.join("；"),
        i.note,
        i.by,
        local(i.at),
    ]
}
