//! Which files of a lesson become what the teacher opens, in which order, with which subtitles. Pure.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
};

use contract::path::LessonPath;

use super::{
    error::Reason,
    lesson_toml::{Description, ItemWish, SubtitleWish, is_language, label_of},
};

/// What will be read, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// At least one.
    pub items: Vec<PlannedItem>,
    /// Files that nothing names; reported, not imported.
    pub ignored: Vec<LessonPath>,
}

/// One file a teacher opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedItem {
    /// Its place.
    pub file: LessonPath,
    /// Its name on the page.
    pub title: String,
    /// Tracks, should it turn out to be a video or sound.
    pub subtitles: Vec<PlannedSubtitle>,
}

/// One track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedSubtitle {
    /// BCP 47.
    pub lang: String,
    /// Its name on the page.
    pub label: String,
    /// What is read.
    pub file: LessonPath,
    /// What is stored: the same with the extension `.vtt`.
    pub stored_as: LessonPath,
}

/// A plan that cannot be made; the file, if one is at fault.
pub type PlanError = (Option<LessonPath>, Reason);

/// Plans `files` by the wishes of the description.
///
/// # Errors
/// A wished file that is not there, one named twice, or nothing to open.
pub fn plan(files: &[LessonPath], description: &Description) -> Result<Plan, PlanError> {
    let there: HashSet<&LessonPath> = files.iter().collect();
    let mut items = Vec::new();
    if description.items.is_empty() {
        let mut ordered: Vec<_> = files.iter().filter(|file| !is_subtitle(file)).collect();
        ordered.sort_by(|a, b| natural(a.as_str(), b.as_str()));
        for file in ordered {
            let wish = ItemWish {
                file: file.clone(),
                title: None,
                subtitles: None,
            };
            items.push(planned(&wish, files, &there)?);
        }
    } else {
        let mut named = HashSet::new();
        for wish in &description.items {
            if !there.contains(&wish.file) {
                return Err((Some(wish.file.clone()), Reason::MissingFile));
            }
            if !named.insert(&wish.file) {
                let twice = Reason::Description(format!("items names {} twice", wish.file));
                return Err((Some(wish.file.clone()), twice));
            }
            items.push(planned(wish, files, &there)?);
        }
    }
    if items.is_empty() {
        return Err((None, Reason::NoItems));
    }
    let used: HashSet<&LessonPath> = items
        .iter()
        .flat_map(|item| std::iter::once(&item.file).chain(item.subtitles.iter().map(|s| &s.file)))
        .collect();
    let mut ignored: Vec<_> = files
        .iter()
        .filter(|file| !used.contains(file))
        .cloned()
        .collect();
    ignored.sort();
    Ok(Plan { items, ignored })
}

/// What operating systems and office programs leave in folders; nobody misses it.
pub fn is_litter(name: &str) -> bool {
    name.starts_with('.')
        || name.starts_with("~$")
        || matches!(name, "Thumbs.db" | "desktop.ini" | "__MACOSX")
}

fn planned(
    wish: &ItemWish,
    files: &[LessonPath],
    there: &HashSet<&LessonPath>,
) -> Result<PlannedItem, PlanError> {
    let wishes = match &wish.subtitles {
        Some(wishes) => wishes.clone(),
        None => beside(&wish.file, files),
    };
    let subtitles = wishes
        .into_iter()
        .map(|SubtitleWish { lang, label, file }| {
            if !there.contains(&file) {
                return Err((Some(file), Reason::MissingFile));
            }
            let stored = format!("{}.vtt", stem(file.as_str()));
            let stored_as = stored
                .parse()
                .map_err(|e: contract::path::PathError| (Some(file.clone()), Reason::Path(e.to_string())))?;
            Ok(PlannedSubtitle {
                lang,
                label,
                file,
                stored_as,
            })
        })
        .collect::<Result<_, PlanError>>()?;
    let title = wish
        .title
        .clone()
        .unwrap_or_else(|| stem(wish.file.file_name()).to_owned());
    Ok(PlannedItem {
        file: wish.file.clone(),
        title,
        subtitles,
    })
}

/// `film.vtt`, `film.zh-CN.vtt` and the same with `.srt` beside `film.mp4`; of one language, `.vtt` wins.
fn beside(video: &LessonPath, files: &[LessonPath]) -> Vec<SubtitleWish> {
    if !matches!(video.extension().as_str(), "mp4" | "m4v" | "m4a" | "mp3") {
        return Vec::new();
    }
    let mut found: BTreeMap<String, &LessonPath> = BTreeMap::new();
    for file in files.iter().filter(|file| is_subtitle(file)) {
        let Some(rest) = stem(file.as_str()).strip_prefix(stem(video.as_str())) else {
            continue;
        };
        let lang = match rest.strip_prefix('.') {
            Some(lang) if is_language(lang) => lang.to_owned(),
            None if rest.is_empty() => "zh-CN".to_owned(),
            _ => continue,
        };
        let wins = found.get(&lang).is_none_or(|other| other.extension() == "srt");
        if wins {
            found.insert(lang, file);
        }
    }
    found
        .into_iter()
        .map(|(lang, file)| SubtitleWish {
            label: label_of(&lang).to_owned(),
            file: file.clone(),
            lang,
        })
        .collect()
}

