//! What people are told, in both languages: `messages/*.toml`, read once.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

use crate::{config::Language, shelf::Said};

/// Sentences by key.
pub(crate) type Sentences = HashMap<String, String>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalogue {
    /// The player's refusals, by `Problem.code`.
    pub(crate) player: Sentences,
    /// What is said of an invigilator's PIN, by `Problem.code`.
    pub(crate) exam: Sentences,
    /// What `bbt-agent enrol` prints, by `EnrolError::key`.
    pub(crate) enrol: Sentences,
    /// What the ways of getting in say on the page.
    pub(crate) ways: Sentences,
    /// What came of a USB disk, by `UsbError::key` and `Done::key`.
    pub(crate) usb: Sentences,
    /// What is said of a disk with lesson packs.
    pub(crate) disk: Sentences,
    /// What is said of the technician's PIN, by `Problem.code`.
    pub(crate) settings: Sentences,
    /// What the check before a class says, and of live apps.
    pub(crate) class: Sentences,
    /// What is wrong with a timetable from a disk, by `CsesReason::code`.
    pub(crate) timetable: Sentences,
}

static ZH_CN: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("../messages/zh-CN.toml")));
static EN: LazyLock<Catalogue> = LazyLock::new(|| read(include_str!("../messages/en.toml")));

fn read(text: &str) -> Catalogue {
    toml::from_str(text).unwrap_or_default()
}

/// The sentences of one language.
pub(crate) fn catalogue(language: Language) -> &'static Catalogue {
    match language {
        Language::ZhCn => &ZH_CN,
        Language::En => &EN,
    }
}

/// A sentence of one part of the catalogue, in both languages. A key that is missing shows itself, so it is seen.
pub(crate) fn said(part: fn(&Catalogue) -> &Sentences, key: &str, values: &[(&str, String)]) -> Said {
    let in_language = |language| {
        let sentence = part(catalogue(language)).get(key);
        fill(sentence.map_or(key, String::as_str), values)
    };
    Said {
        zh: in_language(Language::ZhCn),
        en: in_language(Language::En),
    }
}

/// A sentence with its `{places}` filled in. What is filled in is not looked at again.
pub(crate) fn fill(sentence: &str, values: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let value = after.split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match value {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_timetable_has_its_words() {
        use contract::cses::CsesReason as R;
        let text = String::new;
        let all = [
            R::TooLarge,
            R::Yaml(text()),
            R::Alias,
            R::Twice,
            R::Missing,
            R::Kind(""),
            R::Version(text()),
            R::Day(text()),
            R::Weeks(text()),
            R::Time(text()),
            R::Backwards,
            R::Overlap(1),
            R::Subject,
            R::TooMany,
            R::Empty,
        ];
        let keys = || all.iter().map(R::code).chain(["at", "whole"]);
        for language in [Language::ZhCn, Language::En] {
            let words = &catalogue(language).timetable;
            assert!(keys().all(|key| words.contains_key(key)), "{language:?}");
            assert_eq!(words.len(), keys().count(), "{language:?}");
            for key in ["pin_wrong", "pin_locked", "pin_not_set", "settings_closed"] {
                assert!(
                    catalogue(language).settings.contains_key(key),
                    "{language:?}: {key}"
                );
            }
        }
    }

    #[test]
    fn places_are_filled_once() {
        let values = [("a", "{b}".to_owned()), ("b", "2".to_owned())];
        assert_eq!(fill("{a}/{b}/{c}/{", &values), "{b}/2/{c}/{");
    }
}
