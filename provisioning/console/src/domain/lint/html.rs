//! An exercise that must run with no network and in a sandbox: what it refers to, and what it asks of the browser.
//!
//! A search over its text, not a browser: it finds what is written plainly, and the board's own sandbox refuses the rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::LazyLock,
};

use regex::Regex;

use super::{Examined, Finding};

/// Larger texts are libraries that were packed together; their start is enough.
const MOST_TEXT: u64 = 8 * 1024 * 1024;
/// Findings of one rule for one exercise.
const MOST: usize = 5;

/// References that a browser loads: attributes, CSS, requests and imports with a literal address.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)
        (?: \b(?:src|href|srcset|poster|data|action|formaction|xlink:href) \s*=\s* ["']? \s*
          | url\( \s* ["']? | @import \s+ ["']
          | \b(?:fetch|importScripts|WebSocket|EventSource|Worker|import|open|sendBeacon) \s*\( \s* (?:["'][a-z]{3,7}["']\s*,\s*)? ["'`]
          | \bfrom\s+["'] | \.src \s*=\s* ["'`] )
        ( (?:https?|wss?|ftp): [^"'`\s<>)]{0,200} | //[a-z0-9][^"'`\s<>)]{0,200} )"#,
    )
    .ok()
});
/// Links to what should be in the zip.
static LOCAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)<(?:script|link|img|source|audio|video|iframe|embed)\b[^>]{0,400}?\b(?:src|href)\s*=\s*["']([^"'#?\s]{1,200})"#).ok()
});

const DEVICES: [(&str, &str); 6] = [
    ("getUserMedia", "getUserMedia"),
    ("mediaDevices", "mediaDevices"),
    ("navigator.geolocation", "geolocation"),
    ("webkitSpeechRecognition", "SpeechRecognition"),
    ("navigator.bluetooth", "bluetooth"),
    ("navigator.usb", "usb"),
];
const LEAVES: [(&str, &str); 4] = [
    ("window.top.location", "top.location"),
    ("top.location", "top.location"),
    ("target=\"_blank\"", "target=_blank"),
    ("window.open(", "window.open"),
];
/// Names of formats, not addresses: nothing is ever loaded from there.
const NAMES: [&str; 5] = [
    "http://www.w3.org/",
    "https://www.w3.org/",
    "http://purl.org/",
    "http://ns.adobe.com/",
    "http://schemas.",
];

pub(super) fn examine(entry: &str, files: &[Examined]) -> Vec<Finding> {
    let folder = entry.rsplit_once('/').map_or("", |(folder, _)| folder);
    let inside = |path: &str| folder.is_empty() || path.starts_with(&format!("{folder}/"));
    let all: BTreeSet<&str> = files.iter().map(|f| f.path.as_str()).collect();
    let mut found: BTreeMap<&str, BTreeSet<(String, String)>> = BTreeMap::new();
    for file in files.iter().filter(|f| inside(&f.path)) {
        let extension = file.path.rsplit('.').next().unwrap_or_default().to_lowercase();
        let page = matches!(extension.as_str(), "html" | "htm" | "xhtml");
        if !page && !matches!(extension.as_str(), "js" | "mjs" | "css" | "svg" | "json") {
            continue;
        }
        let Ok(bytes) = fs::read(&file.at) else { continue };
        let cut = bytes
            .get(..bytes.len().min(usize::try_from(MOST_TEXT).unwrap_or(usize::MAX)))
            .unwrap_or_default();
        let text = String::from_utf8_lossy(cut);
        let mut note = |rule: &'static str, what: String| {
            found.entry(rule).or_default().insert((file.path.clone(), what));
        };
        for hit in REFERENCE.iter().flat_map(|r| r.captures_iter(&text)) {
            let address = hit.get(1).map_or("", |m| m.as_str());
            if !NAMES.iter().any(|name| address.starts_with(name)) {
                note("html.external", address.to_owned());
            }
        }
        for (needle, name) in DEVICES {
            if extension != "json" && text.contains(needle) {
                note("html.device", name.to_owned());
            }
        }
        for (needle, name) in LEAVES {
            if text.contains(needle) {
                note("html.navigation", name.to_owned());
            }
        }
        if page {
            let here = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            for hit in LOCAL.iter().flat_map(|r| r.captures_iter(&text)) {
                let link = hit.get(1).map_or("", |m| m.as_str());
                if let Some(path) = resolve(here, link)
                    && !all.contains(path.as_str())
                {
                    note("html.missing", path);
                }
            }
        }
    }
    found
        .into_iter()
        .flat_map(|(rule, hits)| {
            hits.into_iter()
                .take(MOST)
                .map(move |(file, what)| Finding::of(rule, &file, what))
        })
        .collect()
}

/// The path in the lesson that a relative link means; `None` for anything else.
fn resolve(folder: &str, link: &str) -> Option<String> {
    if link.contains(':') || link.starts_with('/') || link.contains(['{', '$', '+', '\\', '%', '<']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|p| !p.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