/// Whether the name says subtitles.
pub fn is_subtitle(file: &LessonPath) -> bool {
    matches!(file.extension().as_str(), "vtt" | "srt")
}

/// The path or name without its extension.
pub fn stem(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, rest)) if !rest.contains('/') && !stem.is_empty() && !stem.ends_with('/') => stem,
        _ => path,
    }
}

/// Name order as people count: `第2节` before `第10节`.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_digits, b_digits) = (leading_digits(a_rest), leading_digits(b_rest));
        let ordering = if a_digits > 0 && b_digits > 0 {
            let (a_number, a_next) = a_rest.split_at(a_digits);
            let (b_number, b_next) = b_rest.split_at(b_digits);
            (a_rest, b_rest) = (a_next, b_next);
            let (a_number, b_number) = (a_number.trim_start_matches('0'), b_number.trim_start_matches('0'));
            a_number
                .len()
                .cmp(&b_number.len())
                .then_with(|| a_number.cmp(b_number))
        } else {
            let (mut a_chars, mut b_chars) = (a_rest.chars(), b_rest.chars());
            let ordering = match (a_chars.next(), b_chars.next()) {
                (None, None) => return a.cmp(b),
                (x, y) => x.cmp(&y),
            };
            (a_rest, b_rest) = (a_chars.as_str(), b_chars.as_str());
            ordering
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::lesson::LessonMeta;
    use proptest::prelude::*;

    fn path(text: &str) -> LessonPath {
        text.parse().unwrap()
    }

    fn describe(items: Vec<ItemWish>) -> Description {
        let empty = String::new;
        let meta = LessonMeta {
            title: "t".into(),
            stage: empty(),
            subject: "s".into(),
            edition: empty(),
            grade: "g".into(),
            volume: empty(),
            chapter: empty(),
            period: empty(),
            ..LessonMeta::default()
        };
        Description {
            id: None,
            meta,
            items,
        }
    }

    #[test]
    fn every_file_in_counting_order_with_its_subtitles() {
        let files: Vec<_> = [
            "10 总结.pdf",
            "2 看.mp4",
            "2 看.zh-CN.srt",
            "2 看.zh-CN.vtt",
            "2 看.en.srt",
            "1 题.zip",
            "other.vtt",
        ]
        .map(path)
        .into();
        let plan = plan(&files, &describe(vec![])).unwrap();
        let order: Vec<_> = plan
            .items
            .iter()
            .map(|i| (i.file.as_str(), i.title.as_str()))
            .collect();
        assert_eq!(
            order,
            [
                ("1 题.zip", "1 题"),
                ("2 看.mp4", "2 看"),
                ("10 总结.pdf", "10 总结")
            ]
        );
        let tracks: Vec<_> = plan.items[1]
            .subtitles
            .iter()
            .map(|s| (s.lang.as_str(), s.file.as_str(), s.stored_as.as_str()))
            .collect();
        assert_eq!(
            tracks,
            [
                ("en", "2 看.en.srt", "2 看.en.vtt"),
                ("zh-CN", "2 看.zh-CN.vtt", "2 看.zh-CN.vtt")
            ]
        );
        assert_eq!(plan.ignored, ["2 看.zh-CN.srt", "other.vtt"].map(path));
    }

    #[test]
    fn wishes_are_followed_or_refused() {
        let files = ["a.mp4", "b.pdf", "c.vtt"].map(path);
        let wish = |file: &str, subtitles| ItemWish {
            file: path(file),
            title: Some("T".into()),
            subtitles,
        };
        let track = |file: &str| SubtitleWish {
            lang: "zh-CN".into(),
            label: "中文".into(),
            file: path(file),
        };
        let good = plan(&files, &describe(vec![wish("a.mp4", Some(vec![track("c.vtt")]))])).unwrap();
        assert_eq!(
            (good.items.len(), good.ignored.as_slice()),
            (1, &[path("b.pdf")][..])
        );
        let missing = plan(&files, &describe(vec![wish("x.mp4", None)])).unwrap_err();
        assert!(matches!(missing, (Some(p), Reason::MissingFile) if p.as_str() == "x.mp4"));
        let no_track = plan(&files, &describe(vec![wish("a.mp4", Some(vec![track("x.vtt")]))])).unwrap_err();
        assert!(matches!(no_track.1, Reason::MissingFile));
        let twice = plan(&files, &describe(vec![wish("a.mp4", None), wish("a.mp4", None)])).unwrap_err();
        assert!(matches!(twice.1, Reason::Description(_)));
        assert!(matches!(
            plan(&[path("c.vtt")], &describe(vec![])).unwrap_err().1,
            Reason::NoItems
        ));
    }

    proptest! {
        #[test]
        fn natural_is_an_order(mut names in proptest::collection::vec("[a0-9]{0,6}", 0..12)) {
            names.sort_by(|a, b| natural(a, b));
            for pair in names.windows(2) {
                prop_assert!(natural(&pair[0], &pair[1]) != Ordering::Greater);
                prop_assert_eq!(natural(&pair[1], &pair[0]), natural(&pair[0], &pair[1]).reverse());
            }
        }
    }
}
