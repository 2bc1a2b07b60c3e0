//! What the player shows: one snapshot, replaced as a whole by `run`, read by every request.

mod beside;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use agent_core::Millis;
use contract::{
    classroom::ClassroomPlan,
    command::NoticeLevel,
    enrol::Placement,
    id::{CommandId, DeviceId, LessonId},
    lesson::{LessonItem, LessonMeta, SchoolMark},
    report::{DiskReport, HeldBack, LessonState},
    time::ClockTrust,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use crate::{
    classes::ClassDoor,
    config::Language,
    io::pack::{DiskWish, Disks, desk::Wishes},
    notebook::{self, Notebook, NotebookWriter},
    settings::SettingsDoor,
    store::ContentStore,
    trust::TrustDoor,
};

pub use beside::{AudioView, Beside, ExamState, ExamView, MAX_RESUME, RepairView, ResumePoint};

/// Everything the player's page shows. Replaced whole on each change.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// Who this is; `None` before enrolment.
    pub device: Option<ShelfDevice>,
    /// Whether the console is connected now.
    pub online: bool,
    /// When the console was last heard, in milliseconds of `CLOCK_BOOTTIME`; `None` if never in this power-up.
    pub console_seen_ms: Option<u64>,
    /// The store is still being opened or rebuilt: lessons may be missing from the list for the moment.
    pub preparing: bool,
    /// Assigned lessons in their order; before the first assignment those that are held, by id.
    pub lessons: Vec<Arc<ShelfLesson>>,
    /// The only lessons whose files are handed out; `None` before the first assignment: all that are held.
    pub allowed: Option<BTreeSet<LessonId>>,
    /// Notices on screen now, newest first.
    pub notices: Vec<ShelfNotice>,
    /// Room.
    pub disk: DiskReport,
    /// The board's serial number; may be empty.
    pub serial: String,
    /// Whether the device is somebody, and what the page says if it is not, or not for sure.
    pub membership: Membership,
    /// What the class is taught and when, whom to call: the console's word.
    pub plan: Option<Arc<ClassroomPlan>>,
    /// What time it is.
    pub clock: ShelfClock,
    /// Bytes of lessons that arrive in a second, measured over the last minutes; `None` while nothing does.
    pub bytes_per_s: Option<u64>,
    /// Why nothing is fetched over the line though something is missing.
    pub held_back: Option<HeldBack>,
    /// When that is looked at again, where it is known.
    pub held_until: Option<Timestamp>,
}

/// The time as the page may tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShelfClock {
    /// How far it is believed.
    pub trust: ClockTrust,
    /// What time it was at a moment of this power-up; `None` if nothing can be believed.
    pub anchor: Option<(Timestamp, Millis)>,
}

impl ShelfClock {
    /// What time it is at `now`, as far as it is believed at all.
    pub fn time(&self, now: Millis) -> Option<Timestamp> {
        let (time, at) = self.anchor?;
        time.checked_add(now.since(at)).ok()
    }

    /// Whether somebody else confirmed it in this power-up: the console, or other boards.
    pub fn is_trusted(&self) -> bool {
        self.anchor.is_some() && self.trust >= ClockTrust::Peers
    }
}

/// How the device stands, as far as the page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Membership {
    /// As it should be: no banner.
    #[default]
    Enrolled,
    /// It has no identity.
    Unenrolled(Unenrolled),
    /// A USB disk's word; lessons play, the console has not confirmed it.
    Provisional(Unenrolled),
    /// Its disk is a copy of another board's; lessons play.
    Quarantined(Unenrolled),
    /// Its certificate was revoked; lessons play.
    Revoked(Unenrolled),
    /// Another device took its place; lessons play.
    Replaced,
    /// Reported stolen: no lesson plays.
    Locked {
        /// Whom to call.
        contact: String,
        /// The lock in force, for the technician.
        order_id: CommandId,
    },
}

/// What a person needs to get the device in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unenrolled {
    /// The board's serial number; may be empty.
    pub serial: String,
    /// Of the pending key: what the technician compares; empty if there is none.
    pub fingerprint: String,
    /// What the QR code says, a URL; empty where the county is not known or names no web address.
    pub qr_text: String,
    /// The county's name; empty if no county file is there.
    pub county: String,
    /// Where the board works on a USB disk's word; empty otherwise.
    pub place: Placement,
    /// Classrooms of the USB disk's free tickets, to choose from; empty if there is nothing to choose.
    pub classrooms: Vec<ClassroomChoice>,
    /// What went wrong or is under way, newest word only.
    pub note: Option<WayNote>,
}

/// A classroom that the board may become.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClassroomChoice {
    /// Its code in its school: what comes back when it is chosen.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Its school's name; may be empty.
    pub school: String,
}

/// A sentence in both languages, since a reader may change the language at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    /// 简体中文.
    pub zh: String,
    /// English.
    pub en: String,
}

