//! Several boards on loopback, over real TLS, with one console that counts what crosses the line.

mod hostile;
mod kit;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use agent_core::peers::WanPolicy;
use kit::{School, board};

use crate::store::tests::kit as lessons;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_school_takes_a_lesson_over_the_line_once() {
    let mut school = School::of(6, Some(20_000)).await;
    let lesson = kit::lesson(&[lessons::noise(1, 8 * 1024 * 1024), lessons::noise(2, 70_000)]);
    school.console.add(&lesson);
    school.all_fetch(&lesson).await;
    let content = lesson.manifest.stored_bytes() as f64;
    let copies = school.console.sent.load(Ordering::SeqCst) as f64 / content;
    // Alone, each for itself, it would be six; a machine that is busy otherwise makes boards take over from each other.
    assert!(copies < 1.5, "{copies} copies crossed the line");
    let traffic: Vec<_> = school
        .boards
        .iter()
        .map(|board| board.fetcher.take_traffic())
        .collect();
    let lan_in: u64 = traffic.iter().map(|t| t.lan_in).sum();
    let lan_out: u64 = traffic.iter().map(|t| t.lan_out).sum();
    assert!(lan_in as f64 > 4.8 * content, "{traffic:?}");
    assert!(lan_out >= lan_in, "{traffic:?}");
    assert!(traffic.iter().all(|t| t.peers == 5), "{traffic:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_board_that_goes_away_and_comes_back_costs_little() {
    let mut school = School::of(4, Some(32_000)).await;
    let lesson = kit::lesson(&[lessons::noise(1, 8 * 1024 * 1024)]);
    school.console.add(&lesson);
    for board in &school.boards {
        board.begin(&lesson).await;
    }
    let half = lesson.manifest.stored_bytes() as usize / 2;
    kit::until("half of it is here", || {
        school.console.sent.load(Ordering::SeqCst) > half
    })
    .await;
    // As if it lost power: nothing is said, the store is what the disk has.
    let lost = school.boards.remove(1);
    let id = lost.id.clone();
    let folder = lost.stop().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let back = board(&school, &id, folder).await;
    school.boards.push(back);
    school.tell_plan();
    school.boards[3].begin(&lesson).await;
    school.all_have(&lesson).await;
    let copies = school.console.sent.load(Ordering::SeqCst) as f64 / lesson.manifest.stored_bytes() as f64;
    assert!(copies < 2.0, "{copies} copies crossed the line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_plan_nobody_is_a_peer_and_everybody_fetches_alone() {
    let mut school = School::without_plan(2).await;
    let lesson = kit::lesson(&[lessons::noise(1, 300_000)]);
    school.console.add(&lesson);
    school.all_fetch(&lesson).await;
    assert!(school.console.sent.load(Ordering::SeqCst) as u64 >= 2 * lesson.manifest.stored_bytes());
    assert!(
        school
            .boards
            .iter()
            .all(|board| board.fetcher.take_traffic().peers == 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_comes_to_one_board_from_a_disk_reaches_the_others_without_the_line() {
    // Nothing may be taken of the line: only the disk remains.
    let mut school = School::of(3, None).await;
    let nothing = WanPolicy {
        allowed: false,
        ..WanPolicy::default()
    };
    for board in &school.boards {
        board.fetcher.policy(nothing, false);
    }
    let lesson = Arc::new(kit::lesson(&[
        lessons::noise(1, 2 * 1024 * 1024),
        lessons::noise(2, 5000),
    ]));
    school.console.add(&lesson);
    for board in &school.boards[1..] {
        board.begin(&lesson).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (store, imported) = (school.boards[0].store.clone(), Arc::clone(&lesson));
    tokio::task::spawn_blocking(move || lessons::store_all(&store, &imported).unwrap())
        .await
        .unwrap();
    for board in &mut school.boards[1..] {
        board.has(&lesson).await;
    }
    assert_eq!(school.console.sent.load(Ordering::SeqCst), 0);
}
