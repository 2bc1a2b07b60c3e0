//! Exams: planned by place, with a PIN for listening audio; and what the boards noted of them.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use contract::school::PinDigest;
use jiff::Timestamp;

use super::{Body, Path, Query, receipts::local, text};
use crate::{
    access::Access,
    api::{
        exams::{
            AudioSpan, ChainState, ClassroomRecord, ClassroomSilence, ClassroomSilencePage, Doubt, Exam,
            ExamChange, ExamPage, ExamQuery, ExamRecordQuery, ExamRecords, ExamWithPin, NewExam, NewExamPin,
            Verdict,
        },
        schema,
    },
    app::{AppState, Noun},
    config::Language,
    db::{
        exams::Checked,
        scope::{Node, Scope},
    },
    domain::pin,
    error::{ApiError, accepted_language},
    messages,
};

const NAME_CHARS: usize = 60;
/// The longest exam.
const DAYS: i64 = 31;
const MOST_AUDIO: usize = 10;
const MOST_CLASSROOMS: usize = 200;

/// Plans an exam in all schools of a region, or in one school (or some of its classrooms). Its boards are told within seconds.
/// With listening audio and no PIN given, one is made. The answer is the only place where a PIN can be read.
#[utoipa::path(post, path = "/exams", tag = "exams", request_body = NewExam, responses(
    (status = 201, body = ExamWithPin),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn add(
    State(app): State<AppState>,
    access: Access,
    Body(new): Body<NewExam>,
) -> Result<(StatusCode, Json<ExamWithPin>), ApiError> {
    let now = Timestamp::now();
    let (node, exam, pin) = checked_new(&new, now)?;
    let digest = digest(pin.clone()).await?;
    let exams = app.db.exams();
    let by = &access.user.username;
    let id = exams
        .add(&access.scope, node, &exam, digest.as_ref(), by, now)
        .await?;
    app.changed(Noun::Tree, None);
    let exam = exams.get(&access.scope, &id, now).await?;
    Ok((StatusCode::CREATED, Json(ExamWithPin { exam, pin })))
}

/// Exams, latest begin first; those of the regions above among them.
#[utoipa::path(get, path = "/exams", tag = "exams", params(ExamQuery), responses(
    (status = 200, body = ExamPage),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn list(
    State(app): State<AppState>,
    access: Access,
    Query(query): Query<ExamQuery>,
) -> Result<Json<ExamPage>, ApiError> {
    let found = app
        .db
        .exams()
        .list(&access.scope, &query, Timestamp::now())
        .await?;
    Ok(Json(ExamPage::new(found, query.page())))
}

