//! What the player shows: one snapshot, replaced as a whole by `run`, read by every request.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
};

use contract::{
    command::NoticeLevel,
    enrol::Placement,
    id::{DeviceId, LessonId},
    lesson::{LessonItem, LessonMeta},
    report::{DiskReport, LessonState},
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::store::ContentStore;

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
}

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
    store: Arc<OnceLock<ContentStore>>,
}

/// Where the player reads; cheap to clone.
#[derive(Debug, Clone)]
pub struct PlayerState {
    shelf: watch::Receiver<Arc<Shelf>>,
    store: Arc<OnceLock<ContentStore>>,
}

/// A shelf with nothing on it yet, `preparing`.
pub fn shelf() -> (ShelfWriter, PlayerState) {
    let (sender, receiver) = watch::channel(Arc::new(Shelf {
        preparing: true,
        ..Shelf::default()
    }));
    let store = Arc::new(OnceLock::new());
    (
        ShelfWriter {
            shelf: sender,
            store: Arc::clone(&store),
        },
        PlayerState {
            shelf: receiver,
            store,
        },
    )
}

impl ShelfWriter {
    /// Shows `shelf` from now on and wakes whoever waits for a change.
    pub fn show(&self, shelf: Shelf) {
        self.shelf.send_replace(Arc::new(shelf));
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

    /// Whether files of `lesson` may be handed out now.
    pub fn allows(&self, lesson: &LessonId) -> bool {
        let shelf = self.shelf.borrow();
        shelf
            .allowed
            .as_ref()
            .is_none_or(|allowed| allowed.contains(lesson))
    }

    /// A receiver that wakes on each change.
    pub fn watch(&self) -> watch::Receiver<Arc<Shelf>> {
        self.shelf.clone()
    }

    /// The store, once it is open.
    pub fn store(&self) -> Option<&ContentStore> {
        self.store.get()
    }
}
