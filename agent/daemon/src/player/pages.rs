//! The player's own pages, embedded into the program, most of them packed with gzip by `build.rs`.

use std::{
    borrow::Cow,
    io::{self, Cursor, Read},
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    Extension,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use flate2::bufread::GzDecoder;
use http_body::{Body as HttpBody, Frame, SizeHint};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{
    courseware,
    guard::{Host, OnBoard},
    problem::Refusal,
    range::{Portion, portion},
};
use crate::config::Language;

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/pages"]
struct Pages;

/// Bytes of one frame of a page that is unpacked on its way.
const FRAME_BYTES: usize = 32 * 1024;

/// `/` or one of the page's own files.
pub(super) async fn page(
    Extension(Host(host)): Extension<Host>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
    uri: Uri,
    headers: HeaderMap,
    Extension(language): Extension<Language>,
) -> Response {
    if uri.path() == "/" && courseware::should_move(&host, on_board, &headers) {
        let own = headers.get(header::HOST).and_then(|own| own.to_str().ok());
        let port = own
            .and_then(|own| own.split_once(':'))
            .map_or("80", |(_, port)| port);
        let to = format!("http://{}:{port}/", courseware::PLAYER);
        let answer = [
            (header::LOCATION, to),
            // Other browsers, and a board that is asked from elsewhere, stay where they are.
            (header::CACHE_CONTROL, "no-store".to_owned()),
        ];
        return (StatusCode::TEMPORARY_REDIRECT, answer).into_response();
    }
    found(&uri, &headers, language)
}

fn found(uri: &Uri, headers: &HeaderMap, language: Language) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    if let Some(file) = Pages::get(&format!("gzip/{path}")) {
        return answer(path, file, true, headers);
    }
    match Pages::get(&format!("plain/{path}")) {
        Some(file) => answer(path, file, false, headers),
        None => Refusal::NotFound.answer(language, uri.path()),
    }
}

