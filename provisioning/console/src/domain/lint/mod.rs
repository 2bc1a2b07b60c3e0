//! Is a lesson fit for every board: the rules are data (`rules.toml`), each finding names its rule, the file and the fix.
//!
//! Pure but for reading the files it is given. Refuses nothing: an upload stays, a version with errors does not pass 自审.
//! What an import cannot take at all (a cut file, a program) was refused before, by [`super::import`].

mod html;
mod mp4;
mod pdf;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs::File, path::PathBuf, sync::LazyLock};

use contract::lesson::{ItemKind, LessonItem};
use serde::{Deserialize, Serialize};

use crate::config::Language;

const RULES: &str = include_str!("rules.toml");

static BOOK: LazyLock<BTreeMap<String, Rule>> = LazyLock::new(|| {
    let book: Book = toml::from_str(RULES).unwrap_or_default();
    book.rule
        .into_iter()
        .map(|rule| (rule.id.clone(), rule))
        .collect()
});

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    rule: Vec<Rule>,
}

/// One rule of the book.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable name, e.g. `video.level`.
    pub id: String,
    /// Whether it keeps a version from being reviewed.
    pub severity: Severity,
    /// What it is held against, where it is a figure; its unit is the rule's own.
    #[serde(default)]
    pub limit: Option<u64>,
    zh: String,
    en: String,
    fix_zh: String,
    fix_en: String,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Told, and may stay.
    Warning,
    /// The version does not pass 自审.
    Error,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// As it was when it was found.
    pub severity: Severity,
    /// The file in the lesson.
    pub file: String,
    /// What was found, in figures or names; goes into the sentence.
    pub found: String,
}

/// A finding in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    fn of(rule: &str, file: &str, found: impl Into<String>) -> Self {
        let severity = BOOK.get(rule).map_or(Severity::Error, |rule| rule.severity);
        // A file may name anything in there; a sentence is all it gets.
        let found: String = found.into();
        let cut: String = found.chars().take(300).collect();
        Self {
            rule: rule.to_owned(),
            severity,
            file: file.to_owned(),
            found: cut,
        }
    }

    /// The sentence and the fix in the operator's language.
    pub fn sentence(&self, language: Language) -> Sentence {
        let Some(rule) = BOOK.get(&self.rule) else {
            return Sentence {
                message: format!("{}: {}", self.rule, self.found),
                fix: String::new(),
            };
        };
        let (message, fix) = match language {
            Language::ZhCn => (&rule.zh, &rule.fix_zh),
            Language::En => (&rule.en, &rule.fix_en),
        };
        let limit = match (self.rule.as_str(), rule.limit) {
            ("video.level", Some(limit)) => level(limit),
            (_, Some(limit)) => limit.to_string(),
            (_, None) => String::new(),
        };
        Sentence {
            message: message.replace("{limit}", &limit).replace("{found}", &self.found),
            fix: fix.clone(),
        }
    }
}

/// Every rule, for the page that explains them.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    BOOK.values()
}

impl Rule {
    /// Its sentence with the places left open, and its fix.
    pub fn words(&self, language: Language) -> (&str, &str) {
        match language {
            Language::ZhCn => (&self.zh, &self.fix_zh),
            Language::En => (&self.en, &self.fix_en),
        }
    }
}

fn limit(rule: &str) -> u64 {
    BOOK.get(rule).and_then(|rule| rule.limit).unwrap_or(u64::MAX)
}

fn level(level: u64) -> String {
    format!("{}.{}", level / 10, level % 10)
}

/// A file of the lesson and where its bytes are.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Its path in the lesson.
    pub path: String,
    /// MIME type.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
    /// Where it can be read.
    pub at: PathBuf,
}

