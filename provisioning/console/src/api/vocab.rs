//! The controlled words of the catalogue.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All vocabularies.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Vocabularies {
    /// 学段, 学科, 版本, 年级, 册次, 资源类型, 授权范围, in this order.
    pub vocabularies: Vec<Vocabulary>,
}

/// The words of one field.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Vocabulary {
    /// `stage`, `subject`, `edition`, `grade`, `volume`, `resource_type` or `licence_scope`.
    pub id: String,
    /// Where it stands in a lesson's meta, e.g. `subject` or `licence.scope`.
    pub field: String,
    /// The field's Chinese name, e.g. 学科.
    pub name: String,
    /// Whether 自审 needs it.
    pub mandatory: bool,
    /// The words, in the order in which they should be offered.
    pub words: Vec<VocabularyWord>,
}

/// One allowed word.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VocabularyWord {
    /// What is stored and sent.
    pub word: String,
    /// What people read.
    pub label: String,
    /// Other spellings that are understood, and stored as `word`.
    pub also: Vec<String>,
    /// Words of `stage` that it belongs to; empty: to all.
    pub under: Vec<String>,
}