impl Said {
    /// In one language.
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::ZhCn => &self.zh,
            Language::En => &self.en,
        }
    }
}

/// What the page says about a way of getting in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WayNote {
    /// Whether somebody has to do something.
    pub problem: bool,
    /// The sentence.
    #[serde(flatten)]
    pub said: Said,
}

/// What somebody asked for on the page.
#[derive(Debug)]
pub struct Typed {
    /// What.
    pub wish: Wish,
    /// How it went: the sentence for the page.
    pub answer: oneshot::Sender<Result<Said, Denied>>,
}

/// What can be asked for on the page of a board that has no identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// To be enrolled with a code.
    Code {
        /// As it was typed.
        code: String,
        /// The classroom's code, where the ticket is the school's.
        classroom: Option<String>,
    },
    /// To take the USB disk's ticket for this classroom, by code.
    UsbClassroom(String),
}

/// Why a wish was not fulfilled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denied {
    /// The sentence: the thing, the reason, the fix.
    pub said: Said,
    /// Classrooms to choose from, where that is what is missing.
    pub classrooms: Vec<ClassroomChoice>,
}

/// Where wishes arrive; whoever locks it first gets them.
pub type TypedCodes = Arc<Mutex<mpsc::Receiver<Typed>>>;

/// Who the device is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShelfDevice {
    /// Its id.
    pub id: DeviceId,
    /// Where it stands.
    pub placement: Placement,
}

/// One lesson as the page lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfLesson {
    /// The lesson.
    pub lesson: LessonId,
    /// The version that plays; while none does, the version on its way.
    pub version: u32,
    /// `Ready` whenever `version` plays, even while a newer one is on its way.
    pub state: LessonState,
    /// What it takes in bytes, where that is known.
    pub size_bytes: Option<u64>,
    /// Title and so on; `None` while the manifest is not here.
    pub card: Option<Arc<LessonCard>>,
}

/// The part of a manifest that is needed to list a lesson; small, unlike the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonCard {
    /// Where it belongs in the curriculum.
    pub meta: LessonMeta,
    /// What the teacher opens.
    pub items: Vec<LessonItem>,
    /// Who made it, where the school made it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub school: Option<SchoolMark>,
}

/// A notice on screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShelfNotice {
    /// How loudly.
    pub level: NoticeLevel,
    /// Headline.
    pub title: String,
    /// Words.
    pub text: String,
}

/// Where `run` writes; the one sender.
#[derive(Debug)]
pub struct ShelfWriter {
    shelf: watch::Sender<Arc<Shelf>>,
    typed: TypedCodes,
    disks: watch::Sender<Arc<Disks>>,
    wishes: Wishes,
    store: Arc<OnceLock<ContentStore>>,
    trust: TrustDoor,
    beside: watch::Sender<Arc<Beside>>,
    settings: SettingsDoor,
    usb_roots: Arc<OnceLock<Vec<PathBuf>>>,
    classes: ClassDoor,
    notebook: NotebookWriter,
}

/// Where the player reads; cheap to clone.
#[derive(Debug, Clone)]
pub struct PlayerState {
    shelf: watch::Receiver<Arc<Shelf>>,
    typed: mpsc::Sender<Typed>,
    disks: watch::Receiver<Arc<Disks>>,
    wishes: mpsc::Sender<DiskWish>,
    store: Arc<OnceLock<ContentStore>>,
    trust: TrustDoor,
    beside: watch::Receiver<Arc<Beside>>,
    settings: SettingsDoor,
    usb_roots: Arc<OnceLock<Vec<PathBuf>>>,
    classes: ClassDoor,
    token: Arc<str>,
    notebook: Notebook,
}

/// A shelf with nothing on it yet, `preparing`.
pub fn shelf() -> (ShelfWriter, PlayerState) {
    let (sender, receiver) = watch::channel(Arc::new(Shelf {
        preparing: true,
        ..Shelf::default()
    }));
    let store = Arc::new(OnceLock::new());
    let (typed, codes) = mpsc::channel(1);
    let (show_disks, disks) = watch::channel(Arc::default());
    let (wish, wishes) = mpsc::channel(1);
    let trust = TrustDoor::default();
    let (put_beside, beside) = watch::channel(Arc::default());
    let settings = SettingsDoor::default();
    let usb_roots = Arc::new(OnceLock::new());
    let classes = ClassDoor::default();
    let (notes, notebook) = notebook::notebook();
    (
        ShelfWriter {
            shelf: sender,
            typed: Arc::new(Mutex::new(codes)),
            disks: show_disks,
            wishes: Arc::new(Mutex::new(wishes)),
            store: Arc::clone(&store),
            trust: trust.clone(),
            beside: put_beside,
            settings: settings.clone(),
            usb_roots: Arc::clone(&usb_roots),
            classes: classes.clone(),
            notebook: notes,
        },
        PlayerState {
            shelf: receiver,
            typed,
            disks,
            wishes: wish,
            store,
            trust,
            beside,
            settings,
            usb_roots,
            classes,
            token: hex::encode(rand::random::<[u8; 16]>()).into(),
            notebook,
        },
    )
}

