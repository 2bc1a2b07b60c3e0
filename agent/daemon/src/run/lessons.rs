//! The store's side of the loop: opened in the background, surveyed on blocking threads.

use std::{collections::HashSet, time::Duration};

use agent_core::lessons::Version;
use tokio::sync::mpsc;

use super::agent::{Agent, Inside};
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
        self.store = Some(store.clone());
        let options = FetchOptions {
            console_url: self.identity.console_url.clone(),
            max_parallel: self.config.fetch.max_parallel,
            limit_kbps: self.config.fetch.limit_kbps,
            stall: STALL,
        };
        let fetcher = self.tls().and_then(|tls| {
            Ok(Fetcher::new(
                options,
                Some(tls),
                store.clone(),
                self.inbox.fetch.clone(),
            )?)
        });
        match fetcher {
            Ok(fetcher) => self.fetcher = Some(fetcher),
            Err(error) => tracing::error!(error = %format!("{error:#}"), "lessons cannot be fetched"),
        }
        if std::mem::take(&mut self.survey_waits) {
            self.survey(store);
        }
    }

    /// Looks at what is held; the answer comes as one more event.
    pub(super) fn survey(&self, store: ContentStore) {
        let (known, inside) = (self.cards.keys().cloned().collect(), self.inbox.inside.clone());
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
}

/// Opens the store, for as long as it takes, and then passes on that it changes.
pub(super) async fn open_store(options: StoreOptions, inside: mpsc::Sender<Inside>) {
    let store = loop {
        let attempt = options.clone();
        match tokio::task::spawn_blocking(move || ContentStore::open(attempt)).await {
            Ok(Ok((store, report))) => {
                tracing::info!(?report, "opened the lessons");
                break store;
            }
            Ok(Err(error)) => tracing::error!(%error, "could not open the lessons; trying again"),
            Err(error) => tracing::error!(%error, "could not open the lessons; trying again"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    };
    let mut changes = store.changes();
    if inside.send(Inside::StoreOpened(store.clone())).await.is_err() {
        return;
    }
    tokio::spawn(verify_found_files(store));
    while changes.changed().await.is_ok() {
        if inside.send(Inside::StoreChanged).await.is_err() {
            return;
        }
        tokio::time::sleep(CHANGES_PACE).await;
    }
}

/// Hashes, one by one, the files that a start found without a trusted row.
async fn verify_found_files(store: ContentStore) {
    loop {
        let next = store.clone();
        match tokio::task::spawn_blocking(move || next.verify_next()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not verify a file");
                return;
            }
        }
    }
}

fn survey(store: &ContentStore, known: &HashSet<Version>) -> anyhow::Result<Inside> {
    let inventory = store.inventory()?;
    let disk = store.disk()?;
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
        cards,
    })
}
