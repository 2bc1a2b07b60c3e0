//! What a rule would have done: looks of the past, one after the other, through the same engine.

use jiff::{SignedDuration, Timestamp};

use super::engine::{Change, Seen, Track, step};

/// One time that a rule would have been raised, and when it would have been over.
pub type Hit = (Timestamp, Option<Timestamp>);

/// `looks` in order of time; what was seen holds until the next look, and the last one until `to`.
pub fn replay(looks: &[(Timestamp, Seen)], for_s: u32, to: Timestamp) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut track = Track::Quiet;
    let mut last = Seen::Nothing;
    let mut take = |track: &mut Track, seen, at| {
        let (next, change) = step(*track, seen, for_s, at);
        *track = next;
        match change {
            Some(Change::Raised { .. }) => hits.push((at, None)),
            Some(Change::Cleared) => {
                if let Some(hit) = hits.last_mut() {
                    hit.1 = Some(at);
                }
            }
            None => {}
        }
    };
    let end = (to, Seen::Nothing);
    for (at, seen) in looks.iter().chain([&end]) {
        if let Track::Pending { since } | Track::Easing { since } = track {
            let due = since
                .checked_add(SignedDuration::from_secs(i64::from(for_s)))
                .unwrap_or(since);
            if due <= *at {
                take(&mut track, last, due);
            }
        }
        take(&mut track, *seen, *at);
        last = *seen;
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    #[test]
    fn it_is_raised_between_two_looks_if_that_is_when_it_was_long_enough() {
        let bad = Seen::Bad {
            since: None,
            value: None,
        };
        let looks = [
            (at(0), bad),
            (at(500), Seen::Good),
            (at(1_000), bad),
            (at(1_020), Seen::Good),
        ];
        assert_eq!(replay(&looks, 60, at(2_000)), [(at(60), Some(at(560)))]);
        assert_eq!(replay(&looks[..1], 60, at(2_000)), [(at(60), None)]);
        assert!(replay(&looks[..1], 60, at(30)).is_empty());
        assert!(replay(&[], 60, at(30)).is_empty());
    }
}
