//! PDF by its two ends: the header, and the trailer that points at the table of objects.

use std::io::{Read, Seek, SeekFrom};

use super::error::Reason;

/// Readers look for the trailer this far before the end; so do we.
const TAIL_BYTES: u64 = 2048;

/// Checks a file of `len` bytes that starts with `%PDF-`.
///
/// # Errors
/// [`Reason::Truncated`] without its end mark, [`Reason::Damaged`] when the trailer points outside the file.
pub fn check<R: Read + Seek>(file: &mut R, len: u64) -> Result<(), Reason> {
    file.seek(SeekFrom::Start(len.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let end = rfind(&tail, b"%%EOF").ok_or_else(|| Reason::truncated("its end mark (%%EOF) is missing"))?;
    let tail = tail.get(..end).unwrap_or_default();
    let start =
        rfind(tail, b"startxref").ok_or_else(|| Reason::damaged("its trailer (startxref) is missing"))?;
    let digits = String::from_utf8_lossy(tail.get(start + 9..).unwrap_or_default());
    match digits.trim().parse::<u64>() {
        Ok(offset) if offset < len => Ok(()),
        _ => Err(Reason::damaged(format!(
            "its trailer points outside the file ({})",
            digits.trim()
        ))),
    }
}

fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .rposition(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use std::io::Cursor;

    fn run(bytes: &[u8]) -> Result<(), Reason> {
        check(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn a_cut_or_patched_file_is_noticed() {
        let pdf = fixtures::pdf();
        run(&pdf).unwrap();
        assert!(matches!(
            run(&pdf[..pdf.len() / 2]).unwrap_err(),
            Reason::Truncated(_)
        ));
        assert!(matches!(
            run(b"%PDF-1.4\nstartxref\n999999\n%%EOF").unwrap_err(),
            Reason::Damaged(_)
        ));
        assert!(matches!(run(b"%PDF-1.4\n%%EOF").unwrap_err(), Reason::Damaged(_)));
    }
}
