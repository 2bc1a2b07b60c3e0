//! What the page and every door are shown of an exam.

use contract::school::AudioWindow;
use jiff::Timestamp;

use super::{Exam, TRIES};
use crate::time::Millis;

/// How things stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// No exam.
    #[default]
    Off,
    /// One begins within ten minutes.
    Soon,
    /// Nothing sounds and nothing shows.
    Silent,
    /// Listening audio may be heard, and nothing else.
    Listening,
}

/// A snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// How things stand.
    pub phase: Phase,
    /// What the exam is called; empty if there is none.
    pub name: String,
    /// Begin and end, where there is an exam.
    pub window: Option<(Timestamp, Timestamp)>,
    /// Stretches in which listening audio may be heard.
    pub audio: Vec<AudioWindow>,
    /// Whether one of them is now.
    pub audio_now: bool,
    /// Whether there is a PIN that opens it.
    pub pin_set: bool,
    /// Wrong PINs that may still be typed before a wait.
    pub tries_left: u32,
    /// No PIN is looked at before then.
    pub locked_until: Option<Millis>,
}

impl Exam {
    /// How things stand now.
    pub fn view(&self, now: Millis) -> View {
        let on = self.on.as_ref();
        let Some(window) = on.map(|on| &on.window).or_else(|| self.soon()) else {
            return View::default();
        };
        View {
            phase: self.phase,
            name: window.name.clone(),
            window: Some((window.from, window.to)),
            audio: window.audio.clone(),
            audio_now: self.audio_now(now),
            pin_set: window.pin.is_some(),
            tries_left: TRIES.saturating_sub(on.map_or(0, |on| on.wrong)),
            locked_until: self.locked_until,
        }
    }
}
