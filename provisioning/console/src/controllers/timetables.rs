//! Timetables of classrooms: seen, set, read out of files, written as CSES.

pub mod calendars;
pub mod planned;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Multipart, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use contract::{
    classroom::{MAX_ENTRIES, MAX_PERIODS, Period},
    cses::{self, CsesError, CsesReason, MAX_SUBJECT_CHARS},
};
use jiff::Timestamp;

use super::{Body, Path, Query, text};
use crate::{
    access::Access,
    api::{
        roster::{RosterEncoding, RosterError},
        schema,
        timetables::{
            NewTimetable, Timetable, TimetableChangeKind, TimetableForm, TimetableImportQuery,
            TimetablePeriod, TimetableReport, TimetableSummary, TimetableTemplateFormat,
            TimetableTemplateQuery,
        },
    },
    app::{AppState, Noun},
    audit,
    config::Language,
    db::{Db, scope::Scope},
    domain::{
        roster::{self, Encoding, FileFault},
        timetables::{
            self as calendar, ClassTable, Room, Tables, csv_template, overlap, tables, today, xlsx_template,
        },
    },
    error::{ApiError, Code, accepted_language},
    messages,
};

/// Largest file of timetables in bytes: a school's, not a county's.
pub const MAX_FILE_BYTES: usize = 8 << 20;
const ERRORS_SHOWN: usize = 500;
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// A classroom's timetable.
#[utoipa::path(get, path = "/classrooms/{id}/timetable", tag = "timetables", params(("id" = i64, Path)), responses(
    (status = 200, body = Timetable),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn get(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Timetable>, ApiError> {
    Ok(Json(app.db.timetables().get(&access.scope, id).await?))
}

/// Sets a classroom's timetable in place of the one before. Its boards are told within seconds.
#[utoipa::path(put, path = "/classrooms/{id}/timetable", tag = "timetables", params(("id" = i64, Path)),
    request_body = NewTimetable, responses(
        (status = 200, body = Timetable),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Body(new): Body<NewTimetable>,
) -> Result<Json<Timetable>, ApiError> {
    let timetables = app.db.timetables();
    let school = timetables.get(&access.scope, id).await?.school_id;
    let bells = timetables.rooms(&Scope::everything(), school).await?.1.bells;
    let periods = checked(new.periods)?;
    if let Some((at, first)) = overlap(&periods, &bells) {
        return Err(ApiError::invalid(
            "periods",
            format!("entries {} and {} are held at the same time", first + 1, at + 1),
        ));
    }
    timetables
        .set(
            &access.scope,
            id,
            &periods,
            &access.user.username,
            Timestamp::now(),
        )
        .await?;
    app.changed(Noun::Tree, None);
    Ok(Json(timetables.get(&access.scope, id).await?))
}

/// A classroom's timetable as a CSES file, for class-widget programs and for a USB disk.
#[utoipa::path(get, path = "/classrooms/{id}/timetable.yaml", tag = "timetables", params(("id" = i64, Path)), responses(
    (status = 200, body = String, content_type = "application/yaml"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn export(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Response, ApiError> {
    let file = written(&app.db, &access.scope, id).await?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/yaml; charset=utf-8"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::try_from(format!("attachment; filename=\"timetable-{id}.yaml\""))
                .map_err(ApiError::internal)?,
        ),
    ];
    Ok((headers, file).into_response())
}

/// The same for the command line.
pub(crate) async fn written(db: &Db, scope: &Scope, classroom: i64) -> Result<String, ApiError> {
    let timetable = db.timetables().get(scope, classroom).await?;
    let week: Vec<Period> = calendar::timed(&timetable.effective, &[]);
    Ok(cses::write(&week))
}

/// The classrooms of a school and what each has of a timetable.
#[utoipa::path(get, path = "/schools/{id}/timetables", tag = "timetables", params(("id" = i64, Path)), responses(
    (status = 200, body = Vec<TimetableSummary>),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
) -> Result<Json<Vec<TimetableSummary>>, ApiError> {
    let day = today(Timestamp::now());
    Ok(Json(app.db.timetables().list(&access.scope, id, day).await?))
}

/// An empty table to fill in.
#[utoipa::path(get, path = "/timetables/template", tag = "timetables", params(TimetableTemplateQuery), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
))]
pub async fn template(_: Access, Query(query): Query<TimetableTemplateQuery>) -> Result<Response, ApiError> {
    let (bytes, kind, disposition) = match query.format {
        TimetableTemplateFormat::Xlsx => (
            xlsx_template().map_err(ApiError::internal)?,
            XLSX,
            "attachment; filename=\"timetables.xlsx\"",
        ),
        TimetableTemplateFormat::Csv => (
            csv_template(),
            "text/csv; charset=utf-8",
            "attachment; filename=\"timetables.csv\"",
        ),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, bytes).into_response())
}

