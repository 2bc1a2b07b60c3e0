//! What a school's boards do together, in virtual time: bytes over the line, time of the last board, whoever fails or lies.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and figures are shown"
)]

mod sim;

use rand::{SeedableRng, rngs::SmallRng};
use sim::{Kind, Outcome, S, School, World, chunks, spread};

/// 40 MB: a film, a few documents, an exercise of small files.
fn content(seed: u64) -> Vec<Vec<u32>> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut files = vec![
        chunks(28_000_000, 128 * 1024, &mut rng),
        chunks(9_000_000, 128 * 1024, &mut rng),
        chunks(1_800_000, 128 * 1024, &mut rng),
    ];
    files.extend((0..30).map(|_| chunks(40_000, 128 * 1024, &mut rng)));
    files
}

/// Seeds of each scenario are multiplied by ten with `SWARM_MANY=1 cargo test -p agent-core --test swarm`.
const TIMES: u64 = if option_env!("SWARM_MANY").is_some() {
    10
} else {
    1
};

fn runs(name: &str, seeds: std::ops::Range<u64>, school: impl Fn(u64) -> School) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> = (seeds.start..seeds.end * TIMES)
        .map(|seed| {
            let school = school(seed);
            let honest = school.kinds.iter().filter(|kind| **kind == Kind::Honest).count();
            let outcome = World::run(school, seed);
            assert_eq!(
                outcome.finished, honest,
                "{name}, seed {seed}: not all boards finished: {outcome:?}"
            );
            outcome
        })
        .collect();
    println!("{name}: {} runs", outcomes.len());
    println!(
        "  copies over the line {}",
        spread(outcomes.iter().map(|o| o.copies).collect())
    );
    println!(
        "  time ÷ ideal         {}",
        spread(outcomes.iter().map(|o| o.time).collect())
    );
    println!(
        "  LAN bytes ÷ needed   {}",
        spread(outcomes.iter().map(|o| o.lan).collect())
    );
    println!(
        "  words                {}",
        spread(outcomes.iter().map(|o| o.words as f64).collect())
    );
    outcomes
}

fn assert_within(name: &str, outcomes: &[Outcome], copies: f64, time: f64) {
    for (seed, outcome) in outcomes.iter().enumerate() {
        assert!(
            outcome.copies <= copies,
            "{name}, seed {seed}: copies above {copies}: {outcome:?}"
        );
        assert!(
            outcome.time <= time,
            "{name}, seed {seed}: time above {time}: {outcome:?}"
        );
    }
}

#[test]
fn eight_boards_share_one_copy() {
    let outcomes = runs("8 boards", 0..25, |seed| {
        School::new(8, 20.0, 1000.0, content(seed))
    });
    assert_within("8 boards", &outcomes, 1.005, 1.02);
}

#[test]
fn forty_boards_share_one_copy_through_slow_ports() {
    let outcomes = runs(
        "40 boards, 100 Mbit/s ports, assignments within 2 s",
        0..2,
        |seed| School {
            stagger: 2 * S,
            ..School::new(40, 20.0, 100.0, content(seed))
        },
    );
    assert_within("40 boards", &outcomes, 1.005, 1.04);
}

#[test]
fn slow_ports_and_a_staggered_start_cost_next_to_nothing() {
    let outcomes = runs(
        "8 boards, 100 Mbit/s ports, assignments within 2 s",
        0..25,
        |seed| School {
            stagger: 2 * S,
            ..School::new(8, 20.0, 100.0, content(seed))
        },
    );
    assert_within("staggered", &outcomes, 1.005, 1.02);
}

#[test]
fn an_unknown_line_is_filled_as_well() {
    let outcomes = runs("8 boards, 2 Mbit/s, rate unknown", 0..20, |seed| {
        let mut school = School::new(8, 2.0, 100.0, content(seed));
        school.policy.line_kbps = None;
        school
    });
    assert_within("slow line", &outcomes, 1.005, 1.02);
}

