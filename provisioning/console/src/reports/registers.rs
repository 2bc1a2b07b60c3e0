//! Registers (登记簿) as tables: for a spreadsheet, as CSV and to print.

use std::fmt::Write as _;

use jiff::civil::Date;
use rust_xlsxwriter::XlsxError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{clean, html, word, xlsx};
use crate::config::Language;

/// Which register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[schema(as = RegisterKind)]
pub enum Kind {
    /// 使用登记簿: each day a classroom's board was used.
    Use,
    /// 维修登记簿: repair orders.
    Repair,
    /// 巡检登记簿: inspections.
    Inspection,
    /// 资源登记簿: lessons that came into use.
    Resource,
}

impl Kind {
    /// As in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Repair => "repair",
            Self::Inspection => "inspection",
            Self::Resource => "resource",
        }
    }

    /// Columns, as named in the catalogue.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Use => &[
                "date",
                "school",
                "classroom",
                "id",
                "lessons",
                "subjects",
                "opens",
                "minutes",
                "at",
            ],
            Self::Repair => &[
                "id",
                "school",
                "classroom",
                "order_class",
                "symptom",
                "opened_at",
                "accepted_at",
                "repaired_at",
                "confirmed_at",
                "state",
                "repaired_by",
            ],
            Self::Inspection => &[
                "date",
                "school",
                "classroom",
                "id",
                "inspection",
                "result",
                "note",
                "by",
            ],
            Self::Resource => &[
                "id",
                "title",
                "stage",
                "subject",
                "grade",
                "version",
                "origin",
                "released_at",
                "released_by",
                "opens",
            ],
        }
    }
}

/// A register as it was read.
#[derive(Debug, Clone)]
pub struct Table {
    /// Which.
    pub kind: Kind,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Rows as text, one cell for each column.
    pub rows: Vec<Vec<String>>,
    /// There were more.
    pub cut: bool,
}

fn columns(kind: Kind, language: Language) -> Vec<String> {
    let word = |key: &&str| word(language, &format!("column.{key}"));
    kind.columns().iter().map(word).collect()
}

fn title(table: &Table, language: Language) -> String {
    let name = word(language, &format!("register.{}", table.kind.as_str()));
    format!("{name} {} – {}", table.from, table.to)
}

impl Table {
    /// As CSV: UTF-8 with a mark.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn csv(&self, language: Language) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(b"\xef\xbb\xbf".to_vec());
        writer.write_record(columns(self.kind, language))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| clean::cell(cell)))?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }

    /// As a spreadsheet.
    ///
    /// # Errors
    /// It is larger than a spreadsheet can be.
    pub fn xlsx(&self, language: Language) -> Result<Vec<u8>, XlsxError> {
        let title = title(self, language);
        let mut book = xlsx::new(&title)?;
        let style = xlsx::Style::new();
        let sheet = book.add_worksheet();
        sheet.set_name(word(language, &format!("register.{}", self.kind.as_str())))?;
        sheet.write_string_with_format(0, 0, clean::cell(&title), &style.title)?;
        for (at, name) in (0u16..).zip(columns(self.kind, language)) {
            sheet.write_string_with_format(1, at, &name, &style.head)?;
            sheet.set_column_width(at, 18)?;
        }
        for (line, row) in (2u32..).zip(&self.rows) {
            for (at, cell) in (0u16..).zip(row) {
                sheet.write_string_with_format(line, at, clean::cell(cell), &style.text)?;
            }
        }
        sheet.set_freeze_panes(2, 0)?;
        sheet
            .set_landscape()
            .set_print_fit_to_pages(1, 0)
            .set_repeat_rows(1, 1)?;
        book.save_to_buffer()
    }

    /// As a page to print.
    pub fn html(&self, language: Language) -> String {
        let mut page = html::begin(&title(self, language), language);
        if self.rows.is_empty() {
            let _ = write!(page, "<p class=\"empty\">{}</p>", word(language, "empty"));
        }
        if self.cut {
            let _ = write!(page, "<p class=\"empty\">{}</p>", word(language, "cut"));
        }
        html::head(&mut page, &columns(self.kind, language));
        for row in &self.rows {
            page.push_str("<tr>");
            for cell in row {
                let _ = write!(page, "<td>{}</td>", clean::html(cell));
            }
            page.push_str("</tr>");
        }
        page.push_str("</tbody></table></body></html>\n");
        page
    }
}
