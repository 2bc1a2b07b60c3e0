//! The county's roster: schools and classrooms from a table somebody filled in.
//!
//! Reads xlsx, xls and csv into cells ([`read`]), finds the two tables in them by their headings and checks every row
//! ([`tables`]), and compares with what is known ([`plan`]). Decides only; the database is somebody else's. Everything that
//! is wrong is collected with sheet, row and column, so that one look at the report mends the whole file.
//!
//! A code names its school or classroom for good: another name under a known code is a renaming. An empty cell leaves what
//! is known as it is, so importing the same file again changes nothing.

mod plan;
mod read;
mod tables;
mod template;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use plan::{Counts, Known, KnownClassroom, KnownSchool, Plan, Step, plan};
pub use read::{Encoding, FileFault, read};
pub use tables::{ClassroomRow, Roster, SchoolRow, Spot, tables};
pub use template::{csv_template, xlsx_template};

/// Most rows of all tables together.
pub const MAX_ROWS: usize = 100_000;
/// Largest file in bytes.
pub const MAX_FILE_BYTES: usize = 32 << 20;

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing, or blanks.
    Empty,
    /// Words, or a number as it was written.
    Text(String),
    /// A number as a spreadsheet keeps it.
    Number(f64),
    /// A formula: its result may differ on another machine, so it is not read.
    Formula,
    /// An error of the spreadsheet, e.g. `#REF!`.
    Broken(String),
}

/// One row that holds anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// As the spreadsheet numbers it, from 1.
    pub number: usize,
    /// Its cells from the first column on; short where the rest is empty.
    pub cells: Vec<Cell>,
}

/// An area that was merged into one cell: first and last row (from 1), first and last column (from 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// First and last row.
    pub rows: (usize, usize),
    /// First and last column.
    pub columns: (usize, usize),
}

/// One sheet, or the whole of a csv file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sheet {
    /// Its name; empty for csv.
    pub name: String,
    /// Its rows in order.
    pub rows: Vec<Row>,
    /// Merged areas.
    pub merged: Vec<Merged>,
}

/// One thing that is wrong, at one place. The sentence is in the message catalogues under `code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Name of the sheet; empty for csv.
    pub sheet: String,
    /// Row as the spreadsheet numbers it, from 1.
    pub row: usize,
    /// Heading of the column; empty for the whole row.
    pub column: String,
    /// Key of the message catalogue.
    pub code: &'static str,
    /// What the sentence needs.
    pub args: BTreeMap<&'static str, String>,
}

impl Fault {
    pub(crate) fn new(sheet: &str, row: usize, column: &str, code: &'static str) -> Self {
        Self {
            sheet: sheet.to_owned(),
            row,
            column: column.to_owned(),
            code,
            args: BTreeMap::new(),
        }
    }

    pub(crate) fn arg(mut self, name: &'static str, value: impl ToString) -> Self {
        let value: String = value.to_string().chars().take(60).collect();
        self.args.insert(name, value);
        self
    }
}
