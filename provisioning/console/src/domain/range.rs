//! Which bytes a `Range` header asks for (RFC 9110 §14.1.2). One range only; several are answered with the whole.

use std::ops::Range;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Everything: no header, another unit, several ranges, or nothing that makes sense.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// A well-formed range that lies outside.
    Outside,
}

/// Reads the header for a file of `size` bytes.
pub fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some(spec) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else { return Asked::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Asked::Whole };
    let number = |text: &str| text.trim().bytes().all(|b| b.is_ascii_digit()).then(|| text.trim().parse::<u64>().ok());
    let (Some(from), Some(to)) = (number(first), number(last)) else { return Asked::Whole };
    match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, true) => Asked::Whole,
        (true, false) => match to {
            Some(0) => Asked::Outside,
            _ if size == 0 => Asked::Outside,
            // A suffix too large to count is the whole file.
            count => Asked::Part(size.saturating_sub(count.unwrap_or(u64::MAX))..size),
        },
        (false, open) => {
            let Some(from) = from.filter(|from| *from < size) else { return Asked::Outside };
            if open {
                return Asked::Part(from..size);
            }
            let to = to.unwrap_or(u64::MAX);
            if to < from { Asked::Whole } else { Asked::Part(from..to.saturating_add(1).min(size)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges_as_the_rfc_reads_them() {
        let part = |r: Range<u64>| Asked::Part(r);
        for (header, expected) in [
            ("bytes=0-0", part(0..1)),
            ("bytes=0-", part(0..100)),
            ("bytes=90-", part(90..100)),
            ("bytes=-10", part(90..100)),
            ("bytes=-1000", part(0..100)),
            ("bytes=10-1000", part(10..100)),
            ("bytes=99-99", part(99..100)),
            ("bytes=100-", Asked::Outside),
            ("bytes=-0", Asked::Outside),
            ("bytes=99999999999999999999999-", Asked::Outside),
            ("bytes=0-99999999999999999999999", part(0..100)),
            ("bytes=5-2", Asked::Whole),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("items=0-1", Asked::Whole),
            ("bytes=+1-2", Asked::Whole),
        ] {
            assert_eq!(asked(Some(header), 100), expected, "{header}");
        }
        assert_eq!(asked(None, 100), Asked::Whole);
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Outside);
    }
}
