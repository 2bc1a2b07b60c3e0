//! The operators' sentences, zh-CN first, by code. The catalogues are compiled in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use crate::config::Language;

const ZH_CN: &str = include_str!("../messages/zh-CN.toml");
const EN: &str = include_str!("../messages/en.toml");

type Catalogue = HashMap<String, String>;

static CATALOGUES: LazyLock<(Catalogue, Catalogue)> = LazyLock::new(|| (read(ZH_CN), read(EN)));

/// A broken catalogue is caught by the test below; at run time it is an empty one, and codes show instead of sentences.
fn read(text: &str) -> Catalogue {
    toml::from_str(text).unwrap_or_default()
}

/// The sentence of `key` with `{name}` places filled from `args`. The arg `what` is translated where the catalogue has
/// `noun.<value>`. An unknown key is shown as it is.
pub fn text(language: Language, key: &str, args: &BTreeMap<&'static str, String>) -> String {
    let catalogue = match language {
        Language::ZhCn => &CATALOGUES.0,
        Language::En => &CATALOGUES.1,
    };
    let Some(sentence) = catalogue.get(key) else {
        return key.to_owned();
    };
    args.iter().fold(sentence.clone(), |sentence, (name, value)| {
        let noun = match *name {
            "what" => catalogue.get(&format!("noun.{value}")),
            "review_state" => catalogue.get(&format!("word.review.{value}")),
            _ => None,
        };
        let value = noun.unwrap_or(value);
        sentence.replace(&format!("{{{name}}}"), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn every_code_has_a_sentence_with_the_same_places_in_both_languages() {
        let zh: Catalogue = toml::from_str(ZH_CN).unwrap();
        let en: Catalogue = toml::from_str(EN).unwrap();
        for code in Code::ALL {
            assert!(zh.contains_key(code.as_str()), "zh-CN lacks {}", code.as_str());
        }
        let mut keys: Vec<_> = zh.keys().collect();
        keys.sort();
        let mut other: Vec<_> = en.keys().collect();
        other.sort();
        assert_eq!(keys, other);
        let places = |text: &str| {
            let mut found: Vec<_> = text
                .split('{')
                .skip(1)
                .filter_map(|p| p.split('}').next())
                .map(str::to_owned)
                .collect();
            found.sort();
            found.dedup();
            found
        };
        for (key, sentence) in &zh {
            assert_eq!(places(sentence), places(&en[key]), "{key}");
        }
    }

    #[test]
    fn every_reason_of_an_import_is_a_code() {
        let source = include_str!("domain/import/error.rs");
        let reasons: Vec<_> = source
            .split('"')
            .filter(|s| s.starts_with("import_") && !s.contains(char::is_whitespace))
            .collect();
        assert!(reasons.len() > 20);
        for reason in reasons {
            assert!(
                Code::ALL.iter().any(|c| c.as_str() == reason),
                "Code lacks {reason}"
            );
        }
    }

    #[test]
    fn places_are_filled_and_nouns_translated() {
        let args = BTreeMap::from([("what", "lesson".to_owned()), ("id", "L1".to_owned())]);
        assert!(text(Language::ZhCn, "not_found", &args).contains("课程 L1"));
        assert!(text(Language::En, "not_found", &args).contains("lesson L1"));
        let args = BTreeMap::from([("review_state", "draft".to_owned())]);
        assert!(text(Language::ZhCn, "review_not_now", &args).contains("草稿"));
    }
}
