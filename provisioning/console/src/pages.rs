//! The operators' pages, compiled in, and the page that shows the API's document.

use axum::{
    http::{HeaderValue, Method, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use crate::error::{ApiError, Code};

/// What pages may do: nothing from anywhere else. Styles are set by scripts of the component library, hence inline.
pub const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; \
    style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The page that shows the API's document; no request leaves this origin.
pub const API_DOCS: &str = include_str!("pages/api-docs.html");
const API_DOCS_SCRIPT: &str = include_str!("pages/api-docs.js");

#[derive(RustEmbed)]
#[folder = "$EMBEDDED_PAGES"]
struct Pages;

/// The script of [`API_DOCS`].
pub async fn api_docs_script() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")],
        API_DOCS_SCRIPT,
    )
}

/// An address under `/api` that is none.
pub async fn nothing_here() -> ApiError {
    ApiError::new(Code::NoSuchPath)
}

/// A file of the pages, or for an address that the page's own router knows, the page itself.
pub async fn page(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return ApiError::new(Code::MethodNotAllowed).into_response();
    }
    let path = uri.path().trim_start_matches('/');
    // Only addresses without an extension are the router's; a missing script must not be answered with a page.
    let (name, file) = match Pages::get(path).filter(|_| !path.is_empty()) {
        Some(file) => (path, file),
        None if path.rsplit('/').next().is_some_and(|last| last.contains('.')) => {
            return ApiError::new(Code::NoSuchPath).into_response();
        }
        None => match Pages::get("index.html") {
            Some(file) => ("index.html", file),
            None => return ApiError::internal("index.html is not compiled in").into_response(),
        },
    };
    // Vite names assets by content.
    let cache = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let kind = HeaderValue::from_str(file.metadata.mimetype())
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, file.data).into_response()
}
