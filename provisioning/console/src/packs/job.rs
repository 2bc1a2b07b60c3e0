//! Makes the packs that were asked for, one after the other, and removes them when their time is over.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use contract::id::PackId;
use jiff::Timestamp;
use tokio::{
    runtime::Handle,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    PackFailure,
    build::{Order, build, check_room, needed_bytes},
    iso,
    sink::{Folder, Zip},
};
use crate::{
    api::packs::PackFormat,
    app::AppState,
    db::{packs::Due, scope::Scope},
};
use contract::pack::FAT32_PART_BYTES;

/// How long a pack can be downloaded.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most bytes of packs that lie ready; more are refused until old ones go.
pub const MOST_BYTES: u64 = 200 << 30;

const EVERY: Duration = Duration::from_secs(1);
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Where packs lie until they are removed.
pub fn folder(data: &Path) -> PathBuf {
    data.join("packs")
}

/// The file that is downloaded.
pub fn file(data: &Path, id: &PackId, format: PackFormat) -> PathBuf {
    folder(data).join(format!("{id}.{}", format.as_str()))
}

/// Makes packs until told to stop.
pub async fn run(app: AppState, stopping: CancellationToken) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut restarted = true;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = clock.tick() => {}
        }
        if let Err(error) = round(&app, &stopping, restarted).await {
            tracing::error!(error = %error, "packs could not be looked after");
            continue;
        }
        restarted = false;
    }
}

/// One round: what is over goes, the next is made.
///
/// # Errors
/// The database's.
pub async fn round(app: &AppState, stopping: &CancellationToken, restarted: bool) -> crate::db::DbResult<()> {
    let packs = app.db.packs();
    for id in packs.expire(Timestamp::now()).await? {
        for format in [PackFormat::Zip, PackFormat::Iso] {
            let _ = tokio::fs::remove_file(file(&app.config.data, &id, format)).await;
        }
    }
    if !restarted && !packs.any_queued().await? {
        return Ok(());
    }
    let Some(due) = packs.take_next(restarted).await? else {
        return Ok(());
    };
    let id = due.id.clone();
    let made = make(app, due, stopping).await;
    if stopping.is_cancelled() && made.is_err() {
        // Begun anew at the next start.
        return Ok(());
    }
    match made {
        Ok(bytes) => {
            tracing::info!(pack.id = %id, bytes, "pack is ready");
            packs.made(&id, Ok(bytes)).await
        }
        Err(error) => {
            tracing::warn!(pack.id = %id, error = %error, "pack could not be made");
            packs.made(&id, Err(&error.to_string())).await
        }
    }
}

async fn make(app: &AppState, due: Due, stopping: &CancellationToken) -> Result<u64, PackFailure> {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let id = due.id.clone();
    let work = {
        let (app, done, stop, runtime) = (
            app.clone(),
            Arc::clone(&done),
            Arc::clone(&stop),
            Handle::current(),
        );
        spawn_blocking(move || runtime.block_on(write(&app, due, &done, &stop)))
    };
    tokio::pin!(work);
    loop {
        tokio::select! {
            made = &mut work => return made.unwrap_or(Err(PackFailure::Stopped)),
            () = tokio::time::sleep(TELL_EVERY) => {
                stop.store(stopping.is_cancelled(), Ordering::Relaxed);
                if let Err(error) = app.db.packs().progress(&id, done.load(Ordering::Relaxed)).await {
                    tracing::debug!(error = %error, "progress of a pack was not noted");
                }
            }
        }
    }
}

async fn write(app: &AppState, due: Due, done: &AtomicU64, stop: &AtomicBool) -> Result<u64, PackFailure> {
    let data = &app.config.data;
    let root = folder(data);
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |reason| PackFailure::Write { path, reason }
    };
    std::fs::create_dir_all(&root).map_err(failed(&root))?;
    let held = app.db.packs().file_bytes().await.unwrap_or(0);
    let needed = needed_bytes(&due.contents);
    if held + needed > MOST_BYTES {
        return Err(PackFailure::NoRoom {
            path: root,
            needed,
            free: MOST_BYTES.saturating_sub(held),
        });
    }
    app.objects.check_room(needed)?;
    let county = app
        .db
        .batches()
        .county_name(&Scope::everything())
        .await
        .unwrap_or_default();
    let now = app.clock.sign().map_err(|_| PackFailure::Clock)?;
    let order = Order {
        id: due.id.clone(),
        title: due.title,
        county,
        now,
        part_bytes: Some(FAT32_PART_BYTES),
        volume: None,
        contents: due.contents,
        trust: super::trust(&app.db, &app.keys).await,
    };
    let tell = |progress: super::build::Progress| {
        done.store(progress.done, Ordering::Relaxed);
        !stop.load(Ordering::Relaxed)
    };
    let out = file(data, &due.id, due.format);
    // Whatever is not finished vanishes.
    let staging = tempfile::Builder::new()
        .prefix(".making-")
        .tempdir_in(&root)
        .map_err(failed(&root))?;
    let made = staging.path().join("made");
    match due.format {
        PackFormat::Zip => {
            let mut zip = Zip::create(&made).map_err(failed(&made))?;
            build(&app.objects, &app.keys, order, &mut zip, tell).await?;
            zip.finish().map_err(failed(&made))?;
        }
        PackFormat::Iso => {
            if !iso::is_possible() {
                return Err(PackFailure::NoXorriso);
            }
            let disc = staging.path().join("disc");
            std::fs::create_dir(&disc).map_err(failed(&disc))?;
            check_room(&disc, &order.contents)?;
            build(&app.objects, &app.keys, order, &mut Folder::new(&disc), tell).await?;
            iso::make(&disc, &made, due.id.as_str())?;
        }
    }
    let bytes = std::fs::metadata(&made).map_err(failed(&made))?.len();
    std::fs::rename(&made, &out).map_err(failed(&out))?;
    Ok(bytes)
}
