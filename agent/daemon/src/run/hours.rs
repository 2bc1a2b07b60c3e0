//! What kind of hour it is: by it orders are judged, and a screen that an order made dark is bright again when a class begins.

use std::{io, sync::Arc, time::Duration};

use agent_core::{Millis, commands, manners::Phase};
use contract::id::{BootId, CommandId};
use jiff::Timestamp;

use super::{agent::Agent, control::LOOKS, inbox::Inside};
use crate::{
    clock,
    settings::{Dark, SettingsDoor},
    shelf::ShelfWriter,
};

/// What is told takes effect a moment later: so long before a bell the next hour counts.
const AHEAD: Duration = Duration::from_secs(2);
/// Bells that are looked through for the end of a class.
const BELLS: usize = 32;

/// What kind of hour it is to whoever would darken, lock or switch off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hour {
    Open,
    /// No time that could say that it is no class.
    Unknown,
    /// By the timetable; or a lesson plays.
    Class,
    Exam,
}

/// Whether the screen is to be bright, if an order made it dark, because an hour began in which it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Light {
    /// As it is.
    Leave,
    Due,
    /// The board was told.
    Told,
}

/// Whether the screen was made dark in this power-up, and not bright since.
pub(super) fn is_dark(shelf: &ShelfWriter, boot_id: &BootId) -> bool {
    let dark = &shelf.settings().now().dark;
    dark.as_ref().is_some_and(|dark| dark.boot_id == *boot_id)
}

impl Agent {
    /// Orders are judged by the hour, and a screen that was made dark outside of it is bright when a class or an exam begins.
    pub(super) fn settle_hour(&mut self, now: Millis) {
        self.begin_hour(self.hour(now), now);
    }

    pub(super) fn begin_hour(&mut self, hour: Hour, now: Millis) {
        let before = self.control.hour.replace(hour);
        if before == Some(hour) {
            return;
        }
        let teaching = hour != Hour::Open;
        self.commands.handle(commands::Event::Teaching(teaching), now);
        match (before, hour) {
            (_, Hour::Open) => self.control.light = Light::Leave,
            // A dark that was forced in the class before stays; and nobody knows whether this is an hour of class.
            (Some(Hour::Class), Hour::Exam) | (_, Hour::Unknown) => {}
            _ => {
                self.control.began = matches!(before, Some(Hour::Open | Hour::Exam));
                self.control.light = Light::Due;
                self.control.look_soon(now);
            }
        }
    }

    fn hour(&self, now: Millis) -> Hour {
        if self.exam.core.is_on() {
            return Hour::Exam;
        }
        match self.phase_at(self.judged_time(now)) {
            Phase::Exam => Hour::Exam,
            Phase::Open if !self.line.lesson_on(now) => Hour::Open,
            Phase::Open | Phase::ClassHours => Hour::Class,
            Phase::Unknown => Hour::Unknown,
        }
    }

    /// By which hours are judged.
    fn judged_time(&self, now: Millis) -> Option<Timestamp> {
        let time = self.time.clock.read(clock::system(), now).time?;
        time.checked_add(AHEAD).ok()
    }

    /// When the class or the exam is over that is on by the timetable; an exam that follows a class is part of it.
    fn class_ends(&self, now: Millis) -> Option<Timestamp> {
        let mut time = self.judged_time(now)?;
        let mut phase = self.phase_at(Some(time));
        if !matches!(phase, Phase::ClassHours | Phase::Exam) {
            return None;
        }
        for _ in 0..BELLS {
            time = self.next_edge(time)?;
            let next = self.phase_at(Some(time));
            if next != phase && (phase, next) != (Phase::ClassHours, Phase::Exam) {
                break;
            }
            phase = next;
        }
        Some(time)
    }

    /// Makes the screen bright if an order made it dark; after what was told to it before.
    pub(super) fn light_up(&mut self, now: Millis) {
        if self.board_may_tell(now) {
            // The screen may hang on the controller.
            return self.control.look_soon(now);
        }
        let (board, inside) = (Arc::clone(&self.control.board), self.inbox.inside.clone());
        let door = self.shelf.settings().clone();
        // What was forced in this very class stays until it is over.
        let stays_at = self.judged_time(now).filter(|_| !self.control.began);
        let light = async move {
            let dark = door.now().dark.clone();
            let over = |dark: &Dark| dark.until.is_none() || stays_at.is_none() || dark.until <= stays_at;
            let lit = if dark.is_some_and(|dark| over(&dark)) {
                let look = tokio::time::timeout(LOOKS, board.look())
                    .await
                    .unwrap_or_default();
                let lit = match look.state.screen_on {
                    Some(true) => Ok(()),
                    _ => board.screen(true).await,
                };
                if lit.is_ok() {
                    keep_dark(door, None).await;
                }
                lit
            } else {
                Ok(())
            };
            let _ = inside
                .send(Inside::Lit(lit.map_err(|error| error.to_string())))
                .await;
        };
        if self.control.hands.try_send(Box::pin(light)).is_ok() {
            self.control.light = Light::Told;
        }
    }

    /// Whether the screen is bright; what did not work is tried again at the next look.
    pub(super) fn on_lit(&mut self, lit: Result<(), String>, now: Millis) {
        match &lit {
            Ok(()) => self.control.look_soon(now),
            Err(reason) => {
                tracing::warn!(%reason, "an hour began in which the screen is needed, and it could not be made bright")
            }
        }
        if self.control.light == Light::Told {
            self.control.light = if lit.is_ok() { Light::Leave } else { Light::Due };
        }
    }

    /// A screen is told to be bright or dark: what is kept of that once it is done.
    pub(super) fn light_after(&mut self, id: &CommandId, on: bool, now: Millis) -> Option<Dark> {
        let teaching = matches!(self.control.hour, Some(Hour::Class | Hour::Exam));
        let forced = self.commands.is_forced(id);
        // The bell rang while that was journalled.
        let missed = !on && !forced && teaching;
        self.control.began |= missed;
        self.control.light = if missed { Light::Due } else { Light::Leave };
        (!on).then(|| Dark {
            until: self.class_ends(now).filter(|_| forced),
            boot_id: self.boot_id.clone(),
        })
    }
}

/// Keeps whether an order made the screen dark.
pub(super) async fn keep_dark(door: SettingsDoor, dark: Option<Dark>) {
    if door.now().dark == dark {
        return;
    }
    let change = move || door.change(|settings| settings.dark = dark).map(drop);
    let kept = tokio::task::spawn_blocking(change).await;
    if let Err(error) = kept.map_err(io::Error::other).flatten() {
        tracing::error!(%error, "could not keep whether the screen was made dark; it counts until the next start");
    }
}
