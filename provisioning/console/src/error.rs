//! One shape of failure for every HTTP answer, written in the reader's language at the door.
//!
//! A handler returns an [`ApiError`]; [`render_problems`] turns it into `application/problem+json` once language and
//! request id are known. Knows no noun.

use std::collections::BTreeMap;

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use contract::api::Problem;
use tracing::Instrument;

use crate::{
    config::Language,
    controllers::receipts::local,
    db::DbError,
    domain::{import::ImportError, review::Refusal, vocab::WordFault},
    messages,
};

/// Names the request in answers and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident;)*) => {
        /// Every error an HTTP caller can meet. Each has a sentence in each message catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them, for tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name in [`Problem::code`] and the catalogues.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status it travels with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }
        }
    };
}

codes! {
    /// No session, or it ran out.
    NotSignedIn = "not_signed_in", UNAUTHORIZED;
    /// User name or password wrong.
    WrongPassword = "wrong_password", UNAUTHORIZED;
    /// Too many failed sign-ins; args: `seconds`.
    TooManyAttempts = "too_many_attempts", TOO_MANY_REQUESTS;
    /// A change asked for by another site's page.
    ForeignOrigin = "foreign_origin", FORBIDDEN;
    /// The request names a host that is not this console; args: `host`.
    ForeignHost = "foreign_host", MISDIRECTED_REQUEST;
    /// The person's roles do not allow it; args: `action`.
    Forbidden = "forbidden", FORBIDDEN;
    /// The password fits; now the second factor is asked for.
    TotpRequired = "totp_required", UNAUTHORIZED;
    /// The second factor does not fit.
    TotpWrong = "totp_wrong", UNAUTHORIZED;
    /// The account was switched off.
    AccountDisabled = "account_disabled", FORBIDDEN;
    /// The new password is too weak.
    PasswordWeak = "password_weak", UNPROCESSABLE_ENTITY;
    /// It would leave nobody who can administer the install.
    LastAdmin = "last_admin", CONFLICT;
    /// Single sign-on is not set up.
    OidcNotConfigured = "oidc_not_configured", NOT_FOUND;
    /// The provider of single sign-on does not answer.
    OidcUnavailable = "oidc_unavailable", SERVICE_UNAVAILABLE;
    /// The provider's answer cannot be believed, or its person has no role here.
    OidcRefused = "oidc_refused", FORBIDDEN;
    /// Only single sign-on (and the break-glass account) may be used.
    LocalSignInOff = "local_sign_in_off", FORBIDDEN;
    /// The table cannot be read at all; the detail says why.
    RosterFile = "roster_file", UNPROCESSABLE_ENTITY;
    /// The table has no bytes.
    RosterEmpty = "roster_empty", UNPROCESSABLE_ENTITY;
    /// Neither xlsx nor csv.
    RosterKindOfFile = "roster_kind_of_file", UNPROCESSABLE_ENTITY;
    /// A spreadsheet of before 2007.
    RosterOldFile = "roster_old_file", UNPROCESSABLE_ENTITY;
    /// More rows than are taken at once.
    RosterTooManyRows = "roster_too_many_rows", UNPROCESSABLE_ENTITY;
    /// Neither UTF-8 nor GBK.
    RosterLetters = "roster_letters", UNPROCESSABLE_ENTITY;
    /// Nothing at this address.
    NoSuchPath = "no_such_path", NOT_FOUND;
    /// The address exists, the method does not.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED;
    /// A noun that is not there; args: `what`, `id`.
    NotFound = "not_found", NOT_FOUND;
    /// The body, path or query cannot be read.
    BadRequest = "bad_request", BAD_REQUEST;
    /// A field is outside its bounds; args: `field`.
    InvalidField = "invalid_field", UNPROCESSABLE_ENTITY;
    /// Something of that name or code exists; args: `what`, `id`.
    AlreadyExists = "already_exists", CONFLICT;
    /// The lesson is retired and cannot be pushed; args: `id`.
    LessonRetired = "lesson_retired", CONFLICT;
    /// No version of the lesson is released; args: `id`.
    LessonNotReleased = "lesson_not_released", CONFLICT;
    /// Another step of the review is next, or none; args: `review_state`.
    ReviewNotNow = "review_not_now", CONFLICT;
    /// Whoever brought a version does not review it.
    ReviewOwnWork = "review_own_work", CONFLICT;
    /// Nobody passes two reviews of one version.
    ReviewSecondStep = "review_second_step", CONFLICT;
    /// Another version is the newest by now; args: `version`, `newest`.
    ReviewNotNewest = "review_not_newest", CONFLICT;
    /// Somebody changed the version meanwhile; args: `version`.
    ReviewChanged = "review_changed", CONFLICT;
    /// Nothing of the lesson is on offer, so nothing is withdrawn.
    ReviewNotOffered = "review_not_offered", CONFLICT;
    /// It must be said why.
    ReviewNoReason = "review_no_reason", UNPROCESSABLE_ENTITY;
    /// 自审 needs more of the description; args: `fields`.
    ReviewIncomplete = "review_incomplete", CONFLICT;
    /// 自审 waits for errors that the linter found; args: `count`.
    ReviewLintErrors = "review_lint_errors", CONFLICT;
    /// A word that the vocabulary does not have; args: `field`, `name`, `word`, `near`.
    VocabUnknown = "vocab_unknown", UNPROCESSABLE_ENTITY;
    /// A grade of another stage; args: `field`, `name`, `word`, `stage`, `near`.
    VocabOtherStage = "vocab_other_stage", UNPROCESSABLE_ENTITY;
    /// The device cannot do what the command says; args: `id`.
    DeviceCannot = "device_cannot", CONFLICT;
    /// It would end a class or an exam and is not forced, or does not say why; the detail says which.
    CommandNotNow = "command_not_now", CONFLICT;
    /// The uploaded lesson was refused; the detail says why.
    LessonRefused = "lesson_refused", UNPROCESSABLE_ENTITY;
    /// The file is empty. Args: `file`, `detail`.
    ImportEmpty = "import_empty", UNPROCESSABLE_ENTITY;
    /// The lesson is too large. Args: `file`, `detail`.
    ImportTooLarge = "import_too_large", PAYLOAD_TOO_LARGE;
    /// The file cannot be read. Args: `file`, `detail`.
    ImportUnreadable = "import_unreadable", UNPROCESSABLE_ENTITY;
    /// The file changed during the import. Args: `file`, `detail`.
    ImportChanged = "import_changed", UNPROCESSABLE_ENTITY;
    /// Not a kind that lessons have. Args: `file`, `detail`.
    ImportUnsupportedKind = "import_unsupported_kind", UNPROCESSABLE_ENTITY;
    /// The name promises another kind than the content is. Args: `file`, `detail`.
    ImportMislabelled = "import_mislabelled", UNPROCESSABLE_ENTITY;
    /// The end is missing. Args: `file`, `detail`.
    ImportTruncated = "import_truncated", UNPROCESSABLE_ENTITY;
    /// The file contradicts its own format. Args: `file`, `detail`.
    ImportDamaged = "import_damaged", UNPROCESSABLE_ENTITY;
    /// A codec that classrooms cannot play. Args: `file`, `detail`.
    ImportCodec = "import_codec", UNPROCESSABLE_ENTITY;
    /// A film could not be brought into the boards' coding.
    ImportTranscode = "import_transcode", UNPROCESSABLE_ENTITY;
    /// The picture is too big. Args: `file`, `detail`.
    ImportTooManyPixels = "import_too_many_pixels", UNPROCESSABLE_ENTITY;
    /// A name in the zip is not allowed. Args: `file`, `detail`.
    ImportZipName = "import_zip_name", UNPROCESSABLE_ENTITY;
    /// A link in the zip. Args: `file`, `detail`.
    ImportZipSymlink = "import_zip_symlink", UNPROCESSABLE_ENTITY;
    /// A name stands twice in the zip. Args: `file`, `detail`.
    ImportZipDuplicate = "import_zip_duplicate", UNPROCESSABLE_ENTITY;
    /// The zip has a password. Args: `file`, `detail`.
    ImportZipEncrypted = "import_zip_encrypted", UNPROCESSABLE_ENTITY;
    /// The zip unpacks to more than allowed. Args: `file`, `detail`.
    ImportZipBomb = "import_zip_bomb", UNPROCESSABLE_ENTITY;
    /// No index.html in the zip. Args: `file`, `detail`.
    ImportZipNoIndex = "import_zip_no_index", UNPROCESSABLE_ENTITY;
    /// A program in the lesson. Args: `file`, `detail`.
    ImportProgram = "import_program", UNPROCESSABLE_ENTITY;
    /// The subtitles cannot be read. Args: `file`, `detail`.
    ImportSubtitle = "import_subtitle", UNPROCESSABLE_ENTITY;
    /// No lesson.toml in the folder. Args: `file`, `detail`.
    ImportNoLessonToml = "import_no_lesson_toml", UNPROCESSABLE_ENTITY;
    /// The description has an error. Args: `file`, `detail`.
    ImportDescription = "import_description", UNPROCESSABLE_ENTITY;
    /// A word that is not in the vocabulary. Args: `file`, `detail`.
    ImportWord = "import_word", UNPROCESSABLE_ENTITY;
    /// The description names a file that is not there. Args: `file`, `detail`.
    ImportMissingFile = "import_missing_file", UNPROCESSABLE_ENTITY;
    /// A file's name is not allowed. Args: `file`, `detail`.
    ImportPath = "import_path", UNPROCESSABLE_ENTITY;
    /// Nothing in it that a teacher could open. Args: `file`, `detail`.
    ImportNoItems = "import_no_items", UNPROCESSABLE_ENTITY;
    /// No room on the console's disk. Args: `file`, `detail`.
    ImportDiskFull = "import_disk_full", INSUFFICIENT_STORAGE;
    /// The console failed. Args: `file`, `detail`.
    ImportConsole = "import_console", INTERNAL_SERVER_ERROR;
    /// The body is larger than allowed; args: `limit`.
    TooLarge = "too_large", PAYLOAD_TOO_LARGE;
    /// The body's type is not the expected one.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// The enrolment code is unknown.
    TicketUnknown = "ticket_unknown", FORBIDDEN;
    /// The ticket was used by another device.
    TicketUsed = "ticket_used", FORBIDDEN;
    /// The ticket has expired or was revoked.
    TicketExpired = "ticket_expired", FORBIDDEN;
    /// The ticket is for another place; args: `place`.
    TicketOtherPlace = "ticket_other_place", FORBIDDEN;
    /// The ticket is for another board.
    TicketOtherSerial = "ticket_other_serial", FORBIDDEN;
    /// The ticket is for a school: the board must say which classroom; args: `choices`.
    TicketNeedsClassroom = "ticket_needs_classroom", CONFLICT;
    /// The code was mistyped.
    TicketMistyped = "ticket_mistyped", UNPROCESSABLE_ENTITY;
    /// The device's certificate was revoked.
    DeviceRevoked = "device_revoked", FORBIDDEN;
    /// The device was reported stolen.
    DeviceStolen = "device_stolen", FORBIDDEN;
    /// Another device took its place.
    DeviceReplaced = "device_replaced", FORBIDDEN;
    /// Its disk is a copy of another board's.
    DeviceQuarantined = "device_quarantined", FORBIDDEN;
    /// The certificate ran out; it can be renewed.
    CertificateExpired = "certificate_expired", UNAUTHORIZED;
    /// The certificate was replaced by a newer one.
    CertificateRetired = "certificate_retired", UNAUTHORIZED;
    /// The console's own clock cannot be believed, so nothing is signed.
    ClockDoubtful = "clock_doubtful", SERVICE_UNAVAILABLE;
    /// The files of a USB disk cannot be used; the detail says which.
    UsbFolder = "usb_folder", UNPROCESSABLE_ENTITY;
    /// What was asked does not fit the state it is in; the detail says why.
    Conflict = "conflict", CONFLICT;
    /// Another exam is held there at that time; args: `name`, `place`, `from`, `to`.
    ExamOverlaps = "exam_overlaps", CONFLICT;
    /// Exams are planned on their own, no longer with a line.
    LineExams = "line_exams", UNPROCESSABLE_ENTITY;
    /// Too many urgent notices by one person; args: `minutes`.
    NoticeTooOften = "notice_too_often", TOO_MANY_REQUESTS;
    /// Too many unknown enrolment codes from one address; args: `seconds`.
    EnrolTooOften = "enrol_too_often", TOO_MANY_REQUESTS;
    /// Too many unknown enrolment codes from many addresses together, and this one has had its try; args: `seconds`.
    EnrolTooOftenEverybody = "enrol_too_often_everybody", TOO_MANY_REQUESTS;
    /// The signing request of a device cannot be used.
    BadCsr = "bad_csr", UNPROCESSABLE_ENTITY;
    /// A device path was called without a device certificate.
    CertificateRequired = "certificate_required", UNAUTHORIZED;
    /// The certificate's device is not enrolled here.
    DeviceUnknown = "device_unknown", FORBIDDEN;
    /// A range that the file does not have.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE;
    /// The disk of the console is full.
    DiskFull = "disk_full", INSUFFICIENT_STORAGE;
    /// Too much at once; try again.
    Busy = "busy", SERVICE_UNAVAILABLE;
    /// Too many measure their lines, or one asks too often.
    ProbeBusy = "probe_busy", TOO_MANY_REQUESTS;
    /// The device was not asked to measure at this moment.
    ProbeNotOrdered = "probe_not_ordered", FORBIDDEN;
    /// Class or an exam is on or near, so the line is not tested.
    BandwidthNotNow = "bandwidth_not_now", CONFLICT;
    /// No board of the school is connected.
    BandwidthNoBoard = "bandwidth_no_board", CONFLICT;
    /// Rules for lines that contradict themselves; the detail says where.
    BandwidthRules = "bandwidth_rules", UNPROCESSABLE_ENTITY;
    /// There is no plan for backups, so it is not known where to and for whom.
    BackupNoPlan = "backup_no_plan", CONFLICT;
    /// A backup is being made already.
    BackupRunning = "backup_running", CONFLICT;
    /// A fault of the console.
    Internal = "internal", INTERNAL_SERVER_ERROR;
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let code = Code::ALL
            .iter()
            .find(|c| c.as_str() == error.code())
            .copied()
            .unwrap_or(Code::LessonRefused);
        if code == Code::ImportConsole {
            tracing::error!(error = %error, "import failed");
        }
        Self::new(code)
            .arg("file", error.place())
            .arg("detail", error.detail())
            .detail(error)
    }
}