/// Examines a lesson: each item's file, and for an exercise its whole folder.
pub fn examine(items: &[LessonItem], files: &[Examined]) -> Vec<Finding> {
    let by_path: BTreeMap<&str, &Examined> = files.iter().map(|f| (f.path.as_str(), f)).collect();
    let mut findings = Vec::new();
    for item in items {
        let Some(file) = by_path.get(item.entry.as_str()) else {
            continue;
        };
        let found = match item.kind {
            ItemKind::Video | ItemKind::Audio => media(item, file),
            ItemKind::Pdf => pdf::examine(file),
            ItemKind::Image => picture(file),
            ItemKind::Html5 => html::examine(item.entry.as_str(), files),
            ItemKind::Office if item.converted.is_none() => {
                vec![Finding::of("office.unconverted", &file.path, "LibreOffice")]
            }
            ItemKind::Office | ItemKind::Other => Vec::new(),
        };
        findings.extend(found);
    }
    findings.sort_by(|a, b| {
        (b.severity, &a.file, &a.rule, &a.found).cmp(&(a.severity, &b.file, &b.rule, &b.found))
    });
    findings.dedup();
    findings
}

/// Whether none of them is an error.
pub fn passes(findings: &[Finding]) -> bool {
    findings.iter().all(|f| f.severity != Severity::Error)
}

fn media(item: &LessonItem, file: &Examined) -> Vec<Finding> {
    let find = |rule: &str, found: String| Finding::of(rule, &file.path, found);
    let mut findings = Vec::new();
    if let Some(ms) = item.duration_ms {
        let minutes = ms / 60_000;
        if minutes > limit("media.long") {
            findings.push(find("media.long", minutes.to_string()));
        }
        if ms < limit("media.short") * 1000 {
            findings.push(find("media.short", format!("{ms} ms")));
        }
    }
    if file.media_type == "audio/mpeg" {
        return findings;
    }
    let probed = File::open(&file.at)
        .map_err(|error| error.to_string())
        .and_then(|mut opened| mp4::probe(&mut opened, file.size));
    let probe = match probed {
        Ok(probe) => probe,
        Err(why) => {
            findings.push(find("media.unread", why));
            return findings;
        }
    };
    if let Some(video) = &probe.video {
        if !matches!(video.profile, 66 | 77 | 88) && u64::from(video.profile) != limit("video.profile") {
            findings.push(find("video.profile", mp4::profile_name(video.profile)));
        }
        if u64::from(video.level) > limit("video.level") {
            findings.push(find("video.level", level(video.level.into())));
        }
        if (video.chroma, video.depth) != ("4:2:0", 8) {
            findings.push(find(
                "video.chroma",
                format!("{}, {} bit", video.chroma, video.depth),
            ));
        }
        let (wide, high) = video.size;
        // 1080 lines are coded as 1088; a picture standing on end is as good.
        if u64::from(wide) * u64::from(high) > limit("video.size") {
            findings.push(find("video.size", format!("{wide}×{high}")));
        }
        if video.rate > limit("video.rate") as f64 + 0.5 {
            findings.push(find("video.rate", format!("{:.0}", video.rate)));
        }
        if probe.sound.is_none() {
            findings.push(find("video.silent", String::new()));
        }
        let kbps = probe
            .duration_ms
            .filter(|ms| *ms > 0)
            .map(|ms| file.size * 8 / ms);
        if let Some(kbps) = kbps.filter(|kbps| *kbps > limit("video.bitrate")) {
            findings.push(find("video.bitrate", kbps.to_string()));
        }
        if probe.fragmented {
            findings.push(find("video.fragmented", String::new()));
        } else if !probe.faststart {
            findings.push(find("video.faststart", String::new()));
        }
    }
    if let Some(sound) = &probe.sound {
        if !sound.plays {
            findings.push(find("sound.coding", sound.coding.clone()));
        }
        if u64::from(sound.rate) > limit("sound.rate") {
            findings.push(find("sound.rate", sound.rate.to_string()));
        }
        if u64::from(sound.channels) > limit("sound.channels") {
            findings.push(find("sound.channels", sound.channels.to_string()));
        }
    }
    findings
}

fn picture(file: &Examined) -> Vec<Finding> {
    match image_size(file) {
        Some((wide, high)) if u64::from(wide) * u64::from(high) > limit("picture.large") => {
            vec![Finding::of("picture.large", &file.path, format!("{wide}×{high}"))]
        }
        _ => Vec::new(),
    }
}

fn image_size(file: &Examined) -> Option<(u32, u32)> {
    let size = imagesize::size(&file.at).ok()?;
    Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?))
}
