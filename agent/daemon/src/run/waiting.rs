//! The device while it is nobody, or nobody for sure: the ways in are at work, and with a USB disk's word lessons play.

use std::{collections::HashMap, sync::Arc, time::Duration};

use agent_core::lessons::Inventory;
use contract::report::{DiskReport, LessonState};
use sd_notify::NotifyState;
use tokio::sync::mpsc;

use super::{
    End, QUEUE, StopSignals, WaysIn,
    agent::{House, store_options},
    inbox::Inside,
    lessons::look,
    time::TimeWatch,
};
use crate::{
    identity::Kept,
    io::{probes, ways::WayEvent},
    shelf::{LessonCard, Membership, Shelf, ShelfDevice, ShelfLesson, Unenrolled},
    standing,
    store::ContentStore,
    trust,
};
use agent_core::lessons::Version;

/// How often the disk is looked at for an identity that another program brought.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is shown while waiting.
struct Waiting {
    kept: Kept,
    unenrolled: Unenrolled,
    store: Option<ContentStore>,
    inventory: Option<Inventory>,
    disk: DiskReport,
    cards: HashMap<Version, Arc<LessonCard>>,
}

/// Until there is something else on the disk than `kept`.
pub(super) async fn wait(
    house: &mut House,
    kept: Kept,
    time: &TimeWatch,
    stop_signals: &mut StopSignals,
) -> End {
    match &kept {
        Kept::Locked(lock) => {
            tracing::error!(order.id = %lock.order_id, "this device was reported stolen: its secrets are wiped and its player is locked");
            wipe(house).await;
        }
        Kept::Provisional(_) => {
            tracing::warn!("this device works on a USB disk's word until the console confirms it")
        }
        _ => tracing::warn!("this device is not enrolled; run `bbt-agent enrol --help`, or use its page"),
    }
    let stamp = house.folder.stamp();
    let mut ways = WaysIn::open(house, None, matches!(kept, Kept::Locked(_)), time);
    let (inside, mut from_inside) = mpsc::channel(QUEUE);
    let mut waiting = Waiting {
        unenrolled: Unenrolled {
            serial: house.hardware.serial.clone(),
            ..Unenrolled::default()
        },
        store: None,
        inventory: None,
        disk: probes::disk(&house.config.data_dir),
        cards: HashMap::new(),
        kept,
    };
    if let Kept::Provisional(provisional) = &waiting.kept {
        let keys = provisional.saved.county.keys.clone();
        house
            .shelf
            .trust()
            .replace(trust::remembered(&house.config.data_dir, keys.clone()));
        house
            .lessons
            .follow(store_options(&house.config, keys), inside.clone());
    }
    house.shelf.show(waiting.shelf());
    let end = loop {
        house.link.alive();
        tokio::select! {
            signal = stop_signals.recv() => break End::Stop(signal),
            Some(event) = ways.events.recv() => match event {
                WayEvent::Waiting(unenrolled) => waiting.unenrolled = unenrolled,
                WayEvent::Changed => break End::Again,
            },
            Some(event) = from_inside.recv() => waiting.take(event, house, &inside),
            () = tokio::time::sleep(LOOK_EVERY) => {
                // Ready was said already, so the service manager waits for this as it does while serving.
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
                if house.folder.stamp() != stamp {
                    break End::Again;
                }
                continue;
            }
        }
        house.shelf.show(waiting.shelf());
    };
    ways.close().await;
    end
}

impl Waiting {
    fn take(&mut self, event: Inside, house: &House, inside: &mpsc::Sender<Inside>) {
        match event {
            Inside::StoreOpened(store) => {
                house.shelf.set_store(store.clone());
                if let Kept::Provisional(provisional) = &self.kept {
                    store.trust(provisional.saved.county.keys.clone());
                }
                self.store = Some(store);
                self.look(inside);
            }
            Inside::StoreChanged | Inside::SurveyFailed => self.look(inside),
            Inside::Surveyed {
                inventory,
                disk,
                cards,
                ..
            } => {
                self.cards
                    .extend(cards.into_iter().map(|(version, card)| (version, Arc::new(card))));
                self.inventory = Some(inventory);
                self.disk = disk;
            }
            _ => {}
        }
    }

    fn look(&self, inside: &mpsc::Sender<Inside>) {
        if let Some(store) = &self.store {
            look(
                store.clone(),
                self.cards.keys().cloned().collect(),
                inside.clone(),
            );
        }
    }

    fn shelf(&self) -> Shelf {
        let shelf = Shelf {
            disk: self.disk,
            ..Shelf::default()
        };
        match &self.kept {
            Kept::Locked(lock) => Shelf {
                allowed: Some(Default::default()),
                membership: Membership::Locked {
                    contact: lock.contact.clone(),
                    order_id: lock.order_id.clone(),
                },
                ..shelf
            },
            Kept::Provisional(provisional) => Shelf {
                device: None::<ShelfDevice>,
                preparing: self.inventory.is_none(),
                lessons: self.lessons(),
                membership: Membership::Provisional(Unenrolled {
                    county: provisional.saved.county.county.clone(),
                    ..self.unenrolled.clone()
                }),
                ..shelf
            },
            Kept::None | Kept::Enrolled(_) => Shelf {
                membership: Membership::Unenrolled(self.unenrolled.clone()),
                ..shelf
            },
        }
    }

    /// Whatever is whole: nobody has assigned anything yet.
    fn lessons(&self) -> Vec<Arc<ShelfLesson>> {
        let held = self.inventory.iter().flat_map(|inventory| &inventory.lessons);
        held.filter(|held| held.is_ready())
            .map(|held| {
                let card = self
                    .cards
                    .get(&(held.lesson.clone(), held.version))
                    .map(Arc::clone);
                Arc::new(ShelfLesson {
                    lesson: held.lesson.clone(),
                    version: held.version,
                    state: LessonState::Ready,
                    size_bytes: None,
                    card,
                })
            })
            .collect()
    }
}

/// A locked device's secrets go, at each start again until nothing is left.
async fn wipe(house: &House) {
    let folder = house.config.data_dir.clone();
    let wiped = tokio::task::spawn_blocking(move || {
        standing::wipe_secrets(&folder)?;
        standing::wipe_records(&folder)
    });
    if let Ok(Err(error)) = wiped.await {
        tracing::error!(%error, "could not wipe everything; trying again at the next start");
    }
}
