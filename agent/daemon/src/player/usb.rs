//! A teacher's own files, played from the disk where they lie: `GET /api/disks/{id}/files?dir=` and `GET /usb/{id}/{path}`.
//!
//! Only on the board itself: what somebody brought is nobody else's. Only pictures, sound, films and PDF, told by their first
//! bytes; a page, a script or a drawing that could run is not handed out under any name. Nothing is copied or kept.

mod sniff;
#[cfg(test)]
mod tests;
mod words;

use std::{io::Read, os::unix::fs::FileExt, path::PathBuf};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use contract::{pack::PACKS, usb::FOLDER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use serde::Serialize;

use super::{
    guard::OnBoard,
    media::{Stretch, stretch},
    problem::Refusal,
    shelf_json::Api,
};
use crate::{
    config::Language,
    io::pack::loose::{self, Entry, Listing, Loose, LooseDisk, LooseError},
    shelf::{Membership, PlayerState},
};

/// Opened as a page of its own it may do nothing.
const POLICY: &str =
    "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'";
/// All but the plainest characters of a name, whatever its encoding.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[derive(Serialize)]
struct View {
    entries: Vec<EntryView>,
    /// The folder holds more than is listed.
    more: bool,
}

#[derive(Serialize)]
struct EntryView {
    name: String,
    kind: &'static str,
    size: u64,
    /// Where it is played; of a folder and of what is not played `null`.
    url: Option<String>,
    /// Of a folder: what `?dir=` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<String>,
    /// Subtitles that lie beside a film or a recording.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subtitles: Vec<SubtitleView>,
}

#[derive(Serialize)]
struct SubtitleView {
    lang: &'static str,
    label: String,
    url: String,
}

/// The disks that are there, for the page on the board, and whether packs lie on them. Blocks.
pub(super) fn disks(state: &PlayerState) -> Vec<(LooseDisk, bool)> {
    if !state.settings().now().usb_play {
        return Vec::new();
    }
    let disks = loose::disks(state.usb_roots()).into_iter();
    let packs = |disk: &LooseDisk| disk.path.join(FOLDER).join(PACKS).is_dir();
    disks.map(|disk| (disk.clone(), packs(&disk))).collect()
}

/// `GET /api/disks/{id}/files?dir=`; names of `dir` are percent-encoded, parted by `/`.
pub(super) async fn files(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
    Path(id): Path<String>,
    uri: Uri,
) -> Response {
    let roots = match allowed(&api.state, on_board) {
        Ok(roots) => roots,
        Err(refusal) => return refusal.answer(language, ""),
    };
    let dir = uri
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("dir=")))
        .unwrap_or("");
    // A form writes a space as `+`; our own links never do.
    let path = names(&dir.replace('+', "%20").replace("%2F", "/").replace("%2f", "/"));
    let disk = id.clone();
    let listed =
        tokio::task::spawn_blocking(move || Loose::find(&roots, &disk)?.list(&path).map(|l| (l, path)));
    match listed.await {
        Ok(Ok((listing, path))) => {
            let mut answer = Json(view(&id, &path, listing)).into_response();
            answer
                .headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        }
        Ok(Err(error)) => refused(&error).answer(language, error),
        Err(error) => Refusal::DiskError.answer(language, error),
    }
}

/// `GET /usb/{id}/{path}`: the file, or a subtitle as WebVTT.
pub(super) async fn file(
    State(api): State<Api>,
    Extension(language): Extension<Language>,
    Extension(OnBoard(on_board)): Extension<OnBoard>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let roots = match allowed(&api.state, on_board) {
        Ok(roots) => roots,
        Err(refusal) => return refusal.answer(language, ""),
    };
    // As it was sent: a name on a disk need not be UTF-8.
    let Some((id, path)) = uri
        .path()
        .strip_prefix("/usb/")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Refusal::NotFound.answer(language, uri.path());
    };
    let (id, path) = (id.to_owned(), names(path));
    let opened = tokio::task::spawn_blocking(move || open(&roots, &id, &path)).await;
    let mut answer = match opened {
        Ok(Ok(Opened::Media(found, kind))) => stretch(
            Stretch {
                media_type: kind,
                etag: &format!("\"{}\"", found.mark),
                size: found.size,
            },
            found.file,
            &headers,
        ),
        Ok(Ok(Opened::Words(words))) => {
            let kind = [(header::CONTENT_TYPE, "text/vtt; charset=utf-8")];
            (kind, Body::from(words)).into_response()
        }
        Ok(Ok(Opened::Nothing)) => return Refusal::UsbKind.answer(language, uri.path()),
        Ok(Err(error)) => return refused(&error).answer(language, error),
        Err(error) => return Refusal::DiskError.answer(language, error),
    };
    let headers = answer.headers_mut();
    // The disk may be another one the next time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

