//! `Range`, `If-Range`, `If-Match` and `If-None-Match`: what part of a file an answer carries.
//!
//! As nginx answers, which `oracle` holds it against: several ranges come in parts, ranges that come to more than the file
//! are answered with the whole of it, and what is no range of bytes is ignored or refused as there.

use std::ops::Range;

use axum::http::{HeaderMap, header};

/// Most ranges in one answer; more are answered with the whole file. A player asks for one, a reader of documents for few.
const MOST_RANGES: usize = 64;

/// What to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Portion {
    /// 200: everything.
    Whole,
    /// 206: this.
    Part(Range<u64>),
    /// 206, `multipart/byteranges`: these, at least two.
    Parts(Vec<Range<u64>>),
    /// 304: the client has it.
    NotModified,
    /// 412: the client has something else.
    Failed,
    /// 416: nothing of what was asked exists, or it makes no sense.
    Beyond,
}

/// Decides for a file of `size` bytes whose strong entity tag is `etag`, quotes included.
pub(super) fn portion(headers: &HeaderMap, etag: &str, size: u64) -> Portion {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A date is none of ours: files here have no dates, their names are their content.
    let among = |list: &str, weakly: bool| {
        list.trim() == "*"
            || list.split(',').any(|tag| {
                let tag = tag.trim();
                tag == etag || weakly && tag.strip_prefix("W/") == Some(etag)
            })
    };
    if text(header::IF_MATCH).is_some_and(|list| !among(list, false)) {
        return Portion::Failed;
    }
    if text(header::IF_NONE_MATCH).is_some_and(|list| among(list, true)) {
        return Portion::NotModified;
    }
    let Some(range) = text(header::RANGE) else {
        return Portion::Whole;
    };
    if text(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Portion::Whole;
    }
    match range.get(..6) {
        Some(unit) if unit.eq_ignore_ascii_case("bytes=") && range.len() > 6 => parse(&range[6..], size),
        _ => Portion::Whole,
    }
}

fn parse(list: &str, size: u64) -> Portion {
    let mut kept: Vec<Range<u64>> = Vec::new();
    let mut bytes = 0_u64;
    for one in list.split(',') {
        match single(one, size) {
            None => return Portion::Beyond,
            Some(range) if range.start < range.end => {
                if kept.len() == MOST_RANGES {
                    return Portion::Whole;
                }
                bytes = bytes.saturating_add(range.end - range.start);
                kept.push(range);
            }
            // Of an empty file.
            Some(range) if range.start == 0 => return Portion::Whole,
            Some(_) => {}
        }
    }
    match kept.len() {
        0 => Portion::Beyond,
        _ if bytes > size => Portion::Whole,
        1 => Portion::Part(kept.remove(0)),
        _ => Portion::Parts(kept),
    }
}

