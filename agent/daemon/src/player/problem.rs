//! What the player says when it cannot: the contract's envelope, in the reader's language.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::api::Problem;

use crate::{config::Language, messages};

/// An answer that is not a success; its code is a key of the catalogues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    LessonNotHere,
    LessonNotReady,
    LessonChanged,
    LessonWithdrawn,
    LessonExpired,
    LessonNotOurs,
    BadPath,
    MethodRefused,
    HostRefused,
    OriginRefused,
    Preparing,
    Busy,
    DiskError,
    OnBoardOnly,
    NotWaiting,
    BadWish,
    TooOften,
    EnrolBusy,
    DiskBusy,
    UsbOff,
    UsbOnBoard,
    UsbGone,
    UsbKind,
    UsbUnreadable,
    BadQuestion,
    TokenRefused,
    Exam,
    PlayerLocked,
    FaultsFull,
    FaultUnknown,
}

impl Refusal {
    #[cfg(test)]
    const ALL: [Self; 31] = [
        Self::NotFound,
        Self::LessonNotHere,
        Self::LessonNotReady,
        Self::LessonChanged,
        Self::LessonWithdrawn,
        Self::LessonExpired,
        Self::LessonNotOurs,
        Self::BadPath,
        Self::MethodRefused,
        Self::HostRefused,
        Self::OriginRefused,
        Self::Preparing,
        Self::Busy,
        Self::DiskError,
        Self::OnBoardOnly,
        Self::NotWaiting,
        Self::BadWish,
        Self::TooOften,
        Self::EnrolBusy,
        Self::DiskBusy,
        Self::UsbOff,
        Self::UsbOnBoard,
        Self::UsbGone,
        Self::UsbKind,
        Self::UsbUnreadable,
        Self::BadQuestion,
        Self::TokenRefused,
        Self::Exam,
        Self::PlayerLocked,
        Self::FaultsFull,
        Self::FaultUnknown,
    ];

    const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::LessonNotHere => "lesson_not_here",
            Self::LessonNotReady => "lesson_not_ready",
            Self::LessonChanged => "lesson_changed",
            Self::LessonWithdrawn => "lesson_withdrawn",
            Self::LessonExpired => "lesson_expired",
            Self::LessonNotOurs => "lesson_not_ours",
            Self::BadPath => "bad_path",
            Self::MethodRefused => "method_refused",
            Self::HostRefused => "host_refused",
            Self::OriginRefused => "origin_refused",
            Self::Preparing => "preparing",
            Self::Busy => "busy",
            Self::DiskError => "disk_error",
            Self::OnBoardOnly => "on_board_only",
            Self::NotWaiting => "not_waiting",
            Self::BadWish => "bad_wish",
            Self::TooOften => "too_often",
            Self::EnrolBusy => "enrol_busy",
            Self::DiskBusy => "disk_busy",
            Self::UsbOff => "usb_off",
            Self::UsbOnBoard => "usb_on_board",
            Self::UsbGone => "usb_gone",
            Self::UsbKind => "usb_kind",
            Self::UsbUnreadable => "usb_unreadable",
            Self::BadQuestion => "bad_question",
            Self::TokenRefused => "token_refused",
            Self::Exam => "exam",
            Self::PlayerLocked => "player_locked",
            Self::FaultsFull => "faults_full",
            Self::FaultUnknown => "fault_unknown",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::NotFound | Self::LessonNotHere | Self::LessonNotReady | Self::LessonChanged => {
                StatusCode::NOT_FOUND
            }
            Self::BadPath | Self::BadWish | Self::BadQuestion => StatusCode::BAD_REQUEST,
            Self::OnBoardOnly | Self::TokenRefused => StatusCode::FORBIDDEN,
            Self::LessonWithdrawn | Self::LessonExpired | Self::LessonNotOurs => StatusCode::GONE,
            Self::NotWaiting => StatusCode::CONFLICT,
            Self::TooOften => StatusCode::TOO_MANY_REQUESTS,
            Self::MethodRefused => StatusCode::METHOD_NOT_ALLOWED,
            Self::HostRefused => StatusCode::MISDIRECTED_REQUEST,
            Self::OriginRefused => StatusCode::FORBIDDEN,
            Self::Preparing | Self::Busy | Self::EnrolBusy | Self::DiskBusy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::DiskError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UsbOnBoard | Self::UsbOff => StatusCode::FORBIDDEN,
            Self::Exam | Self::PlayerLocked => StatusCode::LOCKED,
            Self::FaultsFull => StatusCode::TOO_MANY_REQUESTS,
            Self::UsbGone | Self::FaultUnknown => StatusCode::NOT_FOUND,
            Self::UsbKind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::UsbUnreadable => StatusCode::BAD_GATEWAY,
        }
    }

    /// The whole answer; `detail` is for the technician.
    pub(super) fn answer(self, language: Language, detail: impl ToString) -> Response {
        let sentences = &messages::catalogue(language).player;
        let status = self.status();
        let request_id = hex::encode(rand::random::<[u8; 8]>());
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            code: self.code().to_owned(),
            message: sentences.get(self.code()).cloned().unwrap_or_default(),
            detail: detail.to_string(),
            request_id: request_id.clone(),
        };
        tracing::debug!(
            code = problem.code,
            detail = problem.detail,
            request_id,
            "refused"
        );
        let mut answer = (status, axum::Json(problem)).into_response();
        let headers = answer.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            headers.insert("x-request-id", id);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        answer
    }
}

/// The language the reader asks for, else the device's.
pub(super) fn language(headers: &HeaderMap, own: Language) -> Language {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let known = accepted.split(',').find_map(|range| {
        let tag = range.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match tag.split('-').next() {
            Some("zh") => Some(Language::ZhCn),
            Some("en") => Some(Language::En),
            _ => None,
        }
    });
    known.unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_sentence_in_both_languages_and_none_is_left_over() {
        for name in [Language::ZhCn, Language::En] {
            let catalogue = &messages::catalogue(name).player;
            for refusal in Refusal::ALL {
                assert!(
                    catalogue.get(refusal.code()).is_some_and(|m| m.len() > 20),
                    "{name:?}: {}",
                    refusal.code()
                );
            }
            assert_eq!(catalogue.len(), Refusal::ALL.len(), "{name:?}");
        }
    }

    #[test]
    fn the_reader_chooses_the_language() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, text.parse().unwrap());
            language(&headers, Language::ZhCn)
        };
        assert_eq!(asked("en-US,en;q=0.9,zh;q=0.8"), Language::En);
        assert_eq!(asked("ii,zh-CN;q=0.9"), Language::ZhCn);
        assert_eq!(asked("fr"), Language::ZhCn);
        assert_eq!(language(&HeaderMap::new(), Language::En), Language::En);
    }
}
