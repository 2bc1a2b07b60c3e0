//! The operators' pages, compiled in, and the page that shows the API's document.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Mutex, PoisonError},
};

use axum::{
    http::{HeaderMap, HeaderValue, Method, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
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
pub async fn page(method: Method, uri: Uri, asked: HeaderMap) -> Response {
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
    let worth = matches!(name.rsplit('.').next(), Some("js" | "css")) && file.data.len() > 1_024;
    if !worth || !takes_gzip(&asked) {
        return (headers, file.data).into_response();
    }
    let name = name.to_owned();
    match tokio::task::spawn_blocking(move || packed(&name, &file.data)).await {
        Ok(Ok(bytes)) => {
            let how = [
                (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
                (header::VARY, HeaderValue::from_static("accept-encoding")),
            ];
            (headers, how, bytes).into_response()
        }
        Ok(Err(reason)) => ApiError::internal(reason).into_response(),
        Err(reason) => ApiError::internal(reason).into_response(),
    }
}

/// A script or style as it goes over the line, packed when it is first asked for: a megabyte of them is before every first page,
/// and would be packed anew for everybody.
fn packed(name: &str, plain: &[u8]) -> std::io::Result<Bytes> {
    /// By name; as many as are compiled in, 900 KiB together.
    static PACKED: Mutex<BTreeMap<String, Bytes>> = Mutex::new(BTreeMap::new());
    let kept = PACKED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(name)
        .cloned();
    if let Some(bytes) = kept {
        return Ok(bytes);
    }
    let mut into = GzEncoder::new(Vec::new(), Compression::best());
    into.write_all(plain)?;
    let bytes = Bytes::from(into.finish()?);
    PACKED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(name.to_owned(), bytes.clone());
    Ok(bytes)
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let ways = asked
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ways.map(|way| way.split(';').map(str::trim)).any(|mut way| {
        way.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
            && !way.any(|quality| matches!(quality, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn asking(ways: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(ways))])
    }

    #[test]
    fn gzip_goes_to_who_takes_it() {
        for ways in ["gzip", "br, GZIP;q=0.5", "deflate,gzip ; q=1, br"] {
            assert!(takes_gzip(&asking(ways)), "{ways}");
        }
        for ways in ["", "br", "gzip;q=0", "identity, gzip ; q=0.000", "xgzip"] {
            assert!(!takes_gzip(&asking(ways)), "{ways}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn what_was_packed_once_is_handed_out_again() {
        let script = "let one = 1;\n".repeat(500);
        let first = packed("assets/of-this-test.js", script.as_bytes()).unwrap();
        let again = packed("assets/of-this-test.js", b"not looked at").unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr());
        let mut whole = String::new();
        flate2::read::GzDecoder::new(&first[..])
            .read_to_string(&mut whole)
            .unwrap();
        assert_eq!(whole, script);
    }

    #[tokio::test]
    async fn a_script_of_the_pages_comes_packed_and_plain() {
        let Some(name) = Pages::iter().find(|name| {
            name.ends_with(".js") && Pages::get(name).is_some_and(|file| file.data.len() > 1_024)
        }) else {
            return; // the pages are not built
        };
        let uri: Uri = format!("/{name}").parse().unwrap();
        let one = page(Method::GET, uri.clone(), asking("gzip")).await;
        assert_eq!(one.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(one.headers()[header::VARY], "accept-encoding");
        let plain = page(Method::GET, uri, HeaderMap::new()).await;
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        let bytes = axum::body::to_bytes(plain.into_body(), usize::MAX).await.unwrap();
        let packed = axum::body::to_bytes(one.into_body(), usize::MAX).await.unwrap();
        let mut whole = Vec::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut whole)
            .unwrap();
        assert_eq!(whole, bytes);
    }
}
