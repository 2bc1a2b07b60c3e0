//! A batch of tickets as A4 sheets of labels to cut out: QR code, the code to type, school and classroom.
//!
//! Owns the layout and the PDF. Knows no database and no HTTP: a [`Sheet`] goes in, bytes come out.

mod font;
mod page;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use self::font::PLACES;

/// One ticket.
#[derive(Debug, Clone)]
pub struct Label {
    /// What the QR code says.
    pub qr: String,
    /// What a person types, in groups.
    pub typed_code: String,
    /// Name of the school.
    pub school: String,
    /// Name of the classroom.
    pub classroom: String,
    /// From then on the ticket is refused.
    pub expires_at: Timestamp,
}

/// All labels of a batch.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// Name of the region.
    pub region: String,
    /// Name of the school.
    pub school: String,
    /// Number of the batch.
    pub batch: i64,
    /// When the batch was issued.
    pub issued_at: Timestamp,
    /// When this is printed.
    pub printed_at: Timestamp,
    /// Its labels.
    pub labels: Vec<Label>,
}

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// No Chinese font on this machine.
    #[error(
        "there is no Chinese font on the console's machine for printing labels; install one (Debian, Ubuntu: apt install \
         fonts-noto-cjk, or the smaller fonts-wqy-zenhei), or name a font file as label_font in console.toml"
    )]
    NoFont,
    /// The font cannot be used.
    #[error("the font {} cannot be used for labels: {reason}; correct label_font in console.toml", .path.display())]
    Font {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The PDF could not be made; no fault of the caller.
    #[error("the labels could not be drawn: {0}")]
    Draw(String),
}

/// Draws the sheets; slow, for a thread of its own. `font`: the configured one, else one is looked for in [`PLACES`].
///
/// # Errors
/// No usable font, or the PDF could not be made.
pub fn pdf(sheet: &Sheet, font: Option<&Path>) -> Result<Vec<u8>, LabelError> {
    page::draw(sheet, &font::LabelFont::find(font)?)
}

#[cfg(test)]
mod tests;