/// One exam.
#[utoipa::path(get, path = "/exams/{id}", tag = "exams", params(("id" = String, Path)), responses(
    (status = 200, body = Exam),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn detail(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Exam>, ApiError> {
    Ok(Json(
        app.db.exams().get(&access.scope, &id, Timestamp::now()).await?,
    ))
}

/// Changes an exam that is not over; what is left out stays. Boards that are in it are told within seconds.
#[utoipa::path(patch, path = "/exams/{id}", tag = "exams", params(("id" = String, Path)), request_body = ExamChange, responses(
    (status = 200, body = Exam),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
    (status = 422, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn change(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    Body(new): Body<ExamChange>,
) -> Result<Json<Exam>, ApiError> {
    let now = Timestamp::now();
    let exams = app.db.exams();
    let exam = exams.get(&access.scope, &id, now).await?;
    let changed = checked_change(exam, new)?;
    exams
        .change(&access.scope, &id, &changed, &access.user.username, now)
        .await?;
    app.changed(Noun::Tree, None);
    Ok(Json(exams.get(&access.scope, &id, now).await?))
}

/// Gives an exam another PIN: the given one, or one that is made. It is shown this once.
#[utoipa::path(post, path = "/exams/{id}/pin", tag = "exams", params(("id" = String, Path)), request_body = NewExamPin,
    responses(
        (status = 200, body = ExamWithPin),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
        (status = 409, body = schema::Problem, content_type = "application/problem+json"),
        (status = 422, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn set_pin(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    Body(new): Body<NewExamPin>,
) -> Result<Json<ExamWithPin>, ApiError> {
    let now = Timestamp::now();
    let pin = checked_pin(new.pin)?.unwrap_or_else(|| pin::generate(&mut rand::rng()));
    let exams = app.db.exams();
    if let Some(digest) = digest(Some(pin.clone())).await? {
        let by = &access.user.username;
        exams.set_pin(&access.scope, &id, &digest, by, now).await?;
    }
    app.changed(Noun::Tree, None);
    let exam = exams.get(&access.scope, &id, now).await?;
    Ok(Json(ExamWithPin { exam, pin: Some(pin) }))
}

/// Cancels an exam that is not over; its boards go on as usual within seconds. What they noted stays.
#[utoipa::path(post, path = "/exams/{id}/cancel", tag = "exams", params(("id" = String, Path)), responses(
    (status = 200, body = Exam),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    (status = 409, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn cancel(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
) -> Result<Json<Exam>, ApiError> {
    let now = Timestamp::now();
    let exams = app.db.exams();
    exams
        .cancel(&access.scope, &id, &access.user.username, now)
        .await?;
    app.changed(Noun::Tree, None);
    Ok(Json(exams.get(&access.scope, &id, now).await?))
}

/// How each classroom was in an exam, those that need a look first: silent, audio as allowed, not muted, or unknown.
#[utoipa::path(get, path = "/exams/{id}/records", tag = "exams", params(("id" = String, Path), ExamRecordQuery), responses(
    (status = 200, body = ExamRecords),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn records(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    Query(query): Query<ExamRecordQuery>,
) -> Result<Json<ExamRecords>, ApiError> {
    let exams = app.db.exams();
    let (exam, totals, rooms) = exams
        .records(&access.scope, &id, &query, Timestamp::now())
        .await?;
    let (page, total) = (query.page(), rooms.len() as u64);
    let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let rooms = rooms
        .into_iter()
        .skip(skip)
        .take(page.page_size as usize)
        .collect();
    Ok(Json(ExamRecords {
        exam,
        totals,
        classrooms: ClassroomSilencePage::new((rooms, total), page),
    }))
}

/// What the boards of one classroom noted in an exam, entry by entry.
#[utoipa::path(get, path = "/exams/{id}/records/{classroom}", tag = "exams",
    params(("id" = String, Path), ("classroom" = i64, Path)), responses(
        (status = 200, body = ClassroomRecord),
        (status = 404, body = schema::Problem, content_type = "application/problem+json"),
    ))]
pub async fn classroom_record(
    State(app): State<AppState>,
    access: Access,
    Path((id, classroom)): Path<(String, i64)>,
) -> Result<Json<ClassroomRecord>, ApiError> {
    let exams = app.db.exams();
    Ok(Json(
        exams
            .classroom_record(&access.scope, &id, classroom, Timestamp::now())
            .await?,
    ))
}

/// How each classroom was in an exam, as a table for a spreadsheet.
#[utoipa::path(get, path = "/exams/{id}/records.csv", tag = "exams", params(("id" = String, Path)), responses(
    (status = 200, body = String, content_type = "text/csv"),
    (status = 404, body = schema::Problem, content_type = "application/problem+json"),
))]
pub async fn records_table(
    State(app): State<AppState>,
    access: Access,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let language = accepted_language(&headers).unwrap_or(app.config.language);
    let table = records_csv(&app.db, &access.scope, &id, language, Timestamp::now()).await?;
    Ok(super::usage::download("exam-records.csv", table))
}

/// The table of an exam's classrooms.
pub(crate) async fn records_csv(
    db: &crate::db::Db,
    scope: &Scope,
    id: &str,
    language: Language,
    now: Timestamp,
) -> Result<Vec<u8>, ApiError> {
    let (exam, _, rooms) = db
        .exams()
        .records(scope, id, &ExamRecordQuery::default(), now)
        .await?;
    let row = |room: &ClassroomSilence| {
        vec![
            exam.name.clone(),
            local(exam.from),
            local(exam.to),
            room.school.clone(),
            room.classroom.clone(),
            verdict_in_words(room.verdict, language),
            room.doubt
                .map_or_else(String::new, |doubt| doubt_in_words(doubt, language)),
            room.mended.to_string(),
            room.audio_played.to_string(),
            room.held_back.to_string(),
            room.powered_on.to_string(),
            room.chain
                .map_or_else(String::new, |chain| chain_in_words(chain, language)),
            room.received_at.map_or_else(String::new, local),
        ]
    };
    let columns = [
        "exam",
        "from",
        "to",
        "school",
        "classroom",
        "verdict",
        "doubt",
        "mended",
        "audio",
        "held_back",
        "powered_on",
        "chain",
        "received_at",
    ];
    super::usage::csv(
        &columns.map(|name| format!("silence.column.{name}")),
        rooms.iter().map(row),
        language,
    )
}

/// How it was, in words.
pub(crate) fn verdict_in_words(verdict: Verdict, language: Language) -> String {
    let key = match verdict {
        Verdict::Silent => "silence.silent",
        Verdict::AllowedAudio => "silence.allowed_audio",
        Verdict::NotMuted => "silence.not_muted",
        Verdict::Unknown => "silence.unknown",
        Verdict::Running => "silence.running",
    };
    messages::text(language, key, &BTreeMap::new())
}

/// Why nobody knows, in words.
pub(crate) fn doubt_in_words(doubt: Doubt, language: Language) -> String {
    let key = match doubt {
        Doubt::NoRecord => "silence.doubt.no_record",
        Doubt::NotClosed => "silence.doubt.not_closed",
        Doubt::NotChecked => "silence.doubt.not_checked",
        Doubt::ChainBroken => "silence.doubt.chain_broken",
    };
    messages::text(language, key, &BTreeMap::new())
}

