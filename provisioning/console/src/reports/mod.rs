//! Reports: what one says ([`body`]), as a spreadsheet ([`xlsx`]), as a page to print ([`html`]), sealed ([`seal`]); and tables
//! for other programs ([`export`]). All of it follows from the body alone, so a file made again is the same byte for byte.

pub mod body;
mod charts;
pub mod clean;
pub mod export;
pub mod html;
pub mod parquet;
pub mod registers;
pub mod seal;
pub mod xlsx;

use std::collections::BTreeMap;

use crate::{config::Language, messages};

/// A word of the catalogue.
pub(crate) fn word(language: Language, key: &str) -> String {
    messages::text(language, &format!("report.{key}"), &BTreeMap::new())
}
