//! `Range`, `If-Range` and `If-None-Match`: what part of a file an answer carries.
//!
//! One range of bytes is honoured. Several, another unit, or nonsense are answered with the whole file, as RFC 9110 allows.

use axum::http::{HeaderMap, header};

/// What to answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Portion {
    /// 200: everything.
    Whole,
    /// 206: from the first byte to before the second.
    Part(u64, u64),
    /// 304: the client has it.
    NotModified,
    /// 416: nothing of what was asked exists.
    Beyond,
}

/// Decides for a file of `size` bytes whose strong entity tag is `etag`, quotes included.
pub(super) fn portion(headers: &HeaderMap, etag: &str, size: u64) -> Portion {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(known) = text(header::IF_NONE_MATCH) {
        let matches = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
        if known.split(',').any(|tag| matches(tag.trim())) {
            return Portion::NotModified;
        }
    }
    // A date can never be our strong tag, so it asks for everything.
    if text(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag) {
        return Portion::Whole;
    }
    match text(header::RANGE) {
        Some(range) => parse(range, size),
        None => Portion::Whole,
    }
}

fn parse(range: &str, size: u64) -> Portion {
    let spec = match range.split_once('=') {
        Some((unit, spec)) if unit.trim().eq_ignore_ascii_case("bytes") => spec.trim(),
        _ => return Portion::Whole,
    };
    let Some((first, last)) = spec.split_once('-') else {
        return Portion::Whole;
    };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // More digits than fit are a number beyond any file, not nonsense.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            None => Portion::Whole,
            Some(0) => Portion::Beyond,
            Some(_) if size == 0 => Portion::Whole,
            Some(n) => Portion::Part(size.saturating_sub(n), size),
        },
        (first, last) => match (number(first), last, number(last)) {
            (Some(first), _, Some(last)) if last < first => Portion::Whole,
            (Some(first), "", _) if first < size => Portion::Part(first, size),
            (Some(first), _, Some(last)) if first < size => {
                Portion::Part(first, size.min(last.saturating_add(1)))
            }
            (Some(_), "", _) | (Some(_), _, Some(_)) => Portion::Beyond,
            _ => Portion::Whole,
        },
    }
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
            ("bytes=0-0", Portion::Part(0, 1)),
            ("bytes=0-", Portion::Part(0, 100)),
            ("BYTES = 5 - 9", Portion::Part(5, 10)),
            ("bytes=90-1000", Portion::Part(90, 100)),
            ("bytes=99-99", Portion::Part(99, 100)),
            ("bytes=100-", Portion::Beyond),
            ("bytes=100-200", Portion::Beyond),
            ("bytes=-1", Portion::Part(99, 100)),
            ("bytes=-1000", Portion::Part(0, 100)),
            ("bytes=-0", Portion::Beyond),
            ("bytes=99999999999999999999999-", Portion::Beyond),
            ("bytes=0-99999999999999999999999", Portion::Part(0, 100)),
            ("bytes=9-5", Portion::Whole),
            ("bytes=0-1,5-6", Portion::Whole),
            ("bytes=", Portion::Whole),
            ("bytes=-", Portion::Whole),
            ("bytes=a-b", Portion::Whole),
            ("bytes=+1-2", Portion::Whole),
            ("bytes=1--2", Portion::Whole),
            ("lines=1-2", Portion::Whole),
            ("", Portion::Whole),
        ] {
            assert_eq!(asked(range, 100), expected, "{range:?}");
        }
        assert_eq!(asked("bytes=0-", 0), Portion::Beyond);
        assert_eq!(asked("bytes=-5", 0), Portion::Whole);
    }

    #[test]
    fn conditions_come_first() {
        let with = |name: header::HeaderName, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, "bytes=1-2".parse().unwrap());
            headers.insert(name, value.parse().unwrap());
            portion(&headers, "\"tag\"", 10)
        };
        assert_eq!(with(header::IF_RANGE, "\"tag\""), Portion::Part(1, 3));
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
        assert_eq!(with(header::IF_NONE_MATCH, "\"a\""), Portion::Part(1, 3));
    }

    proptest! {
        #[test]
        fn a_part_is_what_slicing_gives(size in 0_u64..50, first in 0_u64..60, last in 0_u64..60, suffix in 0_u64..60) {
            let bytes: Vec<u64> = (0..size).collect();
            let slice = |portion: Portion| match portion {
                Portion::Part(from, to) => Some(bytes[from as usize..to as usize].to_vec()),
                Portion::Whole => Some(bytes.clone()),
                Portion::Beyond | Portion::NotModified => None,
            };
            let expected: Vec<u64> = bytes.iter().copied().filter(|n| (first..=last).contains(n)).collect();
            let expected = if last < first { Some(bytes.clone()) } else { Some(expected).filter(|e| !e.is_empty()) };
            prop_assert_eq!(slice(asked(&format!("bytes={first}-{last}"), size)), expected);
            let open: Vec<u64> = bytes.iter().copied().filter(|n| *n >= first).collect();
            prop_assert_eq!(slice(asked(&format!("bytes={first}-"), size)), Some(open).filter(|e| !e.is_empty()));
            let tail: Vec<u64> = bytes.iter().copied().filter(|n| *n + suffix >= size).collect();
            prop_assert_eq!(slice(asked(&format!("bytes=-{suffix}"), size)), Some(tail).filter(|_| suffix > 0));
        }

        #[test]
        fn no_header_makes_it_panic_or_leave_the_file(range in "[ -~]{0,40}", size in any::<u64>()) {
            if let Portion::Part(from, to) = asked(&range, size) {
                prop_assert!(from < to && to <= size);
            }
        }
    }
}
