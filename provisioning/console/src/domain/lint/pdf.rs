//! What a PDF needs that a board does not have: fonts, a password.

use std::collections::BTreeSet;

use lopdf::{Dictionary, Document, Object};

use super::{Examined, Finding, limit};

/// Larger files are not taken into memory.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// The 14 fonts that every reader stands in for (ISO 32000-1, 9.6.2.2).
const BASE: [&str; 6] = ["Courier", "Helvetica", "Times", "Symbol", "ZapfDingbats", "Arial"];

pub(super) fn examine(file: &Examined) -> Vec<Finding> {
    let find = |rule: &str, found: String| Finding::of(rule, &file.path, found);
    if file.size > MOST_BYTES {
        return vec![find("media.unread", format!("{} MiB", file.size >> 20))];
    }
    let document = match Document::load(&file.at) {
        Ok(document) => document,
        Err(error) => {
            let text = error.to_string();
            let locked = text.to_lowercase().contains("password") || text.to_lowercase().contains("encrypt");
            return vec![find(if locked { "pdf.encrypted" } else { "media.unread" }, text)];
        }
    };
    if document.is_encrypted() || document.trailer.has(b"Encrypt") {
        return vec![find("pdf.encrypted", String::new())];
    }
    let mut findings = Vec::new();
    let pages = document.get_pages().len() as u64;
    if pages > limit("pdf.pages") {
        findings.push(find("pdf.pages", pages.to_string()));
    }
    let (mut missing, mut base) = (BTreeSet::new(), BTreeSet::new());
    for object in document.objects.values() {
        let Ok(font) = object.as_dict() else { continue };
        if !font.has_type(b"Font") || embedded(&document, font) {
            continue;
        }
        let name = font_name(font);
        let plain = name.rsplit('+').next().unwrap_or(&name);
        if BASE.iter().any(|base| plain.starts_with(base)) {
            base.insert(name);
        } else {
            missing.insert(name);
        }
    }
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        findings.push(find("pdf.fonts", list(missing)));
    }
    if !base.is_empty() {
        findings.push(find("pdf.base_fonts", list(base)));
    }
    findings
}

/// Whether the glyphs travel with it. Type 0 and its descendant are judged by the descendant, Type 3 draws its own.
fn embedded(document: &Document, font: &Dictionary) -> bool {
    match font.get(b"Subtype").and_then(Object::as_name) {
        Ok(b"Type0" | b"Type3") => return true,
        Ok(_) => {}
        Err(_) => return true,
    }
    let descriptor = font
        .get_deref(b"FontDescriptor", document)
        .and_then(Object::as_dict);
    descriptor.is_ok_and(|descriptor| {
        [&b"FontFile"[..], b"FontFile2", b"FontFile3"]
            .iter()
            .any(|key| descriptor.has(key))
    })
}

fn font_name(font: &Dictionary) -> String {
    let name = font.get(b"BaseFont").and_then(Object::as_name).unwrap_or(b"?");
    String::from_utf8_lossy(name).into_owned()
}
