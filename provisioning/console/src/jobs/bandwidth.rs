//! Orders tests of schools' lines off hours, few at a time, and decides those that are over.

use std::time::Duration;

use anyhow::Context;
use contract::{
    bandwidth::BandwidthTest,
    command::{CommandBody, CommandEnvelope},
    id::CommandId,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    api::bandwidth::Settings,
    app::{AppState, Noun},
    db::{Db, bandwidth::NewTest},
    domain::bandwidth::schedule::{self, Start},
};

/// Looks this often whether a test is over.
const EVERY: Duration = Duration::from_secs(2);
/// Of these looks, every so many plans new tests.
const PLAN_EVERY: u32 = 15;
/// Schools looked at in one round.
const LOOKED_AT: u32 = 50;
/// An order that comes later than this after its moment is not carried out.
const LATE: SignedDuration = SignedDuration::from_secs(20);
/// Who orders.
const BY: &str = "bandwidth schedule";

/// Orders and decides until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        // Orders are signed, and the hours are the wall clock's.
        let Ok(now) = app.clock.sign() else { continue };
        looks = (looks + 1) % PLAN_EVERY;
        let done = async {
            for school in app.db.bandwidth().decide_due(now).await? {
                app.changed(Noun::Tree, school.to_string());
            }
            if looks == 0 {
                plan(&app, now).await?;
            }
            anyhow::Ok(())
        };
        if let Err(error) = done.await {
            tracing::error!(error = %format!("{error:#}"), "lines could not be tested or decided; trying again");
        }
    }
}

/// One round of planning; answers how many tests were ordered.
///
/// # Errors
/// The database's.
pub async fn plan(app: &AppState, now: Timestamp) -> anyhow::Result<usize> {
    let bandwidth = app.db.bandwidth();
    let settings = bandwidth.settings().await?;
    if settings.uplink_kbps.is_none() {
        return Ok(0);
    }
    let running = bandwidth.running(now).await?;
    if running.len() >= usize::from(settings.schools_at_once) {
        return Ok(0);
    }
    // Nobody is due who was tested within the last day.
    let before = now.checked_sub(SignedDuration::from_hours(20))?;
    let candidates = bandwidth.candidates(before, now, LOOKED_AT).await?;
    let starts = schedule::plan(now, &settings, &candidates, &running);
    for start in &starts {
        order(&app.db, start, &settings, false, BY, now).await?;
    }
    if !starts.is_empty() {
        // Wakes the publisher, too.
        app.changed(Noun::Tree, None);
    }
    Ok(starts.len())
}

/// Orders one test of the boards that are named in it; answers its id.
///
/// # Errors
/// The database's; [`crate::db::DbError::Conflict`] while another test of the school runs.
pub async fn order(
    db: &Db,
    start: &Start,
    settings: &Settings,
    forced: bool,
    by: &str,
    now: Timestamp,
) -> anyhow::Result<String> {
    let id = format!("bw-{}", uuid::Uuid::now_v7().simple());
    let test = BandwidthTest {
        test: id.clone(),
        starts_at: start.starts_at,
        seconds: settings.seconds,
        streams: settings.streams,
        down: true,
        up: true,
        forced,
    };
    let expires_at = start.starts_at.checked_add(LATE)?;
    let mut orders = Vec::with_capacity(start.boards.len());
    for board in &start.boards {
        orders.push(CommandEnvelope {
            id: CommandId::new(format!("c-{}", uuid::Uuid::now_v7().simple())).context("a command's id")?,
            device_id: board.id.parse().context("Failed to read a device's id")?,
            issued_at: now,
            expires_at,
            body: CommandBody::TestBandwidth(test.clone()),
        });
    }
    let new = NewTest {
        id: &id,
        start,
        forced,
        seconds: settings.seconds,
        streams: settings.streams,
        orders: &orders,
    };
    db.bandwidth().order(&new, by, now).await?;
    tracing::info!(
        test = id,
        school = start.school,
        boards = start.boards.len(),
        cause = start.cause.as_str(),
        "ordered a test of a line"
    );
    Ok(id)
}
