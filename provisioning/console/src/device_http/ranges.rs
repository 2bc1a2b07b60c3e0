//! Which bytes of an immutable file an answer holds (RFC 9110, single ranges), and the answer itself.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::hash::Hash;
use http_range_header::{EndPosition, StartPosition, SyntacticallyCorrectRange};

use crate::{
    error::{ApiError, Code},
    objects::{ObjectError, Objects},
};

/// What the request's headers ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that the file does not have.
    Unsatisfiable,
    /// Nothing: the caller has it.
    NotModified,
}

/// Reads `Range`, `If-Range` and `If-None-Match` against a file of `size` bytes and strong `etag` (with its quotes).
///
/// A malformed range and a list of several are ignored, which RFC 9110 allows: the whole file comes.
pub fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(known) = text(header::IF_NONE_MATCH) {
        let same = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
        if known.split(',').map(str::trim).any(same) {
            return Wanted::NotModified;
        }
    }
    // A date in If-Range never fits: files have no dates here.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Wanted::Whole;
    }
    let parsed = text(header::RANGE).and_then(|range| http_range_header::parse_range_header(range).ok());
    match parsed.as_ref().map(|p| p.ranges.as_slice()) {
        Some([one]) => resolve(*one, size),
        _ => Wanted::Whole,
    }
}

fn resolve(range: SyntacticallyCorrectRange, size: u64) -> Wanted {
    let found = match (range.start, range.end) {
        (StartPosition::FromLast(last), _) => size.saturating_sub(last)..size,
        (StartPosition::Index(from), EndPosition::LastByte) => from..size,
        // A range that runs backwards is malformed, not unsatisfiable.
        (StartPosition::Index(from), EndPosition::Index(to)) if to < from => return Wanted::Whole,
        (StartPosition::Index(from), EndPosition::Index(to)) => from..size.min(to.saturating_add(1)),
    };
    if found.start >= found.end {
        Wanted::Unsatisfiable
    } else {
        Wanted::Part(found)
    }
}

/// One file to be answered with.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its name in the object store.
    pub hash: Hash,
    /// Its length in bytes.
    pub size: u64,
    /// MIME type.
    pub media_type: &'a str,
}

/// Answers `GET` or `HEAD` for a file. Also for previews in the console; there the caller adds a content security policy.
///
/// # Errors
/// The range does not fit, or the object is not there (a fault of ours: somebody removed it).
pub async fn answer(
    objects: &Objects,
    file: File<'_>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let etag = format!("\"{}\"", file.hash);
    let range = match wanted(headers, file.size, &etag) {
        Wanted::NotModified => {
            return Ok((StatusCode::NOT_MODIFIED, common(&etag)).into_response());
        }
        Wanted::Unsatisfiable => {
            let mut refused = ApiError::new(Code::RangeNotSatisfiable).into_response();
            refused
                .headers_mut()
                .insert(header::CONTENT_RANGE, value(format!("bytes */{}", file.size)));
            return Ok(refused);
        }
        Wanted::Whole => None,
        Wanted::Part(range) => Some(range),
    };
    let bytes = range.clone().unwrap_or(0..file.size);
    let length = bytes.end - bytes.start;
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => Body::from_stream(objects.read(file.hash, bytes).await.map_err(missing)?),
    };
    let mut response = (common(&etag), body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, value(file.media_type.to_owned()));
    if let Some(range) = range {
        let told = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
        headers.insert(header::CONTENT_RANGE, value(told));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Headers of every answer about immutable bytes.
pub(super) fn common(etag: &str) -> [(header::HeaderName, HeaderValue); 4] {
    [
        (header::ETAG, value(etag.to_owned())),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=31536000, immutable"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ]
}

/// A failure of the object store as an answer.
pub(super) fn missing(error: ObjectError) -> ApiError {
    match error {
        ObjectError::Missing(hash) => {
            tracing::error!(object = %hash, "a registered object is missing from the store; restore it from the backup");
            ApiError::not_found("file", hash)
        }
        other => ApiError::internal(other),
    }
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ETAG: &str = "\"abc\"";

    fn ask(pairs: &[(header::HeaderName, &str)], size: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        for (name, text) in pairs {
            headers.insert(name.clone(), HeaderValue::from_str(text).unwrap());
        }
        wanted(&headers, size, ETAG)
    }

    #[test]
    fn ranges_as_rfc_9110_has_them() {
        for (range, size, expected) in [
            ("bytes=0-0", 10, Wanted::Part(0..1)),
            ("bytes=0-99", 10, Wanted::Part(0..10)),
            ("bytes=4-", 10, Wanted::Part(4..10)),
            ("bytes=-3", 10, Wanted::Part(7..10)),
            ("bytes=-30", 10, Wanted::Part(0..10)),
            ("bytes=10-", 10, Wanted::Unsatisfiable),
            ("bytes=10-20", 10, Wanted::Unsatisfiable),
            // The parser takes it for malformed; the whole file is what a malformed range gets.
            ("bytes=-0", 10, Wanted::Whole),
            ("bytes=0-", 0, Wanted::Unsatisfiable),
            ("bytes=0-18446744073709551615", 10, Wanted::Part(0..10)),
            ("bytes=5-4", 10, Wanted::Whole),
            ("bytes=0-1,4-5", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("items=0-1", 10, Wanted::Whole),
            ("", 10, Wanted::Whole),
        ] {
            assert_eq!(ask(&[(header::RANGE, range)], size), expected, "{range:?}");
        }
    }

    #[test]
    fn conditions_come_before_the_range() {
        let range = (header::RANGE, "bytes=0-1");
        assert_eq!(
            ask(&[range.clone(), (header::IF_RANGE, ETAG)], 10),
            Wanted::Part(0..2)
        );
        assert_eq!(
            ask(&[range.clone(), (header::IF_RANGE, "\"old\"")], 10),
            Wanted::Whole
        );
        assert_eq!(
            ask(&[range.clone(), (header::IF_RANGE, "W/\"abc\"")], 10),
            Wanted::Whole
        );
        assert_eq!(
            ask(
                &[range.clone(), (header::IF_RANGE, "Sat, 01 Jan 2022 00:00:00 GMT")],
                10
            ),
            Wanted::Whole
        );
        assert_eq!(
            ask(&[range, (header::IF_NONE_MATCH, "\"x\", W/\"abc\"")], 10),
            Wanted::NotModified
        );
    }

    proptest! {
        #[test]
        fn a_part_is_inside_the_file(text in "bytes=[0-9]{0,4}-[0-9]{0,4}", size in 0_u64..2000) {
            if let Wanted::Part(range) = ask(&[(header::RANGE, &text)], size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
