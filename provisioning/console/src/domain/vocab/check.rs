//! A lesson's curriculum fields against the words.

use contract::lesson::LessonMeta;

use super::{Field, nearest, of};

/// Fields that a lesson must carry to pass 自审, by their Chinese names: 学段 学科 版本 年级 册次.
pub const MANDATORY: [Field; 5] = [
    Field::Stage,
    Field::Subject,
    Field::Edition,
    Field::Grade,
    Field::Volume,
];
/// How many near words are told.
const NEAR: usize = 5;

/// A word that is not allowed where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordFault {
    /// Not in the vocabulary.
    #[error("meta.{} ({name}) has the unknown word {word:?}; the nearest allowed are: {}", field.path(), near.join(", "))]
    Unknown {
        /// Where it stands.
        field: Field,
        /// The field's name.
        name: String,
        /// As given.
        word: String,
        /// Allowed words, nearest first.
        near: Vec<String>,
    },
    /// A grade of another stage.
    #[error("meta.{} ({name}) is {word:?}, which does not belong to the stage {stage:?} but to: {}", field.path(), near.join(", "))]
    OtherStage {
        /// Where it stands.
        field: Field,
        /// The field's name.
        name: String,
        /// As stored.
        word: String,
        /// The stage as stored.
        stage: String,
        /// Stages that it belongs to.
        near: Vec<String>,
    },
}

impl WordFault {
    /// Where it stands.
    pub fn field(&self) -> Field {
        match self {
            Self::Unknown { field, .. } | Self::OtherStage { field, .. } => *field,
        }
    }

    /// The allowed words it tells.
    pub fn near(&self) -> &[String] {
        match self {
            Self::Unknown { near, .. } | Self::OtherStage { near, .. } => near,
        }
    }

    /// The word at fault.
    pub fn word(&self) -> &str {
        match self {
            Self::Unknown { word, .. } | Self::OtherStage { word, .. } => word,
        }
    }
}

fn place(meta: &mut LessonMeta, field: Field) -> Option<&mut String> {
    match field {
        Field::Stage => Some(&mut meta.stage),
        Field::Subject => Some(&mut meta.subject),
        Field::Edition => Some(&mut meta.edition),
        Field::Grade => Some(&mut meta.grade),
        Field::Volume => Some(&mut meta.volume),
        Field::ResourceType => Some(&mut meta.resource_type),
        Field::LicenceScope => meta.licence.as_mut().map(|licence| &mut licence.scope),
    }
}

/// Puts the stored word in the place of other spellings; an empty field stays empty.
///
/// # Errors
/// Every word that is not allowed, in the order of the fields.
pub fn check(meta: &mut LessonMeta) -> Result<(), Vec<WordFault>> {
    let mut faults = Vec::new();
    for field in Field::ALL {
        let Some(vocabulary) = of(field) else { continue };
        let Some(value) = place(meta, field).filter(|value| !value.is_empty()) else {
            continue;
        };
        match vocabulary.find(value) {
            Some(word) => value.clone_from(&word.word),
            None => faults.push(WordFault::Unknown {
                field,
                name: vocabulary.name.clone(),
                word: value.clone(),
                near: nearest(vocabulary, value, NEAR)
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
            }),
        }
    }
    let known_stage = !meta.stage.is_empty() && faults.iter().all(|f| f.field() != Field::Stage);
    if known_stage && let Some(vocabulary) = of(Field::Grade) {
        let foreign = vocabulary
            .find(&meta.grade)
            .filter(|w| !w.under.is_empty() && !w.under.contains(&meta.stage));
        if let Some(word) = foreign {
            faults.push(WordFault::OtherStage {
                field: Field::Grade,
                name: vocabulary.name.clone(),
                word: word.word.clone(),
                stage: meta.stage.clone(),
                near: word.under.clone(),
            });
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Which of [`MANDATORY`] are empty.
pub fn missing(meta: &LessonMeta) -> Vec<Field> {
    MANDATORY
        .into_iter()
        .filter(|field| {
            let value = match field {
                Field::Stage => &meta.stage,
                Field::Subject => &meta.subject,
                Field::Edition => &meta.edition,
                Field::Grade => &meta.grade,
                _ => &meta.volume,
            };
            value.trim().is_empty()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use contract::lesson::Licence;

    use super::*;

    fn meta() -> LessonMeta {
        LessonMeta {
            title: "三角形".into(),
            stage: "小学".into(),
            subject: "数学".into(),
            edition: "部编版".into(),
            grade: "4年级".into(),
            volume: "下册".into(),
            chapter: "我自己起的章节".into(),
            ..LessonMeta::default()
        }
    }

    #[test]
    fn other_spellings_become_the_word_and_free_fields_stay() {
        let mut meta = meta();
        check(&mut meta).unwrap();
        assert_eq!((meta.edition.as_str(), meta.grade.as_str()), ("统编版", "四年级"));
        assert_eq!(meta.chapter, "我自己起的章节");
        assert!(missing(&meta).is_empty());
    }

    #[test]
    fn every_bad_word_is_told_with_its_field_and_what_comes_near() {
        let mut bad = meta();
        bad.subject = "数学课".into();
        bad.licence = Some(Licence {
            scope: "世界".into(),
            expires_at: None,
        });
        let faults = check(&mut bad).unwrap_err();
        assert_eq!(faults.len(), 2);
        let text = faults[0].to_string();
        for word in ["meta.subject", "学科", "数学课", "数学"] {
            assert!(text.contains(word), "{text} lacks {word}");
        }
        assert_eq!(faults[1].field(), Field::LicenceScope);
    }

    #[test]
    fn a_grade_of_another_stage_is_told_and_an_empty_field_is_not() {
        let mut bad = meta();
        bad.grade = "初一".into();
        assert!(matches!(
            &check(&mut bad).unwrap_err()[..],
            [WordFault::OtherStage { word, .. }] if word == "七年级"
        ));
        bad.stage.clear();
        check(&mut bad).unwrap();
        assert_eq!(missing(&bad), [Field::Stage]);
    }
}
