//! What the board's page says to the loop of exams, use and faults, and what the loop tells the player for its fault code.
//!
//! What the page is shown of them stands in [`crate::shelf::Beside`]. Words are bounded: one that finds no place is refused
//! or, where nobody waits for an answer, left out.

use std::sync::Arc;

use agent_core::usage::What;
use contract::{
    event::Tamper,
    id::{BootId, LessonId},
    records::{FaultClass, FaultReport, Repair},
};
use jiff::Timestamp;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::shelf::ExamView;

/// Words that may wait for the loop.
const QUEUE: usize = 64;

/// What the page says.
#[derive(Debug)]
pub enum Word {
    /// Something of a lesson, or of a teacher's own disk (no lesson), was opened, plays, stands still, or is over.
    Use(Used),
    /// Somebody typed the invigilator's PIN.
    Pin(String, oneshot::Sender<Result<ExamView, PinDenied>>),
    /// The invigilator is done with the listening audio.
    CloseAudio(oneshot::Sender<ExamView>),
    /// Something was to be played in an exam: what.
    Refused(String),
    /// Listening audio of this lesson was asked for.
    Played(LessonId),
    /// Somebody reports a fault.
    Fault(FaultWish, oneshot::Sender<Result<FaultView, FaultDenied>>),
    /// Somebody says whether a repair is done.
    Confirm {
        /// Which fault.
        fault: String,
        /// Whether it is mended.
        fixed: bool,
        /// How it stands then.
        answer: oneshot::Sender<Result<FaultView, FaultDenied>>,
    },
    /// The technician's PIN unlocked the player.
    Unlocked,
    /// Lets the loudspeaker be heard; says whether it was told so, which in an exam it is not.
    Unmute(oneshot::Sender<bool>),
    /// All faults, newest first.
    Faults(oneshot::Sender<Vec<FaultView>>),
    /// The page could not show something: the code of the browser or of the agent, and of which lesson.
    Trouble {
        /// Code, e.g. `MEDIA_ERR_DECODE`.
        code: String,
        /// Which lesson.
        lesson: Option<LessonId>,
    },
    /// Somebody tried what nobody should; what exactly, for the technician.
    Tamper(Tamper, String),
}

/// What was done with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The lesson; none is a file of a teacher's own disk.
    pub lesson: Option<LessonId>,
    /// Its version.
    pub version: u32,
    /// Which item of it.
    pub item: u16,
    /// What was done.
    pub what: What,
    /// Where it stands, in milliseconds.
    pub position_ms: u64,
    /// How long it is, in milliseconds; 0 where it has no length.
    pub duration_ms: u64,
}

/// A PIN that opened nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinDenied {
    /// Why.
    pub why: PinWhy,
    /// How the exam stands.
    pub exam: ExamView,
}

/// Why a PIN opened nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinWhy {
    /// It is not the one.
    Wrong,
    /// Too many were wrong.
    Locked,
    /// Nothing is to be opened now.
    NotNow,
}

/// A fault that somebody chose from the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultWish {
    /// What is wrong.
    pub class: FaultClass,
    /// What exactly; may be empty.
    pub symptom: String,
    /// The lesson that was open.
    pub lesson: Option<LessonId>,
}

/// Why a report was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultDenied {
    /// The symptom is not one of the class.
    Symptom,
    /// Too many.
    TooMany,
    /// There is no such fault, or nothing to say of it.
    Unknown,
    /// It could not be kept.
    Disk,
}

/// A fault and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultView {
    /// The report, where the board still has it.
    pub report: Option<FaultReport>,
    /// What the console says of it.
    pub repair: Option<Repair>,
    /// Whether the console has it.
    pub sent: bool,
}

/// What the fault code tells beside what the shelf shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Serial number of the board.
    pub serial: String,
    /// Model of the board.
    pub board: String,
    /// The power-up.
    pub boot_id: Option<BootId>,
    /// Where the console's pages are, for whoever reads the picture; may be empty.
    pub web: String,
    /// Where the device asks the console, `https://host:port`; for the check before a class.
    pub console: String,
    /// Whether the clock can be believed.
    pub clock_trusted: bool,
    /// Samples that wait for the console.
    pub waiting_samples: u64,
    /// Fault reports that do.
    pub faults_waiting: u32,
    /// The file system whose room is told.
    pub data_dir: std::path::PathBuf,
    /// When they were looked at.
    pub at: Option<Timestamp>,
}

/// The loop's end; lives as long as the process.
#[derive(Debug, Clone)]
pub struct NotebookWriter {
    words: Arc<Mutex<mpsc::Receiver<Word>>>,
    facts: watch::Sender<Arc<Facts>>,
}

/// The player's end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Notebook {
    words: mpsc::Sender<Word>,
    facts: watch::Receiver<Arc<Facts>>,
}

/// Both ends.
pub fn notebook() -> (NotebookWriter, Notebook) {
    let (say, said) = mpsc::channel(QUEUE);
    let (show, shown) = watch::channel(Arc::default());
    (
        NotebookWriter {
            words: Arc::new(Mutex::new(said)),
            facts: show,
        },
        Notebook {
            words: say,
            facts: shown,
        },
    )
}

impl NotebookWriter {
    /// Where words arrive; whoever locks it first gets them.
    pub fn words(&self) -> Arc<Mutex<mpsc::Receiver<Word>>> {
        Arc::clone(&self.words)
    }

    /// Tells the facts from now on.
    pub fn tell(&self, facts: Facts) {
        self.facts.send_if_modified(|known| {
            let changed = **known != facts;
            if changed {
                *known = Arc::new(facts);
            }
            changed
        });
    }
}

impl Notebook {
    /// Says something to the loop; says whether it found a place.
    pub fn say(&self, word: Word) -> bool {
        self.words.try_send(word).is_ok()
    }

    /// The newest facts.
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts.borrow())
    }
}