impl ShelfWriter {
    /// Shows `shelf` from now on and wakes whoever waits for a change.
    pub fn show(&self, shelf: Shelf) {
        self.shelf.send_replace(Arc::new(shelf));
    }

    /// What shows now.
    pub fn shown(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf.borrow())
    }

    /// Where codes arrive that are typed on the page.
    pub fn typed(&self) -> TypedCodes {
        Arc::clone(&self.typed)
    }

    /// What is believed, by the loop and by the player alike.
    pub const fn trust(&self) -> &TrustDoor {
        &self.trust
    }

    /// Where the disks that are there are shown.
    pub fn disks(&self) -> watch::Sender<Arc<Disks>> {
        self.disks.clone()
    }

    /// Where wishes arrive about disks.
    pub fn disk_wishes(&self) -> Wishes {
        Arc::clone(&self.wishes)
    }

    /// Where the page's words on exams, use and faults arrive.
    pub const fn notebook(&self) -> &NotebookWriter {
        &self.notebook
    }

    /// Changes what stands beside the lessons; pages hear of it if anything is another than before.
    pub fn beside(&self, change: impl FnOnce(&mut Beside)) {
        self.beside.send_if_modified(|shown| {
            let mut next = Beside::clone(shown);
            change(&mut next);
            let changed = next != **shown;
            if changed {
                *shown = Arc::new(next);
            }
            changed
        });
    }

    /// What stands beside the lessons now.
    pub fn beside_now(&self) -> Arc<Beside> {
        Arc::clone(&self.beside.borrow())
    }

    /// What is set at the board itself.
    pub const fn settings(&self) -> &SettingsDoor {
        &self.settings
    }

    /// Where disks are mounted; a second call changes nothing.
    pub fn set_usb_roots(&self, roots: Vec<PathBuf>) {
        let _ = self.usb_roots.set(roots);
    }

    /// Loudspeaker and live apps of this board.
    pub const fn classes(&self) -> &ClassDoor {
        &self.classes
    }

    /// Hands the opened store to the player; a second call changes nothing.
    pub fn set_store(&self, store: ContentStore) {
        let _ = self.store.set(store);
    }
}

impl PlayerState {
    /// What to show now.
    pub fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf.borrow())
    }

    /// Where the page hands over a typed code; only one waits at a time.
    pub const fn typed(&self) -> &mpsc::Sender<Typed> {
        &self.typed
    }

    /// The disks that are there.
    pub fn disks(&self) -> Arc<Disks> {
        Arc::clone(&self.disks.borrow())
    }

    /// Where the page hands over what is to be done with a disk; only one waits at a time.
    pub const fn disk_wishes(&self) -> &mpsc::Sender<DiskWish> {
        &self.wishes
    }

    /// Whether files of `lesson` may be handed out now.
    pub fn allows(&self, lesson: &LessonId) -> bool {
        let shelf = self.shelf.borrow();
        if matches!(shelf.membership, Membership::Locked { .. }) {
            return false;
        }
        shelf
            .allowed
            .as_ref()
            .is_none_or(|allowed| allowed.contains(lesson))
    }

    /// What is believed: whether a lesson may still be played.
    pub const fn trust(&self) -> &TrustDoor {
        &self.trust
    }

    /// Where the page says what it has to say of exams, use and faults.
    pub const fn notebook(&self) -> &Notebook {
        &self.notebook
    }

    /// What stands beside the lessons.
    pub fn beside(&self) -> Arc<Beside> {
        Arc::clone(&self.beside.borrow())
    }

    /// A receiver that wakes on each change of it.
    pub fn watch_beside(&self) -> watch::Receiver<Arc<Beside>> {
        self.beside.clone()
    }

    /// What is set at the board itself.
    pub const fn settings(&self) -> &SettingsDoor {
        &self.settings
    }

    /// What the page shows that it is ours, with everything that changes something; another one after each start.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A receiver that wakes on each change.
    pub fn watch(&self) -> watch::Receiver<Arc<Shelf>> {
        self.shelf.clone()
    }

    /// Where disks are mounted.
    pub fn usb_roots(&self) -> &[PathBuf] {
        self.usb_roots.get().map_or(&[], Vec::as_slice)
    }

    /// Loudspeaker and live apps of this board.
    pub const fn classes(&self) -> &ClassDoor {
        &self.classes
    }

    /// The store, once it is open.
    pub fn store(&self) -> Option<&ContentStore> {
        self.store.get()
    }
}
