//! Many lessons at once. What they are is read from the names of folders ([`tree`]) or from a table about files ([`table`]);
//! both give [`Candidate`]s and [`Fault`]s, so that one look at the report mends the whole. [`run`] rehearses or imports.
//!
//! A bad lesson keeps no other from being imported, and importing the same again changes nothing: what stands in the way of
//! an interrupted import is only to start it again.

mod files;
pub mod guess;
pub mod run;
pub mod table;
mod template;
#[cfg(test)]
mod tests;
pub mod tree;

use std::collections::BTreeMap;

pub use template::{csv_template, xlsx_template};

use super::{
    import::{lesson_toml::Description, prepare::Source},
    vocab::WordFault,
};

/// Faults kept; the rest is counted.
const FAULTS_KEPT: usize = 2_000;
/// Most lessons of one import.
pub const MAX_LESSONS: usize = 50_000;

/// A lesson that may be imported.
#[derive(Debug)]
pub struct Candidate {
    /// Its folder; of a table: the sheet, or nothing.
    pub place: String,
    /// Its first row in a table, from 1; 0 without one.
    pub row: usize,
    /// What it is.
    pub description: Description,
    /// Its files.
    pub sources: Vec<Source>,
}

/// One thing that is wrong, at one place. The sentence is in the message catalogues under `code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Folder, or sheet of the table.
    pub place: String,
    /// Row of the table, from 1; 0 without one.
    pub row: usize,
    /// Heading of the column, or the file.
    pub column: String,
    /// Key of the message catalogue.
    pub code: &'static str,
    /// What the sentence needs.
    pub args: BTreeMap<&'static str, String>,
}

impl Fault {
    fn new(place: &str, row: usize, column: &str, code: &'static str) -> Self {
        Self {
            place: place.to_owned(),
            row,
            column: column.to_owned(),
            code,
            args: BTreeMap::new(),
        }
        .arg("column", column)
    }

    fn arg(mut self, name: &'static str, value: impl ToString) -> Self {
        let value: String = value.to_string().chars().take(200).collect();
        self.args.insert(name, value);
        self
    }

    fn word(place: &str, row: usize, column: &str, fault: &WordFault) -> Self {
        let (code, name, stage) = match fault {
            WordFault::Unknown { name, .. } => ("vocab_unknown", name, ""),
            WordFault::OtherStage { name, stage, .. } => ("vocab_other_stage", name, stage.as_str()),
        };
        Self::new(place, row, column, code)
            .arg("field", fault.field().path())
            .arg("name", name)
            .arg("word", fault.word())
            .arg("stage", stage)
            .arg("near", fault.near().join("、"))
    }
}

/// Everything that a folder or a table says.
#[derive(Debug, Default)]
pub struct Found {
    /// What may be imported, in order.
    pub candidates: Vec<Candidate>,
    /// What is wrong, in order, at most 2,000.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub fault_count: usize,
    /// Lessons that are refused for it.
    pub refused: usize,
    /// Files that belong to no lesson.
    pub ignored: Vec<String>,
}

impl Found {
    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }
}
