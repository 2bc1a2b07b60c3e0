//! The controlled words, for forms.

use axum::Json;

use crate::{
    access::Access,
    api::vocab::{Vocabularies, Vocabulary, VocabularyWord},
    domain::vocab,
};

/// All controlled words; where there are none, a field is free.
#[utoipa::path(get, path = "/vocabularies", tag = "lessons", responses((status = 200, body = Vocabularies)))]
pub async fn list(_: Access) -> Json<Vocabularies> {
    let word = |word: &vocab::Word| VocabularyWord {
        word: word.word.clone(),
        label: word.shown().to_owned(),
        also: word.also.clone(),
        under: word.under.clone(),
    };
    let vocabulary = |v: &vocab::Vocabulary| Vocabulary {
        id: v.field.id().to_owned(),
        field: v.field.path().to_owned(),
        name: v.name.clone(),
        mandatory: vocab::MANDATORY.contains(&v.field),
        words: v.words.iter().map(word).collect(),
    };
    Json(Vocabularies {
        vocabularies: vocab::all().iter().map(vocabulary).collect(),
    })
}
