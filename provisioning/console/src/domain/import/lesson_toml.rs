//! `lesson.toml`: what a folder says about itself, read once and checked.

use contract::{
    id::LessonId,
    lesson::{LessonMeta, Licence},
    path::{LessonPath, PathError},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::error::Reason;
use crate::{db::scope::Node, domain::vocab};

/// The file's name in a lesson folder.
pub const FILE_NAME: &str = "lesson.toml";
/// Largest description, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;
/// Longest curriculum field or title, in characters.
const MAX_CHARS: usize = 200;

/// A checked description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The lesson over all versions; without one, [`derive_id`] gives it.
    pub id: Option<LessonId>,
    /// Curriculum fields.
    pub meta: LessonMeta,
    /// In teaching order; empty: every file is one.
    pub items: Vec<ItemWish>,
}

/// One item as the author wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemWish {
    /// Where its file stands in the folder.
    pub file: LessonPath,
    /// Its name on the page; without one, the file's.
    pub title: Option<String>,
    /// Its subtitle tracks; `None`: those beside it.
    pub subtitles: Option<Vec<SubtitleWish>>,
}

/// One subtitle track as the author wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubtitleWish {
    /// BCP 47.
    pub lang: String,
    /// Its name on the page.
    pub label: String,
    /// A .vtt or .srt in the folder.
    pub file: LessonPath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: Option<String>,
    meta: RawMeta,
    #[serde(default)]
    items: Vec<RawItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMeta {
    title: String,
    stage: String,
    subject: String,
    edition: String,
    grade: String,
    volume: String,
    chapter: String,
    period: String,
    #[serde(default)]
    resource_type: String,
    standard_year: Option<u16>,
    revised_year: Option<u16>,
    #[serde(default)]
    source: String,
    licence: Option<RawLicence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLicence {
    scope: String,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawItem {
    file: String,
    title: Option<String>,
    subtitles: Option<Vec<RawSubtitle>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSubtitle {
    lang: String,
    label: Option<String>,
    file: String,
}

/// Reads and checks a `lesson.toml`.
///
/// # Errors
/// [`Reason::Description`] naming the field.
pub fn parse(text: &str) -> Result<Description, Reason> {
    let raw: Raw =
        toml::from_str(text).map_err(|error| Reason::Description(error.to_string().trim().to_owned()))?;
    let id = raw
        .id
        .map(LessonId::new)
        .transpose()
        .map_err(|error| Reason::Description(error.to_string()))?;
    let RawMeta {
        title,
        stage,
        subject,
        edition,
        grade,
        volume,
        chapter,
        period,
        resource_type,
        standard_year,
        revised_year,
        source,
        licence,
    } = raw.meta;
    let licence = licence.map(licence_of).transpose()?;
    let meta = check_meta(LessonMeta {
        title,
        stage,
        subject,
        edition,
        grade,
        volume,
        chapter,
        period,
        resource_type,
        standard_year,
        revised_year,
        source,
        licence,
    })?;
    let items = raw.items.into_iter().map(check_item).collect::<Result<_, _>>()?;
    Ok(Description { id, meta, items })
}

fn licence_of(raw: RawLicence) -> Result<Licence, Reason> {
    let expires_at = raw.expires_at.as_deref().map(expiry).transpose()?;
    Ok(Licence {
        scope: raw.scope,
        expires_at,
    })
}

/// When a licence ends: an instant, or a day, which it includes (by Chinese time).
///
/// # Errors
/// [`Reason::Description`] saying what it should look like.
pub fn expiry(text: &str) -> Result<Timestamp, Reason> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    // 2030-8-31, 2030/08/31, 2030年8月31日.
    let parts: Vec<&str> = text
        .trim_end_matches('日')
        .split(['-', '/', '.', '年', '月'])
        .map(str::trim)
        .collect();
    let day = match parts.as_slice() {
        [year, month, day] => (year.parse().ok(), month.parse().ok(), day.parse().ok()),
        _ => (None, None, None),
    };
    let day = match day {
        (Some(year), Some(month), Some(day)) => jiff::civil::Date::new(year, month, day).ok(),
        _ => None,
    };
    let end = day.and_then(|day| day.tomorrow().ok()).and_then(|next| {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
        Some(next.to_zoned(zone).ok()?.timestamp())
    });
    end.ok_or_else(|| {
        Reason::Description(format!(
            "meta.licence.expires_at {text:?} is no day like 2027-08-31 or instant like 2027-08-31T16:00:00Z"
        ))
    })
}

/// Checks curriculum fields from a file or a form: trimmed, title and subject and grade given, nothing overlong, no control
/// characters, and only words of the vocabularies where there is one; other spellings become the word.
///
/// # Errors
/// [`Reason::Description`] naming the field; [`Reason::Word`].
pub fn check_meta(meta: LessonMeta) -> Result<LessonMeta, Reason> {
    let field = |name: &str, value: String, needed: bool| {
        let value = value.trim().to_owned();
        if needed && value.is_empty() {
            return Err(Reason::Description(format!("meta.{name} is empty")));
        }
        check_text(&format!("meta.{name}"), value)
    };
    let mut meta = LessonMeta {
        title: field("title", meta.title, true)?,
        stage: field("stage", meta.stage, false)?,
        subject: field("subject", meta.subject, true)?,
        edition: field("edition", meta.edition, false)?,
        grade: field("grade", meta.grade, true)?,
        volume: field("volume", meta.volume, false)?,
        chapter: field("chapter", meta.chapter, false)?,
        period: field("period", meta.period, false)?,
        resource_type: field("resource_type", meta.resource_type, false)?,
        standard_year: year("standard_year", meta.standard_year)?,
        revised_year: year("revised_year", meta.revised_year)?,
        source: field("source", meta.source, false)?,
        licence: meta
            .licence
            .map(|licence| {
                let scope = field("licence.scope", licence.scope, true)?;
                Ok::<_, Reason>(Licence { scope, ..licence })
            })
            .transpose()?,
    };
    vocab::check(&mut meta).map_err(|mut faults| Reason::Word(Box::new(faults.swap_remove(0))))?;
    Ok(meta)
}

fn year(name: &str, value: Option<u16>) -> Result<Option<u16>, Reason> {
    match value {
        Some(year) if !(1980..=2100).contains(&year) => Err(Reason::Description(format!(
            "meta.{name} is {year}; allowed are years from 1980 to 2100"
        ))),
        other => Ok(other),
    }
}

/// The id of a lesson that names none: the same place in the curriculum and the same title are the same lesson, so importing
/// a changed folder again makes a new version and not a second lesson.
pub fn derive_id(meta: &LessonMeta, owner: Node) -> Result<LessonId, Reason> {
    let LessonMeta {
        title,
        stage,
        subject,
        edition,
        grade,
        volume,
        chapter,
        period,
        ..
    } = meta;
    let mut hasher = blake3::Hasher::new();
    for field in [stage, subject, edition, grade, volume, chapter, period, title] {
        hasher.update(&(field.len() as u64).to_le_bytes());
        hasher.update(field.as_bytes());
    }
    // Two counties may each have a lesson of the same place in the curriculum.
    match owner {
        Node::Root => {}
        Node::Region(id) => {
            hasher.update(b"region").update(&id.to_le_bytes());
        }
        Node::School(id) => {
            hasher.update(b"school").update(&id.to_le_bytes());
        }
    }
    let hex = hasher.finalize().to_hex();
    LessonId::new(format!("l-{}", hex.get(..20).unwrap_or_default()))
        .map_err(|error| Reason::Description(error.to_string()))
}

fn check_item(raw: RawItem) -> Result<ItemWish, Reason> {
    let subtitles = raw
        .subtitles
        .map(|list| list.into_iter().map(check_subtitle).collect::<Result<_, _>>())
        .transpose()?;
    let title = raw
        .title
        .map(|title| check_text("items.title", title.trim().to_owned()))
        .transpose()?;
    Ok(ItemWish {
        file: path(&raw.file)?,
        title: title.filter(|t| !t.is_empty()),
        subtitles,
    })
}

fn check_subtitle(raw: RawSubtitle) -> Result<SubtitleWish, Reason> {
    if !is_language(&raw.lang) {
        return Err(Reason::Description(format!(
            "items.subtitles.lang {:?} is not a language like zh-CN",
            raw.lang
        )));
    }
    let label = check_text(
        "items.subtitles.label",
        raw.label.unwrap_or_else(|| label_of(&raw.lang).to_owned()),
    )?;
    Ok(SubtitleWish {
        label,
        file: path(&raw.file)?,
        lang: raw.lang,
    })
}

fn path(text: &str) -> Result<LessonPath, Reason> {
    text.parse()
        .map_err(|error: PathError| Reason::Description(error.to_string()))
}

fn check_text(field: &str, value: String) -> Result<String, Reason> {
    if value.chars().count() > MAX_CHARS {
        return Err(Reason::Description(format!(
            "{field} is longer than {MAX_CHARS} characters"
        )));
    }
    if value.chars().any(char::is_control) {
        return Err(Reason::Description(format!(
            "{field} holds a control character or line break"
        )));
    }
    Ok(value)
}

/// Looks like a BCP 47 tag: `zh`, `zh-CN`, `zh-Hans-CN`.
pub fn is_language(text: &str) -> bool {
    let mut parts = text.split('-');
    let first = parts
        .next()
        .is_some_and(|p| (2..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphabetic()));
    first && parts.all(|p| (2..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// How a track of that language is named on the page.
pub fn label_of(lang: &str) -> &str {
    match lang {
        "zh" | "zh-CN" | "zh-Hans" | "zh-Hans-CN" => "中文",
        "en" | "en-US" | "en-GB" => "English",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = "[meta]\ntitle='三角形的内角和'\nstage='小学'\nsubject='数学'\nedition='人教版'\ngrade='四年级'\nvolume='下册'\nchapter='第五单元'\nperiod='第1课时'\n";

    #[test]
    fn reads_items_and_subtitles() {
        let text = format!(
            "id = 'triangle'\n{META}[[items]]\nfile='a.mp4'\ntitle=' 看 '\nsubtitles=[{{lang='zh-CN',file='a.srt'}}]\n[[items]]\nfile='b.pdf'\n"
        );
        let description = parse(&text).unwrap();
        assert_eq!(description.id.unwrap().as_str(), "triangle");
        assert_eq!(description.items[0].title.as_deref(), Some("看"));
        assert_eq!(description.items[0].subtitles.as_ref().unwrap()[0].label, "中文");
        assert_eq!(description.items[1].subtitles, None);
    }

    #[test]
    fn a_fault_names_its_field() {
        for (text, word) in [
            (META.replace("grade=", "grad="), "grad"),
            (META.replace("'数学'", "'  '"), "meta.subject"),
            (
                META.replace("title='", "title='\\u0007").replace('\'', "\""),
                "meta.title",
            ),
            (format!("id='a b'\n{META}"), "a b"),
            (format!("{META}[[items]]\nfile='../x.mp4'\n"), "../x.mp4"),
            (
                format!("{META}[[items]]\nfile='a.mp4'\nsubtitles=[{{lang='中文',file='a.vtt'}}]\n"),
                "lang",
            ),
            ("not toml".to_owned(), "line 1"),
        ] {
            let reason = parse(&text).unwrap_err();
            assert!(
                matches!(&reason, Reason::Description(what) if what.contains(word)),
                "{reason:?} lacks {word}"
            );
        }
    }

    #[test]
    fn a_licence_and_years_are_read_and_a_day_is_told_from_anything_else() {
        let more = "resource_type='微课'\nstandard_year=2022\nrevised_year=2024\nsource='县教研室'\n\
                    [meta.licence]\nscope='县内'\nexpires_at='2030-08-31'\n";
        let meta = parse(&format!("{META}{more}")).unwrap().meta;
        assert_eq!((meta.standard_year, meta.revised_year), (Some(2022), Some(2024)));
        let licence = meta.licence.unwrap();
        assert_eq!(licence.scope, "county");
        for day in [
            "2030-08-31",
            "2030/8/31",
            "2030.8.31",
            "2030年8月31日",
            "2030-08-31T16:00:00Z",
        ] {
            assert_eq!(expiry(day).unwrap(), licence.expires_at.unwrap(), "{day}");
        }
        for no in ["2030-02-30", "31.8.2030", "明年", "", "2030-8"] {
            assert!(expiry(no).is_err(), "{no}");
        }
        assert!(parse(&format!("{META}standard_year=22\n")).is_err());
        let word = parse(&META.replace("'人教版'", "'人教版本'")).unwrap_err();
        assert!(
            matches!(&word, Reason::Word(_)) && word.to_string().contains("人教版,"),
            "{word}"
        );
    }

    #[test]
    fn the_same_place_and_title_are_the_same_lesson() {
        let a = parse(META).unwrap().meta;
        let mut b = a.clone();
        assert_eq!(
            derive_id(&a, Node::Root).unwrap(),
            derive_id(&b, Node::Root).unwrap()
        );
        b.period = "第2课时".into();
        assert_ne!(
            derive_id(&a, Node::Root).unwrap(),
            derive_id(&b, Node::Root).unwrap()
        );
        let of = |node| derive_id(&a, node).unwrap();
        assert_ne!(of(Node::Region(1)), of(Node::Region(2)));
        assert_ne!(of(Node::Region(1)), of(Node::School(1)));
    }
}