fn chain_in_words(chain: ChainState, language: Language) -> String {
    let key = match chain {
        ChainState::Intact => "silence.chain.intact",
        ChainState::Partial => "silence.chain.partial",
        ChainState::Broken => "silence.chain.broken",
    };
    messages::text(language, key, &BTreeMap::new())
}

/// Works a digest out beside the requests: it is meant to take its time.
pub(crate) async fn digest(pin: Option<String>) -> Result<Option<PinDigest>, ApiError> {
    let Some(pin) = pin else { return Ok(None) };
    let made = tokio::task::spawn_blocking(move || pin::digest(&pin, &mut rand::rng()));
    Ok(Some(made.await.map_err(ApiError::internal)?))
}

/// A new exam within its bounds, where it is held, and its PIN.
pub(crate) fn checked_new(
    new: &NewExam,
    now: Timestamp,
) -> Result<(Node, Checked, Option<String>), ApiError> {
    let node = match (new.region_id, new.school_id) {
        (Some(region), None) => Node::Region(region),
        (None, Some(school)) => Node::School(school),
        _ => {
            return Err(ApiError::invalid(
                "school_id",
                "an exam is held in a region or in a school: name one of region_id and school_id",
            ));
        }
    };
    let exam = checked(
        node,
        Checked {
            name: new.name.clone(),
            from: new.from,
            to: new.to,
            classrooms: new.classroom_ids.clone(),
            audio: new.audio.clone(),
        },
    )?;
    if exam.to <= now {
        return Err(ApiError::invalid(
            "to",
            format!("it would be over at {}, which is past", exam.to),
        ));
    }
    let given = checked_pin(new.pin.clone())?;
    let pin = match given {
        None if !exam.audio.is_empty() => Some(pin::generate(&mut rand::rng())),
        given => given,
    };
    Ok((node, exam, pin))
}

/// An exam as it would be after a change, within its bounds.
pub(crate) fn checked_change(exam: Exam, new: ExamChange) -> Result<Checked, ApiError> {
    let rooms = || exam.classrooms.iter().map(|room| room.id).collect();
    let node = Node::of_columns(exam.region_id, exam.school_id);
    checked(
        node,
        Checked {
            classrooms: new.classroom_ids.unwrap_or_else(rooms),
            name: new.name.unwrap_or(exam.name),
            from: new.from.unwrap_or(exam.from),
            to: new.to.unwrap_or(exam.to),
            audio: new.audio.unwrap_or(exam.audio),
        },
    )
}

fn checked(node: Node, exam: Checked) -> Result<Checked, ApiError> {
    let name = text("name", &exam.name, 1, NAME_CHARS)?;
    let length = exam.to.duration_since(exam.from).as_secs();
    if !(1..=DAYS * 86_400).contains(&length) {
        return Err(ApiError::invalid(
            "to",
            format!(
                "an exam from {} to {}; it must end after it begins and last at most {DAYS} days",
                exam.from, exam.to
            ),
        ));
    }
    let mut classrooms = exam.classrooms;
    classrooms.sort_unstable();
    classrooms.dedup();
    if classrooms.len() > MOST_CLASSROOMS {
        return Err(ApiError::invalid(
            "classroom_ids",
            format!(
                "{} classrooms; allowed are up to {MOST_CLASSROOMS}",
                classrooms.len()
            ),
        ));
    }
    if !classrooms.is_empty() && !matches!(node, Node::School(_)) {
        return Err(ApiError::invalid(
            "classroom_ids",
            "classrooms are named for the exam of one school; an exam of a region is held in all of them",
        ));
    }
    let mut audio = exam.audio;
    audio.sort_by_key(|span| (span.from, span.to));
    if audio.len() > MOST_AUDIO {
        return Err(ApiError::invalid(
            "audio",
            format!("{} stretches; allowed are up to {MOST_AUDIO}", audio.len()),
        ));
    }
    let mut before: Option<AudioSpan> = None;
    for span in &audio {
        if span.from >= span.to || span.from < exam.from || span.to > exam.to {
            return Err(ApiError::invalid(
                "audio",
                format!(
                    "audio from {} to {}; a stretch lies within the exam and ends after it begins",
                    span.from, span.to
                ),
            ));
        }
        if before.is_some_and(|before| before.to > span.from) {
            return Err(ApiError::invalid(
                "audio",
                format!("the stretch that begins at {} overlaps the one before", span.from),
            ));
        }
        before = Some(*span);
    }
    Ok(Checked {
        name,
        classrooms,
        audio,
        ..exam
    })
}

fn checked_pin(pin: Option<String>) -> Result<Option<String>, ApiError> {
    match pin {
        Some(pin) if !pin::is_pin(&pin) => Err(ApiError::invalid(
            "pin",
            "a PIN has 6 to 12 digits, not all of them the same; leave it out to have one made",
        )),
        pin => Ok(pin),
    }
}