fn allowed(state: &PlayerState, on_board: bool) -> Result<Vec<PathBuf>, Refusal> {
    if !on_board {
        return Err(Refusal::UsbOnBoard);
    }
    if matches!(state.shelf().membership, Membership::Locked { .. }) {
        return Err(Refusal::LessonNotHere);
    }
    if !state.settings().now().usb_play {
        return Err(Refusal::UsbOff);
    }
    Ok(state.usb_roots().to_vec())
}

fn refused(error: &LooseError) -> Refusal {
    match error {
        LooseError::Gone => Refusal::UsbGone,
        LooseError::Missing => Refusal::NotFound,
        LooseError::Strange(_) => Refusal::BadPath,
        LooseError::Unreadable(_) => Refusal::UsbUnreadable,
    }
}

enum Opened {
    Media(loose::LooseFile, &'static str),
    Words(String),
    /// Nothing that is played.
    Nothing,
}

fn open(roots: &[PathBuf], id: &str, path: &[Vec<u8>]) -> Result<Opened, LooseError> {
    let found = Loose::find(roots, id)?.file(path)?;
    let name = path.last().map_or(&[][..], Vec::as_slice);
    if is_words(name) {
        let mut bytes = Vec::new();
        (&found.file)
            .take(words::MOST_BYTES + 1)
            .read_to_end(&mut bytes)?;
        let said = (bytes.len() as u64 <= words::MOST_BYTES)
            .then(|| words::vtt(&words::text(&bytes)))
            .flatten();
        return Ok(said.map_or(Opened::Nothing, Opened::Words));
    }
    let mut head = [0; sniff::HEAD];
    let mut read = 0;
    while let Some(rest) = head.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match found.file.read_at(rest, read as u64)? {
            0 => break,
            n => read += n,
        }
    }
    Ok(match sniff::sniff(head.get(..read).unwrap_or_default()) {
        Some(kind) => Opened::Media(found, kind),
        None => Opened::Nothing,
    })
}

fn is_words(name: &[u8]) -> bool {
    matches!(sniff::ending(name).as_deref(), Some("srt" | "vtt"))
}

/// The names of a path, each as it stands on the disk.
pub(super) fn names(path: &str) -> Vec<Vec<u8>> {
    if path.is_empty() {
        return Vec::new();
    }
    path.split('/')
        .map(|name| percent_decode_str(name).collect())
        .collect()
}

fn view(id: &str, path: &[Vec<u8>], listing: Listing) -> View {
    let mut folder = String::new();
    for name in path {
        folder.push_str(&percent_encode(name, NAME).to_string());
        folder.push('/');
    }
    let place = |name: &[u8]| format!("{folder}{}", percent_encode(name, NAME));
    let beside: Vec<&Entry> = listing
        .entries
        .iter()
        .filter(|entry| !entry.folder && is_words(&entry.name))
        .collect();
    let entries = listing
        .entries
        .iter()
        .filter(|entry| entry.folder || !is_words(&entry.name));
    View {
        entries: entries
            .map(|entry| {
                let kind = if entry.folder {
                    "dir"
                } else {
                    sniff::promised(&entry.name)
                };
                EntryView {
                    name: words::name(&entry.name),
                    kind,
                    size: entry.size,
                    url: (!matches!(kind, "dir" | "other"))
                        .then(|| format!("/usb/{id}/{}", place(&entry.name))),
                    dir: entry.folder.then(|| place(&entry.name)),
                    subtitles: if matches!(kind, "video" | "audio") {
                        subtitles(&entry.name, &beside, |name| format!("/usb/{id}/{}", place(name)))
                    } else {
                        Vec::new()
                    },
                }
            })
            .collect(),
        more: listing.more,
    }
}

/// Those whose name begins like the film's: `观潮.srt`, `观潮.en.srt`.
fn subtitles(film: &[u8], beside: &[&Entry], url: impl Fn(&[u8]) -> String) -> Vec<SubtitleView> {
    let stem = |name: &[u8]| -> Vec<u8> {
        let dot = name.iter().rposition(|b| *b == b'.').unwrap_or(name.len());
        name.get(..dot).unwrap_or(name).to_ascii_lowercase()
    };
    let own = stem(film);
    beside
        .iter()
        .filter_map(|entry| {
            let middle = stem(&entry.name).strip_prefix(&own[..])?.to_vec();
            matches!(middle.first(), None | Some(b'.' | b'_' | b'-' | b' ')).then(|| SubtitleView {
                lang: words::language(&words::name(&middle)),
                label: words::name(&entry.name),
                url: url(&entry.name),
            })
        })
        .take(8)
        .collect()
}
