//! The player's own pages, embedded into the program.

use axum::{
    Extension,
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{
    problem::Refusal,
    range::{Portion, portion},
};
use crate::config::Language;

#[derive(RustEmbed)]
#[folder = "player-ui"]
#[include = "index.html"]
#[include = "css/*"]
#[include = "js/*"]
#[include = "img/*"]
#[include = "vendor/*"]
struct Pages;

/// `/` or one of the page's own files.
pub(super) async fn page(uri: Uri, headers: HeaderMap, Extension(language): Extension<Language>) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    match Pages::get(path) {
        Some(file) => answer(path, file, &headers),
        None => Refusal::NotFound.answer(language, uri.path()),
    }
}

fn answer(path: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let size = file.data.len() as u64;
    let mut answer = match portion(headers, &etag, size) {
        Portion::NotModified => {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer
        }
        // These are small; whoever asks for a part gets the whole.
        _ => match file.data {
            std::borrow::Cow::Borrowed(bytes) => Response::new(Body::from(bytes)),
            std::borrow::Cow::Owned(bytes) => Response::new(Body::from(bytes)),
        },
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    answer
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or("") {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
