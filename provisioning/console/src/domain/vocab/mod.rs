//! The controlled words of the national model: 学段, 学科, 版本, 年级, 册次, 资源类型, 授权范围. The words are data
//! (`provisioning/console/vocab/*.toml`); this module finds a word, or says which ones come near. Pure.

mod check;
mod near;

use std::{collections::HashMap, sync::LazyLock};

pub use check::{MANDATORY, WordFault, check, missing};
pub use near::nearest;
use serde::Deserialize;

/// A field with controlled words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// 学段.
    Stage,
    /// 学科.
    Subject,
    /// 版本.
    Edition,
    /// 年级.
    Grade,
    /// 册次.
    Volume,
    /// 资源类型.
    ResourceType,
    /// 授权范围.
    LicenceScope,
}

impl Field {
    /// All of them, in the order in which people fill them in.
    pub const ALL: [Self; 7] = [
        Self::Stage,
        Self::Subject,
        Self::Edition,
        Self::Grade,
        Self::Volume,
        Self::ResourceType,
        Self::LicenceScope,
    ];

    /// As in the data and the API.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Subject => "subject",
            Self::Edition => "edition",
            Self::Grade => "grade",
            Self::Volume => "volume",
            Self::ResourceType => "resource_type",
            Self::LicenceScope => "licence_scope",
        }
    }

    /// As `lesson.toml` and the API's `meta` call it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::LicenceScope => "licence.scope",
            other => other.id(),
        }
    }

    const fn data(self) -> &'static str {
        match self {
            Self::Stage => include_str!("../../../vocab/stages.toml"),
            Self::Subject => include_str!("../../../vocab/subjects.toml"),
            Self::Edition => include_str!("../../../vocab/editions.toml"),
            Self::Grade => include_str!("../../../vocab/grades.toml"),
            Self::Volume => include_str!("../../../vocab/volumes.toml"),
            Self::ResourceType => include_str!("../../../vocab/resource_types.toml"),
            Self::LicenceScope => include_str!("../../../vocab/licence_scopes.toml"),
        }
    }
}

/// One allowed word.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// As it is stored.
    pub word: String,
    /// As people read it, where that differs.
    #[serde(default)]
    pub label: Option<String>,
    /// Other spellings that are understood, and stored as `word`.
    #[serde(default)]
    pub also: Vec<String>,
    /// Words of 学段 that it belongs to; empty: to all.
    #[serde(default)]
    pub under: Vec<String>,
    /// The 学段 that is meant where none is said.
    #[serde(default)]
    pub usual: Option<String>,
}

impl Word {
    /// As people read it.
    pub fn shown(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.word)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    name: String,
    words: Vec<Word>,
}

/// The words of one field.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Which.
    pub field: Field,
    /// The field's name, e.g. 学段.
    pub name: String,
    /// In the order of the data.
    pub words: Vec<Word>,
    by_spelling: HashMap<String, usize>,
}

impl Vocabulary {
    fn read(field: Field) -> Result<Self, String> {
        let raw: Raw = toml::from_str(field.data()).map_err(|e| format!("vocab {}: {e}", field.id()))?;
        if raw.id != field.id() {
            return Err(format!(
                "the words of {} stand in a file that says {}",
                field.id(),
                raw.id
            ));
        }
        let mut by_spelling = HashMap::new();
        for (at, word) in raw.words.iter().enumerate() {
            for spelling in std::iter::once(&word.word).chain(&word.also) {
                if by_spelling.insert(folded(spelling), at).is_some() {
                    return Err(format!("vocab {}: {spelling} stands twice", field.id()));
                }
            }
        }
        Ok(Self {
            field,
            name: raw.name,
            words: raw.words,
            by_spelling,
        })
    }

    /// The word of this spelling, or of another that means it.
    pub fn find(&self, spelling: &str) -> Option<&Word> {
        let at = self.by_spelling.get(&folded(spelling))?;
        self.words.get(*at)
    }
}

/// Wide and narrow letters, blanks and case make no other word.
pub(super) fn folded(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.nfkc()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

static ALL: LazyLock<Result<Vec<Vocabulary>, String>> =
    LazyLock::new(|| Field::ALL.into_iter().map(Vocabulary::read).collect());

/// All vocabularies, in the order of [`Field::ALL`]. A broken file is caught by a test; at run time it would be no words.
pub fn all() -> &'static [Vocabulary] {
    match &*ALL {
        Ok(all) => all,
        Err(error) => {
            tracing::error!(%error, "the vocabularies cannot be read");
            &[]
        }
    }
}

/// The words of one field.
pub fn of(field: Field) -> Option<&'static Vocabulary> {
    all().iter().find(|v| v.field == field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_can_be_read_and_belongs_to_a_stage() {
        let all = Field::ALL.map(|field| Vocabulary::read(field).unwrap());
        let stages = &all[0];
        for vocabulary in &all {
            assert!(vocabulary.words.len() > 3, "{}", vocabulary.name);
            for word in &vocabulary.words {
                for stage in word.under.iter().chain(&word.usual) {
                    assert_eq!(stages.find(stage).unwrap().word, *stage, "{}", word.word);
                }
            }
        }
    }

    #[test]
    fn a_spelling_is_found_however_wide_it_was_typed() {
        let find = |field, text: &str| of(field).unwrap().find(text).map(|w| w.word.as_str());
        assert_eq!(find(Field::Edition, " 部编版"), Some("统编版"));
        assert_eq!(find(Field::Edition, "人教ＰＥＰ版"), Some("人教版"));
        assert_eq!(find(Field::Grade, "初一"), Some("七年级"));
        assert_eq!(find(Field::LicenceScope, "县内"), Some("county"));
        assert_eq!(find(Field::Subject, "数学课"), None);
    }
}
