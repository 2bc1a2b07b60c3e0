//! What somebody at the board took from a disk without its being assigned: kept, so that it stays and goes on coming.

use std::{io, path::Path};

use contract::{assignment::AssignedLesson, id::LessonId};

use crate::files;

/// Most lessons that are kept so.
const MOST: usize = 2_000;

fn file(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("state").join("own.json")
}

/// What was taken, in the order in which it was; nothing if that cannot be read: the lessons are then only kept as long as
/// there is room.
pub fn load(data_dir: &Path) -> Vec<AssignedLesson> {
    let Ok(bytes) = std::fs::read(file(data_dir)) else {
        return Vec::new();
    };
    serde_json::from_slice(&bytes)
        .inspect_err(|error| tracing::warn!(%error, "what was taken from disks cannot be read"))
        .unwrap_or_default()
}

/// Notes one more, durably; an older version of the same lesson stays beside it until [`settle`].
///
/// # Errors
/// It cannot be written; `own` is as it was.
pub fn add(data_dir: &Path, own: &mut Vec<AssignedLesson>, lessons: Vec<AssignedLesson>) -> io::Result<()> {
    let mut all = own.clone();
    for lesson in lessons {
        all.retain(|known| (&known.lesson, known.version) != (&lesson.lesson, lesson.version));
        all.push(lesson);
    }
    let surplus = all.len().saturating_sub(MOST);
    all.drain(..surplus);
    save(data_dir, &all)?;
    *own = all;
    Ok(())
}

/// `ready` plays: older versions of it are no longer wanted. Says whether there were any.
///
/// # Errors
/// It cannot be written; `own` is as it was.
pub fn settle(data_dir: &Path, own: &mut Vec<AssignedLesson>, ready: &AssignedLesson) -> io::Result<bool> {
    let mut all = own.clone();
    all.retain(|known| known.lesson != ready.lesson || known.version >= ready.version);
    if all.len() == own.len() {
        return Ok(false);
    }
    save(data_dir, &all)?;
    *own = all;
    Ok(true)
}

/// `lesson` is no longer wanted in any version. Says whether it was.
///
/// # Errors
/// It cannot be written; `own` is as it was.
pub fn remove(data_dir: &Path, own: &mut Vec<AssignedLesson>, lesson: &LessonId) -> io::Result<bool> {
    let mut all = own.clone();
    all.retain(|known| known.lesson != *lesson);
    if all.len() == own.len() {
        return Ok(false);
    }
    save(data_dir, &all)?;
    *own = all;
    Ok(true)
}

fn save(data_dir: &Path, own: &[AssignedLesson]) -> io::Result<()> {
    std::fs::create_dir_all(data_dir.join("state"))?;
    files::replace(&file(data_dir), &serde_json::to_vec(own)?, 0o600)
}
