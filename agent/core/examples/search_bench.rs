//! How long a question takes, and what the index costs: 20,000 lessons, every beginning of the 200 questions of the fixture, as
//! they are typed. Run by `cargo xtask bench search`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench measures time and prints it"
)]

#[path = "../tests/search/catalogue.rs"]
#[allow(dead_code, reason = "the test reads more of it")]
mod catalogue;

use std::time::Duration;

use agent_core::search::Index;
use catalogue::{Lesson, index, lessons, queries, standing};

/// Hits of a page.
const HITS: usize = 50;
/// How much slower than this machine's core a core of a board is taken to be, and what a question may take there.
const SLOWER: u32 = 8;
const BUDGET_MS: f64 = 150.0;
/// What somebody types to make it slow.
const HOSTILE: [&str; 6] = [
    "s",
    "x x x x x x x x",
    "shushushushushushushushushushushushushushushushushushushushushu",
    "xiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiaoxiao zzz",
    "sxsxsxsxsxsxsxsxsxsxsxsxsxsxsxsxsx3sxsxsxsxsxsxsxsxsxsxsxsxsxsxsxs",
    "数学数学数学数学数学数学数学数学三年级三年级三年级三年级三年级",
];

fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: usize| args.next().and_then(|arg| arg.parse().ok()).unwrap_or(default);
    let (count, rounds) = (number(20_000), number(5));
    let lessons = lessons(count);
    let mut built: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = processor();
            let made = index(&lessons);
            let took = processor().saturating_sub(start);
            drop(made);
            took
        })
        .collect();
    built.sort_unstable();
    let before = resident_kib();
    let index = index(&lessons);
    let after = resident_kib();
    println!("search, {count} lessons, one core, release build, processor time:");
    println!(
        "  index             {:6.1} MiB by its own count, {:.1} MiB more resident (budget 8)",
        index.bytes() as f64 / f64::from(1 << 20),
        after.saturating_sub(before) as f64 / 1024.0
    );
    println!(
        "  made in           {:6.1} ms median of {rounds}, {:.0} ms on a core {SLOWER} times slower",
        ms(built[built.len() / 2]),
        ms(built[built.len() / 2] * SLOWER)
    );

    let typed = beginnings();
    // Of each question the middle of its rounds: other programs' moments are not its own.
    let mut took: Vec<Duration> = typed
        .iter()
        .map(|question| {
            let mut rounds: Vec<_> = (0..rounds).map(|_| ask(&index, &lessons, question)).collect();
            rounds.sort_unstable();
            rounds[rounds.len() / 2]
        })
        .collect();
    took.sort_unstable();
    let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
    println!(
        "  {} questions, each as far as it was typed, the middle of {rounds} rounds:",
        took.len()
    );
    for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("slowest", 1.0)] {
        let here = at(share);
        println!(
            "    {name:<8} {:8.2} ms here {:8.1} ms on a core {SLOWER} times slower (budget {BUDGET_MS:.0})",
            ms(here),
            ms(here * SLOWER)
        );
    }
    println!("  typed to make it slow, the slowest of {rounds}:");
    for question in HOSTILE {
        let slowest = (0..rounds)
            .map(|_| ask(&index, &lessons, question))
            .max()
            .unwrap_or_default();
        println!(
            "    {:8.2} ms here {:8.1} ms there  {}…",
            ms(slowest),
            ms(slowest * SLOWER),
            question.chars().take(24).collect::<String>()
        );
    }
    let queries = queries();
    let meant = queries
        .iter()
        .filter(|query| {
            let found = index.search(query.typed, 3, |doc| standing(&lessons, doc));
            let mut titles = found
                .hits
                .iter()
                .map(|hit| lessons[hit.doc as usize].title.as_str());
            titles.any(|title| query.titles.contains(&title))
        })
        .count();
    println!(
        "  what is meant is among the first three for {meant} of {} questions, {:.1} %",
        queries.len(),
        meant as f64 * 100.0 / queries.len() as f64
    );
}

/// Every question as it grows on the page, character by character.
fn beginnings() -> Vec<String> {
    let of = |query: catalogue::Query| {
        let chars: Vec<char> = query.typed.chars().collect();
        (1..=chars.len()).map(move |count| chars[..count].iter().collect())
    };
    queries().into_iter().flat_map(of).collect()
}

fn ask(index: &Index, lessons: &[Lesson], question: &str) -> Duration {
    let start = processor();
    let found = index.search(question, HITS, |doc| standing(lessons, doc));
    let took = processor().saturating_sub(start);
    std::hint::black_box(found);
    took
}

/// Processor time of this thread: what other programs take of the core does not count.
fn processor() -> Duration {
    // The kernel brings the figure up to date when the thread is scheduled.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split_whitespace().next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