/// One range of the list, not past the file's end; it may be empty. `None` if it makes no sense.
fn single(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.trim_start_matches(' ').split_once('-')?;
    // More digits than any file has bytes make no sense, either; what counts bytes elsewhere is signed.
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .filter(|n| i64::try_from(*n).is_ok())
    };
    if first.is_empty() {
        let count = number(last.trim_end_matches(' '))?;
        return Some(size.saturating_sub(count)..size);
    }
    let first = number(first.trim_end_matches(' '))?;
    let last = last.trim_matches(' ');
    if last.is_empty() {
        return Some(first..size);
    }
    Some(first..number(last)?.saturating_add(1).min(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(range: &str, size: u64) -> Portion {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        portion(&headers, "\"tag\"", size)
    }

    #[test]
    fn every_form_of_a_range() {
        for (range, expected) in [
            ("bytes=0-0", Portion::Part(0..1)),
            ("bytes=0-", Portion::Part(0..100)),
            ("BYTES= 5 - 9 ", Portion::Part(5..10)),
            ("bytes=90-1000", Portion::Part(90..100)),
            ("bytes=99-99", Portion::Part(99..100)),
            ("bytes=100-", Portion::Beyond),
            ("bytes=100-200", Portion::Beyond),
            ("bytes=-1", Portion::Part(99..100)),
            ("bytes=-1000", Portion::Part(0..100)),
            ("bytes=-0", Portion::Beyond),
            ("bytes=99999999999999999999999-", Portion::Beyond),
            ("bytes=0-99999999999999999999999", Portion::Beyond),
            ("bytes=9-5", Portion::Beyond),
            ("bytes=0-1,5-6", Portion::Parts(vec![0..2, 5..7])),
            ("bytes=0-1, -2, 200-300", Portion::Parts(vec![0..2, 98..100])),
            ("bytes=0-1,200-300", Portion::Part(0..2)),
            ("bytes=0-60,30-90", Portion::Whole),
            ("bytes=", Portion::Whole),
            ("bytes=-", Portion::Beyond),
            ("bytes=a-b", Portion::Beyond),
            ("bytes=+1-2", Portion::Beyond),
            ("bytes=1--2", Portion::Beyond),
            ("bytes=0-1,", Portion::Beyond),
            ("lines=1-2", Portion::Whole),
            ("", Portion::Whole),
        ] {
            assert_eq!(asked(range, 100), expected, "{range:?}");
        }
        assert_eq!(asked("bytes=0-", 0), Portion::Whole);
        assert_eq!(asked("bytes=-5", 0), Portion::Whole);
        assert_eq!(asked("bytes=5-", 0), Portion::Beyond);
        let many = |n: u64| {
            let list: Vec<_> = (0..n).map(|at| format!("{0}-{0}", at * 2)).collect();
            asked(&format!("bytes={}", list.join(",")), 1000)
        };
        assert!(matches!(many(64), Portion::Parts(parts) if parts.len() == 64));
        assert_eq!(many(65), Portion::Whole);
    }

    #[test]
    fn conditions_come_first() {
        let with = |name: header::HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, "bytes=1-2".parse().unwrap());
            headers.insert(name, value.parse().unwrap());
            portion(&headers, "\"tag\"", 10)
        };
        assert_eq!(with(header::IF_RANGE, "\"tag\""), Portion::Part(1..3));
        assert_eq!(with(header::IF_RANGE, "\"other\""), Portion::Whole);
        assert_eq!(with(header::IF_RANGE, "W/\"tag\""), Portion::Whole);
        assert_eq!(
            with(header::IF_RANGE, "Wed, 21 Oct 2026 07:28:00 GMT"),
            Portion::Whole
        );
        assert_eq!(
            with(header::IF_NONE_MATCH, "\"a\", W/\"tag\""),
            Portion::NotModified
        );
        assert_eq!(with(header::IF_NONE_MATCH, "*"), Portion::NotModified);
        assert_eq!(with(header::IF_NONE_MATCH, "\"a\""), Portion::Part(1..3));
        assert_eq!(with(header::IF_MATCH, "\"a\", \"tag\""), Portion::Part(1..3));
        assert_eq!(with(header::IF_MATCH, "W/\"tag\""), Portion::Failed);
        assert_eq!(with(header::IF_MATCH, "\"a\""), Portion::Failed);
    }

    proptest! {
        #[test]
        fn a_part_is_what_slicing_gives(size in 1_u64..50, first in 0_u64..60, last in 0_u64..60, suffix in 1_u64..60) {
            let bytes: Vec<u64> = (0..size).collect();
            let slice = |portion: Portion| match portion {
                Portion::Part(part) => bytes[part.start as usize..part.end as usize].to_vec(),
                Portion::Whole => bytes.clone(),
                _ => vec![],
            };
            let expected: Vec<u64> = bytes.iter().copied().filter(|n| (first..=last).contains(n)).collect();
            prop_assert_eq!(slice(asked(&format!("bytes={first}-{last}"), size)), expected);
            let open: Vec<u64> = bytes.iter().copied().filter(|n| *n >= first).collect();
            prop_assert_eq!(slice(asked(&format!("bytes={first}-"), size)), open);
            let tail: Vec<u64> = bytes.iter().copied().filter(|n| *n + suffix >= size).collect();
            prop_assert_eq!(slice(asked(&format!("bytes=-{suffix}"), size)), tail);
        }

        #[test]
        fn no_header_makes_it_panic_or_leave_the_file(range in "(bytes=)?[ -~]{0,40}", size in any::<u64>()) {
            let parts = match asked(&range, size) {
                Portion::Part(part) => vec![part],
                Portion::Parts(parts) => parts,
                _ => vec![],
            };
            for part in parts {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