/// What a handler fails with.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Which error.
    pub code: Code,
    /// Values for the places in its sentence.
    pub args: BTreeMap<&'static str, String>,
    /// What exactly, for the technician; not translated, may be empty.
    pub detail: String,
    /// Seconds after which to try again, as `Retry-After`.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// An error without details.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            args: BTreeMap::new(),
            detail: String::new(),
            retry_after_s: None,
        }
    }

    /// Fills one place of the sentence.
    #[must_use]
    pub fn arg(mut self, name: &'static str, value: impl ToString) -> Self {
        self.args.insert(name, value.to_string());
        self
    }

    /// Adds what the technician should read.
    #[must_use]
    pub fn detail(mut self, detail: impl ToString) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// Asks the caller to come back later.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// A noun that is not there.
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::new(Code::NotFound).arg("what", what).arg("id", id)
    }

    /// A field outside its bounds; `rule` says what is allowed.
    pub fn invalid(field: &'static str, rule: impl ToString) -> Self {
        Self::new(Code::InvalidField).arg("field", field).detail(rule)
    }

    /// A fault of ours: the cause goes to the log, not to the caller.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(error = %cause, "a fault of the console");
        Self::new(Code::Internal)
    }

    /// The envelope in one language.
    pub fn problem(&self, language: Language, request_id: &str) -> Problem {
        let status = self.code.status();
        Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code: self.code.as_str().to_owned(),
            message: messages::text(language, self.code.as_str(), &self.args),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
        }
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::NotFound { what, id } => Self::not_found(what, id),
            DbError::AlreadyExists { what, id } => {
                Self::new(Code::AlreadyExists).arg("what", what).arg("id", id)
            }
            DbError::LessonRetired { id } => Self::new(Code::LessonRetired).arg("id", id),
            DbError::LessonNotReleased { id } => Self::new(Code::LessonNotReleased).arg("id", id),
            DbError::Review(refusal) => refusal.into(),
            DbError::LastAdmin => Self::new(Code::LastAdmin),
            DbError::OutOfReach => Self::new(Code::Forbidden).arg("action", "-"),
            DbError::Conflict(why) => Self::new(Code::Conflict).detail(why),
            DbError::ExamOverlaps {
                name,
                place,
                from,
                to,
            } => Self::new(Code::ExamOverlaps)
                .arg("name", name)
                .arg("place", place)
                .arg("from", local(from))
                .arg("to", local(to)),
            DbError::Ticket(refusal) => refusal.answer(),
            DbError::DiskFull(cause) => Self::new(Code::DiskFull).detail(cause),
            other => Self::internal(other),
        }
    }
}

