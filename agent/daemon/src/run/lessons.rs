//! The store's side of the loop: opened in the background, surveyed on blocking threads.

use std::{collections::HashSet, time::Duration};

use agent_core::{identity::standing::Conduct, lessons::Version};
use contract::event::StorageFault;
use tokio::sync::{mpsc, watch};

use super::{
    agent::Agent,
    inbox::Inside,
    upkeep::{self, Counted},
    watching::Trouble,
};
use crate::{
    io::fetch::{FetchOptions, Fetcher},
    store::{ContentStore, LessonKey, StoreOptions},
};

/// A store that cannot be opened is tried again after this.
const STORE_RETRY: Duration = Duration::from_secs(30);
/// Changes of the store that come together are looked at together.
const CHANGES_PACE: Duration = Duration::from_millis(300);
/// A connection without a byte for this long is lost.
const STALL: Duration = Duration::from_secs(30);

impl Agent {
    /// The store is open: lessons play, and fetching can begin.
    pub(super) fn store_opened(&mut self, store: ContentStore) {
        self.shelf.set_store(store.clone());
        store.trust(self.trust.lesson_keys());
        self.counted = Counted::now(&store);
        self.store = Some(store.clone());
        self.start_fetching(&store);
        if std::mem::take(&mut self.survey_waits) {
            self.survey(store);
        }
    }

    /// Only a device that may come in fetches.
    fn start_fetching(&mut self, store: &ContentStore) {
        if self.conduct != Conduct::Connect {
            return;
        }
        let options = FetchOptions {
            own: self.identity.reply.device_id.clone(),
            console_url: self.identity.console_url.clone(),
            limit_kbps: self.config.fetch.limit_kbps,
            stall: STALL,
        };
        let fetcher = self.tls().and_then(|tls| {
            Ok(Fetcher::new(
                options,
                Some(tls),
                self.lan(),
                store.clone(),
                self.inbox.fetch.clone(),
            )?)
        });
        match fetcher {
            Ok(fetcher) => {
                self.fetcher = Some(fetcher);
                self.school_begins();
            }
            Err(error) => tracing::error!(error = %format!("{error:#}"), "lessons cannot be fetched"),
        }
    }

    /// Looks at what is held; the answer comes as one more event.
    pub(super) fn survey(&self, store: ContentStore) {
        look(
            store,
            self.cards.keys().cloned().collect(),
            self.inbox.inside.clone(),
        );
    }
}

/// Looks at what is held; cards of lessons that are `known` are left out.
pub(super) fn look(store: ContentStore, known: HashSet<Version>, inside: mpsc::Sender<Inside>) {
    tokio::spawn(async move {
        let surveyed = tokio::task::spawn_blocking(move || survey(&store, &known)).await;
        let event = match surveyed {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => {
                tracing::error!(error = %format!("{error:#}"), "could not look at what is held");
                Inside::SurveyFailed
            }
            Err(_) => Inside::SurveyFailed,
        };
        let _ = inside.send(event).await;
    });
}

/// The lessons on the disk, opened once for the life of the process: identities come and go above it.
#[derive(Debug)]
pub(super) struct LessonStore {
    opened: watch::Sender<Option<ContentStore>>,
    begun: bool,
    trouble: Trouble,
}

impl LessonStore {
    /// Not opened yet.
    pub(super) fn new() -> Self {
        Self {
            opened: watch::channel(None).0,
            begun: false,
            trouble: Trouble::default(),
        }
    }

    /// What the disk did that it should not.
    pub(super) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    /// Begins to open the store in the background, unless that was begun before; then `inside` hears that it is open, and of
    /// each change.
    pub(super) fn follow(&mut self, options: StoreOptions, inside: mpsc::Sender<Inside>) {
        if !std::mem::replace(&mut self.begun, true) {
            tokio::spawn(open_store(options, self.opened.clone(), self.trouble.clone()));
        }
        tokio::spawn(pass_on(self.opened.subscribe(), inside));
    }
}

/// Opens the store, for as long as it takes.
async fn open_store(options: StoreOptions, opened: watch::Sender<Option<ContentStore>>, trouble: Trouble) {
    let store = loop {
        let attempt = options.clone();
        match tokio::task::spawn_blocking(move || ContentStore::open(attempt)).await {
            Ok(Ok((store, report))) => {
                tracing::info!(?report, "opened the lessons");
                if let Some(why) = &report.rebuilt {
                    trouble.note(StorageFault::IndexRebuilt, why.clone());
                }
                break store;
            }
            Ok(Err(error)) => tracing::error!(%error, "could not open the lessons; trying again"),
            Err(error) => tracing::error!(%error, "could not open the lessons; trying again"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    };
    opened.send_replace(Some(store.clone()));
    upkeep::keep(store, trouble).await;
}

/// Until nobody listens.
async fn pass_on(mut opened: watch::Receiver<Option<ContentStore>>, inside: mpsc::Sender<Inside>) {
    let found = tokio::select! {
        () = inside.closed() => return,
        found = opened.wait_for(Option::is_some) => found.ok().and_then(|store| store.clone()),
    };
    let Some(store) = found else { return };
    let mut changes = store.changes();
    if inside.send(Inside::StoreOpened(store)).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = inside.closed() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        if inside.send(Inside::StoreChanged).await.is_err() {
            return;
        }
        tokio::time::sleep(CHANGES_PACE).await;
    }
}

fn survey(store: &ContentStore, known: &HashSet<Version>) -> anyhow::Result<Inside> {
    let inventory = store.inventory()?;
    let (disk, files) = (store.disk()?, store.file_room()?);
    let mut cards = Vec::new();
    for held in &inventory.lessons {
        let version = (held.lesson.clone(), held.version);
        if known.contains(&version) {
            continue;
        }
        let key = LessonKey {
            lesson: held.lesson.clone(),
            version: held.version,
        };
        match store.card(&key) {
            Ok(card) => cards.extend(card.map(|card| (version, card))),
            Err(error) => {
                tracing::warn!(lesson.id = %held.lesson, %error, "could not read a lesson's manifest")
            }
        }
    }
    Ok(Inside::Surveyed {
        inventory,
        disk,
        files,
        cards,
    })
}
