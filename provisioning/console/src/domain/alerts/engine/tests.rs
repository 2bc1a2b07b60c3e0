use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn bad() -> Seen {
    Seen::Bad {
        since: None,
        value: Some(1.0),
    }
}

#[test]
fn it_is_raised_after_so_long_and_over_after_so_long() {
    let mut track = Track::Quiet;
    let mut log = Vec::new();
    let looks = [
        (0, bad()),
        (30, Seen::Between),
        (60, bad()),
        (90, Seen::Nothing),
        (120, bad()),
        (150, Seen::Between),
        (180, Seen::Good),
        (200, bad()),
        (260, Seen::Good),
        (300, Seen::Nothing),
        (320, Seen::Good),
    ];
    for (second, seen) in looks {
        let (next, change) = step(track, seen, 60, at(second));
        track = next;
        if let Some(change) = change {
            log.push((second, change));
        }
    }
    assert_eq!(
        log,
        [
            (
                120,
                Change::Raised {
                    began: at(60),
                    value: Some(1.0)
                }
            ),
            (320, Change::Cleared)
        ]
    );
    assert_eq!(track, Track::Quiet);
}

#[test]
fn what_began_before_the_look_counts_from_its_beginning() {
    let since = Seen::Bad {
        since: Some(at(-100)),
        value: None,
    };
    let (track, change) = step(Track::Quiet, since, 60, at(0));
    assert_eq!(
        (track, change),
        (
            Track::Raised,
            Some(Change::Raised {
                began: at(-100),
                value: None
            })
        )
    );
    let ahead = Seen::Bad {
        since: Some(at(100)),
        value: None,
    };
    assert_eq!(
        step(Track::Quiet, ahead, 60, at(0)).0,
        Track::Pending { since: at(0) }
    );
}

#[test]
fn a_school_is_lost_when_enough_went_together() {
    let gone = |second| Presence::Gone { since: at(second) };
    let there = Presence::There;
    let lost = |of: &[Presence]| matches!(school_lost(50, 2, of), Seen::Bad { .. });
    assert!(lost(&[gone(0), gone(60), there]));
    assert!(!lost(&[gone(0), there, there]));
    assert!(!lost(&[gone(0), there]), "one of two is one board");
    assert!(lost(&[gone(0)]), "a teaching point has one board");
    assert!(!lost(&[gone(0), gone(4_000), there, there]), "not together");
    assert!(
        lost(&[gone(-90_000), gone(0), gone(10)]),
        "one that was away for a day proves nothing"
    );
    assert_eq!(school_lost(50, 2, &[Presence::Elsewhere]), Seen::Nothing);
    assert_eq!(school_lost(50, 2, &[there]), Seen::Good);
}

#[test]
fn events_count_within_their_stretch() {
    let times: VecDeque<_> = [at(0), at(50), at(100)].into();
    assert!(
        matches!(events(3, 200, &times, at(110)), Seen::Bad { since: Some(since), .. } if since == at(100))
    );
    assert_eq!(events(3, 100, &times, at(110)), Seen::Good);
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        3 => Just(Seen::Bad { since: None, value: None }),
        1 => Just(Seen::Between),
        3 => Just(Seen::Good),
        1 => Just(Seen::Nothing),
    ]
}

proptest! {
    /// Raised and over take turns; raised only after a stretch of nothing but bad looks that is long enough; over only after a
    /// stretch of nothing but good ones.
    #[test]
    fn alerts_take_turns_and_never_come_early(
        looks in prop::collection::vec((1i64..90, seen()), 1..200),
        for_s in prop_oneof![Just(0u32), 1u32..300],
    ) {
        let mut track = Track::Quiet;
        let mut open = false;
        let mut now = 0;
        let (mut bad_since, mut good_since) = (None, None);
        for (gap, seen) in looks {
            now += gap;
            match seen {
                Seen::Bad { .. } => { bad_since.get_or_insert(now); good_since = None; }
                Seen::Good => { good_since.get_or_insert(now); bad_since = None; }
                Seen::Between => { bad_since = None; good_since = None; }
                Seen::Nothing => {}
            }
            let (next, change) = step(track, seen, for_s, at(now));
            track = next;
            match change {
                Some(Change::Raised { began, .. }) => {
                    prop_assert!(!open);
                    open = true;
                    let since = bad_since.unwrap();
                    prop_assert!(now - since >= i64::from(for_s));
                    prop_assert!(began >= at(since));
                }
                Some(Change::Cleared) => {
                    prop_assert!(open);
                    open = false;
                    prop_assert!(now - good_since.unwrap() >= i64::from(for_s));
                }
                None => {}
            }
            prop_assert_eq!(open, matches!(track, Track::Raised | Track::Easing { .. }));
        }
    }

    /// A value that stays between the two levels never changes whether an alert is open.
    #[test]
    fn between_the_levels_nothing_changes(raised: bool, values in prop::collection::vec(75.01f64..84.99, 1..50)) {
        let mut track = if raised { Track::Raised } else { Track::Quiet };
        for (n, value) in values.into_iter().enumerate() {
            let (next, change) = step(track, level(Side::Above, 85.0, 75.0, Some(value)), 0, at(n as i64));
            prop_assert_eq!(change, None);
            track = next;
        }
        prop_assert_eq!(track == Track::Raised, raised);
    }

    /// However the boards of a school are, looking twice says the same, and order does not matter.
    #[test]
    fn the_order_of_boards_does_not_matter(gone in prop::collection::vec(prop::option::of(0i64..2_000), 1..30), percent in 1u8..=100) {
        let of: Vec<Presence> = gone.iter().map(|gone| gone.map_or(Presence::There, |s| Presence::Gone { since: at(s) })).collect();
        let mut turned = of.clone();
        turned.reverse();
        prop_assert_eq!(school_lost(percent, 2, &of), school_lost(percent, 2, &turned));
    }
}