fn answer(path: &str, file: EmbeddedFile, packed: bool, asked: &HeaderMap) -> Response {
    let as_is = packed && takes_gzip(asked);
    let hash = hex::encode(&file.metadata.sha256_hash()[..16]);
    // Two forms of one page are two representations: a cache must not take one for the other.
    let etag = if as_is {
        format!("\"{hash}-gzip\"")
    } else {
        format!("\"{hash}\"")
    };
    let mut answer = match portion(asked, &etag, file.data.len() as u64) {
        Portion::NotModified => {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer
        }
        // These are small; whoever asks for a part gets the whole.
        _ if packed && !as_is => Response::new(Body::new(Unpacked::new(file.data))),
        _ => match file.data {
            Cow::Borrowed(bytes) => Response::new(Body::from(bytes)),
            Cow::Owned(bytes) => Response::new(Body::from(bytes)),
        },
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if packed {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if as_is {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    answer
}

/// Whether the client takes gzip: it names it, or anything, with a weight that is not zero.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let (mut named, mut any) = (None, false);
    let fields = asked.get_all(header::ACCEPT_ENCODING).iter();
    for coding in fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
    {
        let mut words = coding.split(';').map(str::trim);
        let name = words.next().unwrap_or("");
        let weight = words.find_map(|word| word.strip_prefix("q=").or_else(|| word.strip_prefix("Q=")));
        let taken = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            named = Some(taken);
        } else if name == "*" {
            any = taken;
        }
    }
    named.unwrap_or(any)
}

/// A packed page, unpacked frame by frame as the client takes it; nothing is kept.
struct Unpacked {
    from: GzDecoder<Cursor<Cow<'static, [u8]>>>,
    left: u64,
}

impl Unpacked {
    fn new(packed: Cow<'static, [u8]>) -> Self {
        // RFC 1952: the last four bytes are the length of what was packed. `build.rs` packed it in one member.
        let left = packed.last_chunk().map_or(0, |tail| u32::from_le_bytes(*tail));
        Self {
            from: GzDecoder::new(Cursor::new(packed)),
            left: u64::from(left),
        }
    }

    fn next_frame(&mut self) -> io::Result<Bytes> {
        let mut frame = vec![0; usize::try_from(self.left).map_or(FRAME_BYTES, |left| left.min(FRAME_BYTES))];
        self.from.read_exact(&mut frame)?;
        self.left -= frame.len() as u64;
        Ok(Bytes::from(frame))
    }
}

impl HttpBody for Unpacked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let frame = self.next_frame();
        if frame.is_err() {
            self.left = 0;
        }
        Poll::Ready(Some(frame.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use axum::body::to_bytes;

    use super::*;

    async fn ask(path: &str, headers: &[(&'static str, &str)]) -> (Response<()>, Vec<u8>) {
        let mut asked = HeaderMap::new();
        for (name, value) in headers {
            asked.append(*name, value.parse().unwrap());
        }
        let (head, body) = found(&path.parse().unwrap(), &asked, Language::En).into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        (Response::from_parts(head, ()), body)
    }

    fn files(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                let own = path.strip_prefix(pages_folder()).unwrap();
                found.push(own.to_str().unwrap().to_owned());
            }
        }
    }

    fn pages_folder() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/player-ui"))
    }

    #[tokio::test]
    async fn every_page_is_its_file_packed_and_unpacked() {
        let mut names = vec!["index.html".to_owned()];
        for part in ["css", "js", "img", "vendor"] {
            // `vendor` is there after `cargo xtask setup` only.
            if pages_folder().join(part).exists() {
                files(&pages_folder().join(part), &mut names);
            }
        }
        if pages_folder().join("vendor").exists() {
            // Without it, older Chinese textbooks show empty boxes.
            assert!(names.iter().any(|name| name == "vendor/cmaps/GBK-EUC-H.bcmap"));
        }
        for name in names {
            let file = fs::read(pages_folder().join(&name)).unwrap();
            let (plain, bytes) = ask(&format!("/{name}"), &[]).await;
            assert_eq!(plain.status(), 200, "{name}");
            assert!(bytes == file, "{name} is not its file");
            assert!(!plain.headers().contains_key(header::CONTENT_ENCODING), "{name}");

            let (packed, bytes) = ask(&format!("/{name}"), &[("accept-encoding", "br, gzip;q=0.5")]).await;
            assert_eq!(
                packed.headers()[header::CONTENT_TYPE],
                plain.headers()[header::CONTENT_TYPE]
            );
            assert_eq!(
                packed.headers().get(header::VARY),
                plain.headers().get(header::VARY)
            );
            let (etag, plain_etag) = (&packed.headers()[header::ETAG], &plain.headers()[header::ETAG]);
            if packed.headers().contains_key(header::CONTENT_ENCODING) {
                assert!(bytes.len() < file.len(), "{name}");
                let mut unpacked = Vec::new();
                GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
                assert!(unpacked == file, "{name} unpacks to something else");
                assert_eq!(packed.headers()[header::VARY], "accept-encoding");
                assert_ne!(etag, plain_etag, "{name}");
            } else {
                assert!(bytes == file, "{name} is not its file");
                assert_eq!(etag, plain_etag, "{name}");
            }
            for (etag, encoding, status) in [
                (etag, "gzip", 304),
                (plain_etag, "identity", 304),
                (plain_etag, "*;q=0", 304),
            ] {
                let conditions = [
                    ("if-none-match", etag.to_str().unwrap()),
                    ("accept-encoding", encoding),
                ];
                let (answer, bytes) = ask(&format!("/{name}"), &conditions).await;
                assert_eq!((answer.status().as_u16(), bytes.len()), (status, 0), "{name}");
                assert_eq!(&answer.headers()[header::ETAG], etag);
            }
        }
        let (page, _) = ask("/", &[("accept-encoding", "gzip")]).await;
        assert_eq!(page.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        for beside in ["/gzip/index.html", "/plain/img/icon.svg", "/../index.html"] {
            assert_eq!(ask(beside, &[]).await.0.status(), 404, "{beside}");
        }
    }

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        let taken = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::ACCEPT_ENCODING, field.parse().unwrap());
            }
            takes_gzip(&headers)
        };
        for fields in [
            &["gzip, deflate, br, zstd"][..],
            &["br", "GZIP"],
            &["*"],
            &["gzip;q=0.1"],
            &["*;q=0, gzip"],
        ] {
            assert!(taken(fields), "{fields:?}");
        }
        for fields in [
            &[][..],
            &[""],
            &["identity"],
            &["gzip;q=0, *"],
            &["*; q=0.000"],
            &["gzip; q=much"],
            &["gzipped"],
        ] {
            assert!(!taken(fields), "{fields:?}");
        }
    }
}