#[test]
fn boards_that_lose_power_cost_little() {
    let outcomes = runs("8 boards, 3 power cuts", 0..20, |seed| School {
        cuts: 3,
        cut_within: 14 * S,
        stagger: 2 * S,
        ..School::new(8, 20.0, 100.0, content(seed))
    });
    assert_within("power cuts", &outcomes, 1.06, 1.3);
    let outcomes = runs("40 boards, 12 power cuts", 0..2, |seed| School {
        cuts: 12,
        cut_within: 14 * S,
        ..School::new(40, 20.0, 100.0, content(seed))
    });
    assert_within("power cuts", &outcomes, 1.06, 1.3);
}

#[test]
fn hostile_boards_neither_stop_nor_slow_the_others_much() {
    for kind in [Kind::Wrong, Kind::Mute, Kind::Denies, Kind::Claims, Kind::Boasts] {
        for hostile in [1, 9] {
            let name = format!("10 boards, {hostile} hostile ({kind:?})");
            let outcomes = runs(&name, 0..5, |seed| {
                let mut school = School::new(10, 20.0, 100.0, content(seed));
                school.kinds[..hostile].fill(kind);
                school
            });
            assert_within(&name, &outcomes, 1.1, 1.35);
        }
    }
}

#[test]
fn every_kind_of_hostile_at_once() {
    let kinds = [Kind::Wrong, Kind::Mute, Kind::Denies, Kind::Claims, Kind::Boasts];
    let outcomes = runs("10 boards, 9 hostile of all kinds", 0..8, |seed| {
        let mut school = School::new(10, 20.0, 100.0, content(seed));
        for (n, kind) in kinds.iter().cycle().take(9).enumerate() {
            school.kinds[n] = *kind;
        }
        school
    });
    assert_within("all kinds", &outcomes, 1.1, 1.35);
}

#[test]
fn a_board_with_a_slow_way_to_the_console_does_not_hold_up_the_others() {
    for slow in 0..4 {
        let outcomes = runs("8 boards, one with 160 kbit/s to the console", 0..5, |seed| {
            let mut school = School::new(8, 20.0, 100.0, content(seed));
            school.slow.insert(slow, 0.16);
            school
        });
        assert_within("slow fetcher", &outcomes, 1.03, 1.05);
    }
}

#[test]
fn two_halves_find_together() {
    let outcomes = runs("8 boards in two halves for 5 s", 0..20, |seed| School {
        parted: Some((4, 5 * S)),
        ..School::new(8, 20.0, 100.0, content(seed))
    });
    assert_within("halves", &outcomes, 1.45, 1.45);
}

#[test]
fn what_a_board_has_crosses_no_line() {
    let outcomes = runs("8 boards, one has all", 0..20, |seed| School {
        complete: [3].into(),
        ..School::new(8, 20.0, 100.0, content(seed))
    });
    assert_within("one has all", &outcomes, 0.0, 0.5);
}

#[test]
fn what_the_console_does_not_have_is_given_up_by_all() {
    let outcomes = runs("8 boards, a file is missing", 0..10, |seed| School {
        missing: [2].into(),
        ..School::new(8, 20.0, 100.0, content(seed))
    });
    assert_within("missing", &outcomes, 1.005, 1.03);
    assert!(
        outcomes.iter().all(|outcome| outcome.gave_up == 8),
        "{outcomes:?}"
    );
}

#[test]
fn one_budget_is_kept_by_all_together() {
    for kbps in [500, 2000, 6000] {
        let name = format!("8 boards, {kbps} kbit/s of 20 Mbit/s");
        let outcomes = runs(&name, 0..6, |seed| {
            let mut school = School::new(8, 20.0, 100.0, vec![content(seed)[1].clone()]);
            school.policy.budget_kbps = Some(kbps);
            school.stagger = 2 * S;
            school
        });
        let ideal = 20_000.0 / f64::from(kbps);
        assert_within(&name, &outcomes, 1.005, ideal * 1.25);
        let peak = outcomes
            .iter()
            .map(|outcome| outcome.peak_kbps)
            .fold(0.0, f64::max);
        println!("  fastest second       {peak:.0} kbit/s");
        assert!(peak <= f64::from(kbps) * 1.1, "{name}: {peak} kbit/s");
    }
}