impl From<Refusal> for ApiError {
    /// The sentence says all there is to it, so there is no detail in another language beside it.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotNow(state) => Self::new(Code::ReviewNotNow).arg("review_state", state.as_str()),
            Refusal::OwnWork => Self::new(Code::ReviewOwnWork),
            Refusal::SecondStep => Self::new(Code::ReviewSecondStep),
            Refusal::NoReason => Self::new(Code::ReviewNoReason),
            Refusal::NotNewest { version, newest } => Self::new(Code::ReviewNotNewest)
                .arg("version", version)
                .arg("newest", newest),
            Refusal::Changed(version) => Self::new(Code::ReviewChanged).arg("version", version),
            Refusal::NotOffered => Self::new(Code::ReviewNotOffered),
        }
    }
}

impl From<&WordFault> for ApiError {
    fn from(fault: &WordFault) -> Self {
        let (code, name, stage) = match fault {
            WordFault::Unknown { name, .. } => (Code::VocabUnknown, name, ""),
            WordFault::OtherStage { name, stage, .. } => (Code::VocabOtherStage, name, stage.as_str()),
        };
        Self::new(code)
            .arg("field", format!("meta.{}", fault.field().path()))
            .arg("name", name)
            .arg("word", fault.word())
            .arg("stage", stage)
            .arg("near", fault.near().join("、"))
            .detail(fault)
    }
}

