//! 200 questions to a catalogue of 20,000 lessons: how often what is meant is among the first three.

#[path = "search/catalogue.rs"]
mod catalogue;

use std::collections::BTreeMap;

use catalogue::{index, lessons, queries, standing};

/// Lessons of the catalogue.
const LESSONS: usize = 20_000;
/// At least so many of a hundred questions find what is meant among the first three.
const FLOOR: usize = 95;
/// The index takes at most this.
const MAX_BYTES: usize = 8 * 1024 * 1024;

#[test]
fn what_is_meant_is_among_the_first_three() {
    let lessons = lessons(LESSONS);
    let index = index(&lessons);
    let (mib, count) = (index.bytes() as f64 / f64::from(1 << 20), index.len());
    println!("{count} lessons, index of {mib:.1} MiB");
    assert!(index.bytes() <= MAX_BYTES, "{mib:.1} MiB");
    let queries = queries();
    assert!(queries.len() >= 200, "{}", queries.len());
    let mut kinds: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut hits = 0;
    for query in &queries {
        for title in &query.titles {
            assert!(
                lessons.iter().any(|lesson| lesson.title == *title),
                "{title} is in no catalogue"
            );
        }
        let found = index.search(query.typed, 3, |doc| standing(&lessons, doc));
        let titles: Vec<&str> = found
            .hits
            .iter()
            .map(|hit| lessons[hit.doc as usize].title.as_str())
            .collect();
        let hit = titles.iter().any(|title| query.titles.contains(title));
        let kind = kinds.entry(query.kind).or_default();
        kind.0 += usize::from(hit);
        kind.1 += 1;
        hits += usize::from(hit);
        if !hit {
            println!(
                "missed {} → {}: {titles:?} of {}",
                query.typed, query.titles[0], found.total
            );
        }
    }
    for (kind, (hits, of)) in &kinds {
        println!("  {kind} {hits:3} of {of}");
    }
    let of = queries.len();
    println!("top 3: {hits} of {of}, {:.1} %", hits as f64 * 100.0 / of as f64);
    assert!(hits * 100 >= of * FLOOR, "{hits} of {of}");
}
