//! HTTP handlers, one file per noun: read the request, call the noun's functions, answer. No SQL, no decisions.

pub mod account;
pub mod alerts;
pub mod assets;
pub mod audit;
pub mod backup;
pub mod bandwidth;
pub mod batches;
pub mod claims;
pub mod clones;
pub mod commands;
pub mod device_bulk;
pub mod devices;
pub mod events;
pub mod exams;
pub mod exports;
pub mod faults;
pub mod fleet;
pub mod forecast;
pub mod health;
pub mod identity;
pub mod incidents;
pub mod lesson_imports;
pub mod lessons;
pub mod lines;
pub mod lint;
pub mod notices;
pub mod notify;
pub mod oidc;
pub mod orders;
pub mod packs;
pub mod pushes;
pub mod receipts;
pub mod reports;
pub mod reviews;
pub mod roster;
pub mod security;
pub mod series;
pub mod session;
pub mod setup;
pub mod system;
pub mod tickets;
pub mod timetables;
pub mod tree;
pub mod trust;
pub mod usage;
pub mod usb;
pub mod users;
pub mod views;
pub mod vocab;
pub mod wall;

use axum::{
    extract::{
        FromRequest, FromRequestParts,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::StatusCode,
};

use crate::error::{ApiError, Code};

/// A JSON body; what cannot be read is answered with our envelope.
#[derive(Debug, FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Body<T>(pub T);

/// Parts of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);

/// The query string.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Query<T>(pub T);

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => return Self::new(Code::TooLarge).arg("limit", "2 MiB"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            _ => Code::BadRequest,
        };
        Self::new(code).detail(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Code::BadRequest).detail(rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Code::BadRequest).detail(rejection.body_text())
    }
}

/// A text within its bounds: trimmed, no control characters.
pub(crate) fn text(field: &'static str, value: &str, min: usize, max: usize) -> Result<String, ApiError> {
    let value = value.trim();
    let length = value.chars().count();
    if length < min || length > max {
        return Err(ApiError::invalid(
            field,
            format!("{field} has {length} characters; allowed are {min} to {max}"),
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(ApiError::invalid(
            field,
            format!("{field} has a control character"),
        ));
    }
    Ok(value.to_owned())
}

/// A number within its bounds.
pub(crate) fn within(field: &'static str, value: u32, min: u32, max: u32) -> Result<u32, ApiError> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(ApiError::invalid(
            field,
            format!("{field} is {value}; allowed is {min} to {max}"),
        ))
    }
}
