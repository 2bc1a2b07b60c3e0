//! 报修: a fault chosen from a list, how its repair stands, and whether it is mended.

use agent_core::faults::CLASSES;
use axum::{
    Extension, Json, Router,
    body::to_bytes,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use contract::{
    id::LessonId,
    records::{FaultClass, RepairState},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use super::{home::fresh, problem::Refusal, shelf_json::Api};
use crate::{
    config::Language,
    notebook::{FaultDenied, FaultView, FaultWish, Word},
    shelf::{PlayerState, RepairView},
};

/// Longest question in bytes.
const MAX_BYTES: usize = 1024;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/faults", get(faults).post(report))
        .route("/api/faults/{id}/confirm", post(confirm))
}

#[derive(Serialize)]
struct View {
    classes: Vec<Class>,
    faults: Vec<Fault>,
    repairs: Vec<RepairView>,
}

#[derive(Serialize)]
struct Class {
    class: FaultClass,
    symptoms: &'static [&'static str],
}

#[derive(Serialize)]
struct Fault {
    id: String,
    class: FaultClass,
    symptom: String,
    lesson: Option<LessonId>,
    at: Option<Timestamp>,
    /// Whether the console has it.
    sent: bool,
    repair: Option<Stand>,
}

#[derive(Serialize)]
struct Stand {
    state: RepairState,
    note: String,
    since: Timestamp,
}

impl From<FaultView> for Fault {
    fn from(view: FaultView) -> Self {
        let repair = view.repair;
        let id = view.report.as_ref().map(|report| report.id.clone());
        let id = id.or_else(|| repair.as_ref().map(|repair| repair.fault.clone()));
        Self {
            id: id.unwrap_or_default(),
            class: view
                .report
                .as_ref()
                .map_or(FaultClass::Other, |report| report.class),
            symptom: view
                .report
                .as_ref()
                .map(|report| report.symptom.clone())
                .unwrap_or_default(),
            lesson: view.report.as_ref().and_then(|report| report.lesson.clone()),
            at: view.report.as_ref().and_then(|report| report.at),
            sent: view.sent,
            repair: repair.map(|repair| Stand {
                state: repair.state,
                note: repair.note,
                since: repair.since,
            }),
        }
    }
}

async fn faults(State(state): State<PlayerState>, Extension(language): Extension<Language>) -> Response {
    let (answer, answered) = oneshot::channel();
    if !state.notebook().say(Word::Faults(answer)) {
        return Refusal::Busy.answer(language, "");
    }
    // Before enrolment nobody keeps faults; the list can be looked at all the same.
    let known = tokio::time::timeout(std::time::Duration::from_secs(3), answered).await;
    let known = known.ok().and_then(Result::ok).unwrap_or_default();
    let classes = CLASSES.iter().map(|(class, symptoms)| Class {
        class: *class,
        symptoms,
    });
    let view = View {
        classes: classes.collect(),
        faults: known.into_iter().map(Fault::from).collect(),
        repairs: state.beside().repairs.clone(),
    };
    fresh(Json(view).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    class: FaultClass,
    #[serde(default)]
    symptom: String,
    #[serde(default)]
    lesson: Option<LessonId>,
}

/// `POST /api/faults {class, symptom?, lesson?}`.
async fn report(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    request: Request,
) -> Response {
    let wish = match read::<Report>(request).await {
        Ok(wish) => wish,
        Err(reason) => return Refusal::BadWish.answer(language, reason),
    };
    let (answer, answered) = oneshot::channel();
    let wish = FaultWish {
        class: wish.class,
        symptom: wish.symptom,
        lesson: wish.lesson,
    };
    if !state.notebook().say(Word::Fault(wish, answer)) {
        return Refusal::Busy.answer(language, "");
    }
    reply(StatusCode::CREATED, answered, language).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mended {
    fixed: bool,
}

/// `POST /api/faults/{id}/confirm {fixed}`.
async fn confirm(
    State(state): State<PlayerState>,
    Extension(language): Extension<Language>,
    Path(fault): Path<String>,
    request: Request,
) -> Response {
    let mended = match read::<Mended>(request).await {
        Ok(mended) => mended,
        Err(reason) => return Refusal::BadWish.answer(language, reason),
    };
    let (answer, answered) = oneshot::channel();
    let word = Word::Confirm {
        fault,
        fixed: mended.fixed,
        answer,
    };
    if !state.notebook().say(word) {
        return Refusal::Busy.answer(language, "");
    }
    reply(StatusCode::OK, answered, language).await
}

async fn reply(
    status: StatusCode,
    answered: oneshot::Receiver<Result<FaultView, FaultDenied>>,
    language: Language,
) -> Response {
    match answered.await {
        Ok(Ok(view)) => fresh((status, Json(Fault::from(view))).into_response()),
        Ok(Err(FaultDenied::Symptom)) => {
            Refusal::BadWish.answer(language, "symptom: choose one of its class")
        }
        Ok(Err(FaultDenied::TooMany)) => Refusal::FaultsFull.answer(language, ""),
        Ok(Err(FaultDenied::Unknown)) => Refusal::FaultUnknown.answer(language, ""),
        Ok(Err(FaultDenied::Disk)) => Refusal::DiskError.answer(language, "the report could not be kept"),
        Err(_) => Refusal::Preparing.answer(language, "nobody looks at it now"),
    }
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, String> {
    let body = to_bytes(request.into_body(), MAX_BYTES).await;
    let body = body.map_err(|error| error.to_string())?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}
