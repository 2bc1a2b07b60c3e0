//! Looks for USB disks while one could be of use, and does what they offer.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;

use super::{Desk, Voice, denied};
use crate::{
    io::usb::{Board, Done, Seen, UsbError, Visit, disks, look},
    shelf::{ClassroomChoice, Denied, Said, Typed, WayNote},
};

const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Until the desk is closed. What somebody chose on the page comes by `choices`.
pub(super) async fn look_after(desk: &Desk, mut choices: mpsc::Receiver<(String, Typed)>) {
    let board = Board {
        config: desk.ways.config.clone(),
        hardware: desk.ways.hardware.clone(),
        floor: desk.ways.floor.clone(),
        by_hand: false,
    };
    let mut seen: HashMap<PathBuf, Option<Seen>> = HashMap::new();
    let mut open = true;
    loop {
        let there = found(&board).await;
        seen.retain(|folder, _| there.contains(folder));
        if there.is_empty() {
            desk.note(Voice::Usb, None).await;
            desk.show(|page| page.classrooms.clear()).await;
        }
        for folder in there {
            let now = stamp(&folder).await;
            if seen.get(&folder) == Some(&now) {
                continue;
            }
            let visited = visit(&board, &folder, None).await;
            // Our own writing is no reason to look again.
            seen.insert(folder.clone(), stamp(&folder).await);
            let _ = tell(desk, visited).await;
        }
        let choice = tokio::select! {
            choice = choices.recv(), if open => choice,
            () = tokio::time::sleep(LOOK_EVERY) => continue,
        };
        let Some((classroom, typed)) = choice else {
            open = false;
            continue;
        };
        let answer = choose(desk, &board, &classroom).await;
        let took = answer.is_ok();
        let _ = typed.answer.send(answer);
        if took {
            desk.changed().await;
        }
    }
}

async fn choose(desk: &Desk, board: &Board, classroom: &str) -> Result<Said, Denied> {
    let mut failed = None;
    for folder in found(board).await {
        match visit(board, &folder, Some(classroom)).await {
            Ok(visit) => {
                if let Some(said) = visit
                    .done
                    .iter()
                    .rev()
                    .find(|done| is_change(done))
                    .map(Done::said)
                {
                    return Ok(said);
                }
                desk.show(|page| page.classrooms = visit.offered).await;
            }
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.map_or_else(
        || denied("no_disk"),
        |error| Denied {
            said: error.said(),
            classrooms: offered(&error),
        },
    ))
}

fn offered(error: &UsbError) -> Vec<ClassroomChoice> {
    match error {
        UsbError::NoSuchClassroom { offered, .. } => offered.clone(),
        _ => Vec::new(),
    }
}

/// Whether the device is somebody else from now on.
const fn is_change(done: &Done) -> bool {
    matches!(done, Done::Unlocked(_) | Done::Enrolled(_) | Done::Provisional(_))
}

async fn tell(desk: &Desk, visited: Result<Visit, UsbError>) {
    match visited {
        Ok(visit) => {
            for done in &visit.done {
                tracing::info!("USB disk: {}", done.said().en);
            }
            let said = visit.done.last().map(Done::said);
            let note = said.map(|said| WayNote { problem: false, said });
            desk.note(Voice::Usb, note).await;
            desk.show(|page| page.classrooms = visit.offered).await;
            if visit.done.iter().any(is_change) {
                desk.changed().await;
            }
        }
        Err(error) => {
            tracing::warn!(%error, "the USB disk was of no use");
            let said = error.said();
            desk.note(Voice::Usb, Some(WayNote { problem: true, said })).await;
            desk.show(|page| page.classrooms = offered(&error)).await;
        }
    }
}

async fn found(board: &Board) -> Vec<PathBuf> {
    let config = board.config.clone();
    tokio::task::spawn_blocking(move || disks(&config))
        .await
        .unwrap_or_default()
}

async fn stamp(folder: &Path) -> Option<Seen> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || look(&folder))
        .await
        .ok()
        .flatten()
}

async fn visit(board: &Board, folder: &Path, choice: Option<&str>) -> Result<Visit, UsbError> {
    let (board, folder, choice) = (board.clone(), folder.to_owned(), choice.map(str::to_owned));
    tokio::task::spawn_blocking(move || board.visit(&folder, choice.as_deref()))
        .await
        .map_err(|error| UsbError::Board(error.into()))
        .flatten()
}