impl IntoResponse for ApiError {
    /// Carries the error to [`render_problems`]; the body is written there.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The request's id, for whoever writes something down about it.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Which language answers are written in when the caller names none.
#[derive(Debug, Clone, Copy)]
pub struct DefaultLanguage(pub Language);

/// Whether a refusal of a person deserves a line in the log: whoever reads its id aloud asks what it was. Not for what comes by
/// itself and often: nobody signed in, a strange address, too much at once.
const fn may_be_quoted(code: Code) -> bool {
    !matches!(
        code,
        Code::NotSignedIn
            | Code::NoSuchPath
            | Code::MethodNotAllowed
            | Code::RangeNotSatisfiable
            | Code::Busy
            | Code::TooManyAttempts
    )
}

/// Middleware: gives every request an id, and every failure the problem envelope in the caller's language.
///
/// Whatever is logged while the request is answered carries the id: the cause of a fault, too, which is not told to the caller.
/// Put it outermost; it also dresses failures that axum or tower-http made (404, 405, 413, …). A page of its own words, as the
/// walls' codes have, is left as it is.
pub async fn render_problems(
    State(DefaultLanguage(default)): State<DefaultLanguage>,
    mut request: Request,
    next: Next,
) -> Response {
    let language = accepted_language(request.headers()).unwrap_or(default);
    let request_id = uuid::Uuid::now_v7().simple().to_string();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(RequestId(request_id.clone()));
    // At the level of errors, so that no filter of the log leaves the id out.
    let span = tracing::error_span!("request", %request_id);
    let mut response = next.run(request).instrument(span).await;
    let status = response.status();
    tracing::debug!(%request_id, %method, path, status = status.as_u16(), "answered");

    let dressed = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"application/problem+json") || kind.starts_with(b"text/html")
    });
    let error = response.extensions_mut().remove::<ApiError>().or_else(|| {
        ((status.is_client_error() || status.is_server_error()) && !dressed)
            .then(|| ApiError::new(bare(status)))
    });
    if let Some(error) = error {
        let code = error.code.as_str();
        if status.is_server_error() {
            tracing::warn!(%request_id, %method, path, code, "request failed");
        } else if path.starts_with("/api/") && may_be_quoted(error.code) {
            tracing::info!(%request_id, %method, path, code, "refused");
        }
        let problem = error.problem(language, &request_id);
        let mut headers = std::mem::take(response.headers_mut());
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = error.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let mut body = Json(problem).into_response();
        response = Response::new(std::mem::replace(body.body_mut(), Body::empty()));
        *response.status_mut() = error.code.status();
        *response.headers_mut() = headers;
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn bare(status: StatusCode) -> Code {
    match status {
        StatusCode::NOT_FOUND => Code::NoSuchPath,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        StatusCode::RANGE_NOT_SATISFIABLE => Code::RangeNotSatisfiable,
        StatusCode::UNAUTHORIZED => Code::NotSignedIn,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Code::Busy,
        status if status.is_client_error() => Code::BadRequest,
        _ => Code::Internal,
    }
}

/// The first of our languages in `Accept-Language`, by weight; `None` if it names neither.
pub(crate) fn accepted_language(headers: &HeaderMap) -> Option<Language> {
    let wanted = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut found: Vec<(f32, Language)> = wanted
        .split(',')
        .filter_map(|part| {
            let mut parts = part.split(';');
            let tag = parts.next()?.trim().to_ascii_lowercase();
            let weight = parts
                .find_map(|p| p.trim().strip_prefix("q="))
                .map_or(Some(1.0), |q| q.parse().ok())?;
            let language = match tag.split('-').next()? {
                "zh" => Language::ZhCn,
                "en" => Language::En,
                _ => return None,
            };
            Some((weight, language))
        })
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found
        .first()
        .filter(|(weight, _)| *weight > 0.0)
        .map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a subscriber wrote.
    #[derive(Clone, Default)]
    struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Answers of a router with the handlers below, and what was logged meanwhile.
    async fn asked(path: &str) -> (Response, String) {
        use axum::{Router, routing::get};
        use tower::ServiceExt;
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        let _here = tracing::subscriber::set_default(subscriber);
        let router = Router::new()
            .route("/fault", get(async || ApiError::internal("the disk burns")))
            .route(
                "/api/refused",
                get(async || ApiError::invalid("name", "is empty")),
            )
            .route(
                "/page",
                get(async || (StatusCode::NOT_FOUND, axum::response::Html("<p>nothing"))),
            )
            .route("/fine", get(async || "fine"))
            .layer(axum::middleware::from_fn_with_state(
                DefaultLanguage(Language::En),
                render_problems,
            ));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        (answer, text)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_cause_of_a_fault_stands_in_the_log_beside_the_id_that_the_answer_has() {
        let (answer, log) = asked("/fault").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = answer.headers()[REQUEST_ID].to_str().unwrap().to_owned();
        let cause = log.lines().find(|line| line.contains("the disk burns"));
        assert!(cause.is_some_and(|line| line.contains(&id)), "{id} in {log}");
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["request_id"], id);
        assert!(
            !String::from_utf8_lossy(&body).contains("burns"),
            "the cause is for the log only"
        );
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_refusal_is_found_in_the_log_by_its_id_and_what_comes_by_itself_is_not_in_it() {
        let (answer, log) = asked("/api/refused").await;
        let id = answer.headers()[REQUEST_ID].to_str().unwrap();
        assert!(log.contains(id) && log.contains("invalid_field"), "{log}");
        let (answer, log) = asked("/api/nowhere").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(log, "");
        let (answer, log) = asked("/fine").await;
        assert!(answer.headers().contains_key(REQUEST_ID) && log.is_empty());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_page_of_its_own_words_stays_one() {
        let (answer, _) = asked("/page").await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(answer.headers().contains_key(REQUEST_ID));
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        assert_eq!(&body[..], b"<p>nothing");
    }

    #[test]
    fn the_heaviest_language_of_ours_wins() {
        for (given, expected) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Language::ZhCn)),
            ("en-GB", Some(Language::En)),
            ("de, en;q=0.2, zh;q=0.7", Some(Language::ZhCn)),
            ("de", None),
            ("*", None),
            ("zh;q=0", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(given));
            assert_eq!(accepted_language(&headers), expected, "{given}");
        }
    }
}