/// Says what a table with timetables of a school would set and what is wrong with it; with `apply` sets them, if nothing is
/// wrong. Classrooms that it does not name stay as they are.
#[utoipa::path(post, path = "/schools/{id}/timetables", tag = "timetables", params(("id" = i64, Path), TimetableImportQuery),
    request_body(content = TimetableForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = TimetableReport),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 413, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn import_school(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<TimetableImportQuery>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<TimetableReport>, ApiError> {
    import(&app, &access, About::School(id), query, &headers, form).await
}

/// The same for one classroom, of a table or of a CSES file.
#[utoipa::path(post, path = "/classrooms/{id}/timetable", tag = "timetables", params(("id" = i64, Path), TimetableImportQuery),
    request_body(content = TimetableForm, content_type = "multipart/form-data"), responses(
        (status = 200, body = TimetableReport),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 413, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn import_classroom(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<i64>,
    Query(query): Query<TimetableImportQuery>,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Json<TimetableReport>, ApiError> {
    import(&app, &access, About::Classroom(id), query, &headers, form).await
}

/// Whose timetables a file is to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About {
    /// Of all classrooms of a school.
    School(i64),
    /// Of one classroom.
    Classroom(i64),
}

async fn import(
    app: &AppState,
    access: &Access,
    about: About,
    query: TimetableImportQuery,
    headers: &HeaderMap,
    form: Multipart,
) -> Result<Json<TimetableReport>, ApiError> {
    if !query.apply {
        audit::only_looking();
    }
    // Whoever may not see the place hears that before the file is read.
    let place = Place::find(&app.db, &access.scope, about).await?;
    let language = accepted_language(headers).unwrap_or(app.config.language);
    let bytes = super::roster::receive(form, MAX_FILE_BYTES, "8 MiB").await?;
    let encoding = match query.encoding {
        None => Encoding::Guess,
        Some(RosterEncoding::Utf8) => Encoding::Utf8,
        Some(RosterEncoding::Gbk) => Encoding::Gb18030,
    };
    let by = (access.user.username.as_str(), Timestamp::now());
    let report = place
        .run(&app.db, bytes, encoding, query.apply, by, language)
        .await?;
    if report.applied && report.change_count > 0 {
        app.changed(Noun::Tree, None);
    }
    Ok(Json(report))
}

/// What a file is read against.
pub(crate) struct Place {
    about: About,
    rooms: Vec<Room>,
    all_rooms: usize,
    calendar: crate::api::timetables::EffectiveCalendar,
}

impl Place {
    pub(crate) async fn find(db: &Db, scope: &Scope, about: About) -> Result<Self, ApiError> {
        let timetables = db.timetables();
        let (rooms, calendar) = match about {
            About::School(school) => timetables.rooms(scope, school).await?,
            About::Classroom(classroom) => {
                let school = timetables.get(scope, classroom).await?.school_id;
                let (mut rooms, calendar) = timetables.rooms(&Scope::everything(), school).await?;
                rooms.retain(|room| room.id == classroom);
                (rooms, calendar)
            }
        };
        Ok(Self {
            about,
            all_rooms: rooms.len(),
            rooms,
            calendar,
        })
    }

    /// Reads a file, and sets what it says if `apply` and nothing is wrong.
    pub(crate) async fn run(
        self,
        db: &Db,
        bytes: Vec<u8>,
        encoding: Encoding,
        apply: bool,
        by: (&str, Timestamp),
        language: Language,
    ) -> Result<TimetableReport, ApiError> {
        let about = self.about;
        // A school's workbook takes a moment of one core.
        let read = tokio::task::spawn_blocking(move || {
            let read = self.read(&bytes, encoding);
            (self, read)
        });
        let (place, read) = read.await.map_err(ApiError::internal)?;
        let found = match read {
            Read::Table(found) => found,
            Read::Fault(fault) => return Err(fault.into()),
            Read::Cses(error) => return Ok(refused(&error, place.all_rooms, language)),
        };
        let about = match about {
            About::School(id) => ("school", id),
            About::Classroom(id) => ("classroom", id),
        };
        let (classrooms, applied) = db
            .timetables()
            .import(&place.rooms, &found, about, apply, by)
            .await?;
        let mut faults: Vec<_> = found.faults.iter().collect();
        faults.sort_by(|a, b| (&a.sheet, a.row).cmp(&(&b.sheet, b.row)));
        let error = |fault: &&roster::Fault| RosterError {
            sheet: fault.sheet.clone(),
            row: fault.row,
            column: fault.column.clone(),
            code: fault.code.to_owned(),
            message: messages::text(language, fault.code, &fault.args),
        };
        Ok(TimetableReport {
            applied,
            rows: found.rows,
            change_count: classrooms
                .iter()
                .filter(|c| c.kind != TimetableChangeKind::Same)
                .count(),
            untouched: place.all_rooms.saturating_sub(classrooms.len()),
            classrooms,
            errors: faults.iter().take(ERRORS_SHOWN).map(error).collect(),
            error_count: found.fault_count,
        })
    }

    fn read(&self, bytes: &[u8], encoding: Encoding) -> Read {
        if let About::Classroom(classroom) = self.about
            && let Ok(text) = std::str::from_utf8(bytes)
            && text
                .lines()
                .any(|line| line.starts_with("schedules") || line.starts_with("subjects"))
        {
            return match cses::parse(text) {
                Ok(found) => Read::Table(Tables {
                    rows: found.periods.len(),
                    classes: vec![ClassTable {
                        room: classroom,
                        periods: calendar::by_bells(&found.periods, &self.calendar.bells),
                    }],
                    ..Tables::default()
                }),
                Err(error) => Read::Cses(error),
            };
        }
        match roster::read(bytes, encoding) {
            Ok(sheets) => Read::Table(tables(&sheets, &self.rooms, &self.calendar.bells)),
            Err(fault) => Read::Fault(fault),
        }
    }
}

enum Read {
    Table(Tables),
    Fault(FileFault),
    Cses(CsesError),
}

fn refused(error: &CsesError, untouched: usize, language: Language) -> TimetableReport {
    let mut args = BTreeMap::new();
    match &error.reason {
        CsesReason::Yaml(found)
        | CsesReason::Version(found)
        | CsesReason::Day(found)
        | CsesReason::Weeks(found)
        | CsesReason::Time(found) => {
            args.insert("found", found.clone());
        }
        CsesReason::Overlap(line) => {
            args.insert("first", line.to_string());
        }
        _ => {}
    }
    let code = format!("cses_{}", error.reason.code());
    TimetableReport {
        applied: false,
        rows: 0,
        classrooms: Vec::new(),
        change_count: 0,
        untouched,
        errors: vec![RosterError {
            sheet: String::new(),
            row: error.line,
            column: error.field.clone(),
            message: messages::text(language, &code, &args),
            code,
        }],
        error_count: 1,
    }
}

/// Periods within their bounds, no two of one number at a time.
pub(crate) fn checked(periods: Vec<TimetablePeriod>) -> Result<Vec<TimetablePeriod>, ApiError> {
    let wrong = |at: usize, why: String| ApiError::invalid("periods", format!("entry {}: {why}", at + 1));
    if periods.len() > MAX_ENTRIES {
        return Err(ApiError::invalid(
            "periods",
            format!("{} entries; allowed are up to {MAX_ENTRIES}", periods.len()),
        ));
    }
    let mut good: Vec<TimetablePeriod> = Vec::with_capacity(periods.len());
    for (at, period) in periods.into_iter().enumerate() {
        if !(1..=7).contains(&period.day) {
            return Err(wrong(at, format!("day {}; 1 is Monday and 7 Sunday", period.day)));
        }
        if !(1..=MAX_PERIODS).contains(&period.number) {
            return Err(wrong(
                at,
                format!("number {}; allowed is 1 to {MAX_PERIODS}", period.number),
            ));
        }
        match (period.from_min, period.to_min) {
            (None, None) => {}
            (Some(from), Some(to)) if from < to && to <= 1_440 => {}
            (from, to) => {
                let why = format!(
                    "minutes {from:?} to {to:?}; say both or neither, from 0 to 1440, the end after the begin"
                );
                return Err(wrong(at, why));
            }
        }
        let meet = |other: &TimetablePeriod| {
            use contract::classroom::Weeks;
            (other.day, other.number) == (period.day, period.number)
                && (other.weeks == period.weeks || other.weeks == Weeks::All || period.weeks == Weeks::All)
        };
        if let Some(first) = good.iter().position(meet) {
            return Err(wrong(
                at,
                format!("entry {} has the same day, number and weeks", first + 1),
            ));
        }
        good.push(TimetablePeriod {
            subject: text("periods", &period.subject, 1, MAX_SUBJECT_CHARS)?,
            ..period
        });
    }
    Ok(good)
}

/// A file that is neither table nor CSES is a slip of the pen, as for the roster.
impl From<CsesError> for ApiError {
    fn from(error: CsesError) -> Self {
        Self::new(Code::InvalidField).arg("field", "file").detail(error)
    }
}
