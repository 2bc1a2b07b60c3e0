//! The files under `records/`: the exam that is on and the records of silence, use by day, where somebody stopped, faults.
//!
//! One thread writes them, in the order in which it is told to, each file replaced as a whole: after a cut the old or the new
//! one is there. What cannot be read is told in the log and counts as nothing kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use agent_core::{
    exam, faults,
    usage::{Day, Places},
};
use anyhow::Context;
use jiff::civil::Date;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;

use crate::files;

/// The folder's name under the data folder.
pub const FOLDER: &str = "records";
/// Tasks that may wait.
const QUEUE: usize = 256;
/// A damaged file must not fill the memory.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// What is to be written.
pub enum Task {
    /// The exam that is on, and the records.
    Exam(Box<exam::Saved>),
    /// These days, and these are to go.
    Days(Vec<Day>, Vec<Date>),
    /// Where somebody stopped.
    Places(Box<Places>),
    /// Faults and repairs.
    Faults(Box<faults::Saved>),
    /// To be called when everything before is written: whether the write before it was.
    Then(Box<dyn FnOnce(bool) + Send>),
}

/// What was kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// Of exams.
    pub exam: exam::Saved,
    /// Use.
    pub days: Vec<Day>,
    /// Where somebody stopped.
    pub places: Places,
    /// Faults.
    pub faults: faults::Saved,
}

/// A handle on the thread.
#[derive(Debug)]
pub struct Book {
    tasks: mpsc::Sender<Task>,
    thread: JoinHandle<()>,
}

impl Book {
    /// Reads what is kept under `data_dir` and starts the thread.
    ///
    /// # Errors
    /// The folder cannot be made, or the thread not be started.
    pub fn open(data_dir: &Path) -> anyhow::Result<(Self, Kept)> {
        let folder = data_dir.join(FOLDER);
        let days = folder.join("days");
        fs::create_dir_all(&days).with_context(|| format!("Failed to create {}", days.display()))?;
        let kept = Kept {
            exam: exam_kept(data_dir),
            days: days_in(&days),
            places: read(&folder.join("places.json")).unwrap_or_default(),
            faults: read(&folder.join("faults.json")).unwrap_or_default(),
        };
        let (tasks, mut queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("records".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || {
                let mut good = true;
                while let Some(task) = queue.blocking_recv() {
                    good = match perform(&folder, task, good) {
                        Ok(good) => good,
                        Err(error) => {
                            tracing::error!(%error, folder = %folder.display(), "could not keep a record; it is tried again with the next change");
                            false
                        }
                    };
                }
            })
            .context("Failed to start the thread for records")?;
        Ok((Self { tasks, thread }, kept))
    }

    /// Hands over a task; says whether it was taken. It is not if the thread is far behind.
    pub fn give(&self, task: Task) -> bool {
        let taken = self.tasks.try_send(task).is_ok();
        if !taken {
            tracing::error!("the disk is too slow; a record was not kept");
        }
        taken
    }

    /// Finishes what was given and ends the thread.
    pub fn close(self) {
        drop(self.tasks);
        if self.thread.join().is_err() {
            tracing::error!("the thread for records had crashed");
        }
    }
}

/// What was noted of an exam that is on, and of records.
pub fn exam_kept(data_dir: &Path) -> exam::Saved {
    read(&data_dir.join(FOLDER).join("exam.json")).unwrap_or_default()
}

/// Notes down that no exam is on; records stay.
///
/// # Errors
/// The file is as it was.
pub fn forget_exam(data_dir: &Path) -> io::Result<()> {
    let mut saved = exam_kept(data_dir);
    saved.on = None;
    keep_exam(data_dir, &saved)
}

/// Keeps this instead. Only before the book is open: it writes the same file.
///
/// # Errors
/// The file is as it was.
pub fn keep_exam(data_dir: &Path, saved: &exam::Saved) -> io::Result<()> {
    put(&data_dir.join(FOLDER).join("exam.json"), saved)
}

fn perform(folder: &Path, task: Task, good: bool) -> io::Result<bool> {
    match task {
        Task::Exam(saved) => put(&folder.join("exam.json"), &*saved)?,
        Task::Days(days, gone) => {
            for day in days {
                put(&day_path(folder, day.day.date), &day)?;
            }
            for date in gone {
                fs::remove_file(day_path(folder, date))?;
            }
        }
        Task::Places(places) => put(&folder.join("places.json"), &*places)?,
        Task::Faults(saved) => put(&folder.join("faults.json"), &*saved)?,
        Task::Then(done) => {
            done(good);
            return Ok(good);
        }
    }
    Ok(true)
}

fn day_path(folder: &Path, date: Date) -> PathBuf {
    folder.join("days").join(format!("{date}.json"))
}

fn put(path: &Path, value: &impl Serialize) -> io::Result<()> {
    files::replace(path, &serde_json::to_vec(value)?, 0o600)
}

fn days_in(folder: &Path) -> Vec<Day> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "json"));
    names.sort_unstable();
    names.iter().filter_map(|path| read(path)).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let length = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "a record cannot be read");
            return None;
        }
    };
    if length > MAX_BYTES {
        tracing::warn!(path = %path.display(), "a record is too long and is ignored");
        return None;
    }
    let parsed = fs::read(path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    parsed
        .inspect_err(
            |error| tracing::warn!(%error, path = %path.display(), "a record is damaged and is ignored"),
        )
        .ok()
}

#[cfg(test)]
mod tests {
    use contract::records::UseDay;

    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_what_is_damaged_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let date: Date = "2026-11-23".parse().unwrap();
        let day = Day {
            day: UseDay {
                date,
                revision: 3,
                trusted: true,
                lessons: Vec::new(),
                periods: Vec::new(),
            },
            told: 1,
        };
        let (book, kept) = Book::open(dir.path()).unwrap();
        assert!(kept.days.is_empty());
        assert!(book.give(Task::Days(vec![day.clone()], Vec::new())));
        book.close();
        let (book, kept) = Book::open(dir.path()).unwrap();
        assert_eq!(kept.days, [day]);
        let (said, heard) = std::sync::mpsc::channel();
        assert!(book.give(Task::Days(Vec::new(), vec![date])));
        assert!(book.give(Task::Then(Box::new(move |good| said.send(good).unwrap()))));
        assert!(heard.recv().unwrap());
        book.close();
        let folder = dir.path().join(FOLDER);
        fs::write(folder.join("places.json"), b"{").unwrap();
        let (book, kept) = Book::open(dir.path()).unwrap();
        assert!(kept.days.is_empty() && kept.places == Places::default());
        // A write that fails is told to whoever waits for it.
        fs::remove_dir_all(&folder).unwrap();
        let (said, heard) = std::sync::mpsc::channel();
        assert!(book.give(Task::Places(Box::default())));
        assert!(book.give(Task::Then(Box::new(move |good| said.send(good).unwrap()))));
        assert!(!heard.recv().unwrap());
        book.close();
    }
}
