//! What became of a push on each board: pages, the table for a spreadsheet, and the sum by school.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use jiff::{Timestamp, tz::Offset};

use super::{Path, Query};
use crate::{
    access::Access,
    api::{
        receipts::{Receipt, ReceiptPage, ReceiptQuery, ReceiptState, ReceiptSummary},
        schema,
    },
    app::AppState,
    config::Language,
    domain::line::UTC_OFFSET_MIN,
    error::{ApiError, accepted_language},
    messages,
    reports::clean,
};

/// A spreadsheet of before this mark takes the table for GBK.
pub(super) const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// Receipts of a push, one page, those that need a look first.
#[utoipa::path(get, path = "/pushes/{id}/receipts", tag = "pushes", params(("id" = i64, Path), ReceiptQuery), responses(
    (status = 200, body = ReceiptPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<ReceiptQuery>,
) -> Result<Json<ReceiptPage>, ApiError> {
    let receipts = app.db.receipts();
    let found = receipts.page(&access.scope, id, &query, Timestamp::now()).await?;
    Ok(Json(ReceiptPage::new(found, query.page())))
}

/// Receipts of a push, counted by school, with the ways over which lesson bytes came.
#[utoipa::path(get, path = "/pushes/{id}/receipt-summary", tag = "pushes", params(("id" = i64, Path)), responses(
    (status = 200, body = ReceiptSummary),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn summary(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<ReceiptSummary>, ApiError> {
    let receipts = app.db.receipts();
    Ok(Json(receipts.summary(&access.scope, id, Timestamp::now()).await?))
}

/// All receipts of a push as a table for a spreadsheet.
#[utoipa::path(get, path = "/pushes/{id}/receipts.csv", tag = "pushes", params(("id" = i64, Path)), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn table(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let now = Timestamp::now();
    let receipts = app.db.receipts().all(&access.scope, id, now).await?;
    let table = csv_of(&receipts, language).map_err(ApiError::internal)?;
    let name = format!("attachment; filename=\"receipts-{id}.csv\"");
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, table).into_response())
}

/// What became of it, in words.
pub(crate) fn state_in_words(state: ReceiptState, language: Language) -> String {
    let key = match state {
        ReceiptState::Arrived => "receipt.arrived",
        ReceiptState::Failed => "receipt.failed",
        ReceiptState::Unreachable => "receipt.unreachable",
        ReceiptState::Pending => "receipt.pending",
    };
    messages::text(language, key, &BTreeMap::new())
}

/// Why, in words; empty without a reason.
pub(crate) fn reason_in_words(receipt: &Receipt, language: Language) -> String {
    receipt.reason.map_or_else(String::new, |reason| {
        let key = format!("receipt.reason.{}", reason.word());
        messages::text(language, &key, &BTreeMap::new())
    })
}

/// The table: UTF-8 with a mark, times by the school's clock, no cell that a spreadsheet would take for a formula.
///
/// # Errors
/// The table cannot be written.
pub(crate) fn csv_of(receipts: &[Receipt], language: Language) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(UTF8_MARK.to_vec());
    let columns = [
        "school",
        "classroom",
        "device",
        "serial",
        "state",
        "reason",
        "detail",
        "arrived_at",
        "late",
        "last_seen_at",
        "lessons",
        "bytes_missing",
    ];
    writer.write_record(
        columns.map(|column| messages::text(language, &format!("receipt.column.{column}"), &BTreeMap::new())),
    )?;
    for receipt in receipts {
        let late = if receipt.late {
            messages::text(language, "receipt.late", &BTreeMap::new())
        } else {
            String::new()
        };
        let missing = receipt.total_bytes.saturating_sub(receipt.done_bytes);
        let row = [
            receipt.school.clone(),
            receipt.classroom.clone(),
            receipt.device_id.clone(),
            receipt.serial.clone(),
            state_in_words(receipt.state, language),
            reason_in_words(receipt, language),
            receipt.detail.clone().unwrap_or_default(),
            receipt.arrived_at.map_or_else(String::new, local),
            late,
            receipt.last_seen_at.map_or_else(String::new, local),
            format!("{} / {}", receipt.lessons_ready, receipt.lessons_total),
            missing.to_string(),
        ];
        writer.write_record(row.map(|cell| harmless(&cell)))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// A time by the school's clock, as spreadsheets read it.
pub(crate) fn local(at: Timestamp) -> String {
    let offset = Offset::from_seconds(i32::from(UTC_OFFSET_MIN) * 60).unwrap_or(Offset::UTC);
    offset.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Names and details come from people and boards: a cell that a spreadsheet would reckon out is made text.
pub(super) fn harmless(cell: &str) -> String {
    clean::cell(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::planner::ReceiptReason;

    fn receipt() -> Receipt {
        Receipt {
            device_id: "d1".into(),
            serial: "=HYPERLINK(\"http://evil.example\")".into(),
            school_id: 1,
            school: "第一小学".into(),
            classroom: "三年级,(1)班".into(),
            state: ReceiptState::Failed,
            reason: Some(ReceiptReason::DiskFull),
            detail: Some("-2+3\n@SUM(A1)".into()),
            arrived_at: None,
            late: false,
            lessons_ready: 1,
            lessons_total: 2,
            done_bytes: 5,
            total_bytes: 9,
            last_seen_at: Timestamp::from_second(1_795_000_000).ok(),
        }
    }

    #[test]
    fn the_table_is_text_for_a_spreadsheet_and_runs_nothing() {
        let table = csv_of(&[receipt()], Language::ZhCn).unwrap();
        assert!(table.starts_with(UTF8_MARK));
        let mut reader = csv::Reader::from_reader(&table[UTF8_MARK.len()..]);
        assert_eq!(reader.headers().unwrap().get(0), Some("学校"));
        let row = reader.records().next().unwrap().unwrap();
        assert!(row[3].starts_with("'="), "{}", &row[3]);
        assert_eq!(&row[6], "'-2+3 @SUM(A1)");
        assert_eq!(&row[1], "三年级,(1)班");
        assert_eq!((&row[4], &row[10], &row[11]), ("失败", "1 / 2", "4"));
        assert!(!row[5].is_empty() && !row[5].contains("receipt."));
        assert_eq!(&row[9], "2026-11-18 19:06");
    }

    #[test]
    fn a_cell_that_begins_like_a_formula_is_made_text() {
        for cell in ["=1", "+1", "-1", "@x", " =1", "\t=1", "＝1", "\r=1"] {
            assert!(harmless(cell).starts_with('\''), "{cell:?}");
        }
        assert_eq!(harmless("教室 3-1"), "教室 3-1");
    }

    #[test]
    fn every_reason_has_its_words() {
        use ReceiptReason as R;
        for reason in [
            R::DiskFull,
            R::SignatureRefused,
            R::ManifestInvalid,
            R::HashMismatch,
            R::NotFound,
            R::DiskError,
            R::Withdrawn,
            R::LicenceExpired,
            R::RolledBack,
            R::TrustStale,
            R::Other,
            R::AssignmentTooLarge,
            R::PushWithdrawn,
            R::Late,
            R::LateClassHours,
            R::LateExam,
            R::LateMetered,
            R::NeverSeen,
            R::Offline,
            R::KeptOut,
        ] {
            let receipt = Receipt {
                reason: Some(reason),
                ..receipt()
            };
            for language in [Language::ZhCn, Language::En] {
                let words = reason_in_words(&receipt, language);
                assert!(!words.starts_with("receipt."), "{words}");
            }
        }
    }
}
