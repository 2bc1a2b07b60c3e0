//! What the board around us can be told: power, screen, loudspeaker. One trait, and who speaks for it.
//!
//! [`BoardControl`] is implemented by the operating system's programs ([`system::SystemControl`]) and by a board controller
//! over its link. [`Row`] puts several of them in a row: the first that is able does it. Decides nothing about when: exams,
//! lessons and reasons are the command core's.

pub mod system;

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

/// What can be told to a board; a device says it to its console, which offers nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Switch the whole board off. It comes back by its power button, its wake alarm, or the mains.
    pub power_off: bool,
    /// Screen dark and bright again, while everything else runs on.
    pub screen: bool,
    /// Volume of the loudspeaker.
    pub volume: bool,
    /// Loudspeaker mute and heard again.
    pub mute: bool,
}

/// How the board was found; `None` is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoardState {
    /// The screen is bright.
    pub screen_on: Option<bool>,
    /// Volume in percent, 0–100.
    pub volume: Option<u8>,
    /// The loudspeaker is mute.
    pub muted: Option<bool>,
}

/// One look at the board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BoardLook {
    /// What it can be told.
    pub abilities: Abilities,
    /// How it is.
    pub state: BoardState,
}

/// Why a board did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    /// There is no way to do it on this board.
    #[error("this board cannot {what}: {fix}")]
    Cannot {
        /// What was asked for: `switch itself off`.
        what: &'static str,
        /// What a technician can do about it.
        fix: String,
    },
    /// It was tried in vain.
    #[error("failed to {what}: {reason}")]
    Failed {
        /// What was asked for.
        what: &'static str,
        /// What the program, the driver or the controller said.
        reason: String,
    },
}

/// The board as it can be told. Each call ends within some seconds; none is repeated by the caller.
pub trait BoardControl: fmt::Debug + Send + Sync {
    /// Looks anew at what the board can and how it is. Never fails: what does not answer is not able.
    fn look(&self) -> BoxFuture<'_, BoardLook>;

    /// Switches the board off in an orderly way; `Ok` as soon as that has begun, and this process ends soon after.
    fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>>;

    /// Makes the screen bright or dark.
    fn screen(&self, on: bool) -> BoxFuture<'_, Result<(), BoardError>>;

    /// Sets the loudspeaker's volume in percent, 0–100. Mute stays as it is.
    fn volume(&self, percent: u8) -> BoxFuture<'_, Result<(), BoardError>>;

    /// Mutes the loudspeaker or lets it be heard. While an exam's silence is on, only its listening audio lets it be heard.
    fn mute(&self, mute: bool) -> BoxFuture<'_, Result<(), BoardError>>;
}

/// Several controls of one board; for each thing the first that is able does it. But a loudspeaker is heard only if nobody on
/// its way is mute: that is told to each.
#[derive(Debug, Clone)]
pub struct Row(Vec<Arc<dyn BoardControl>>);

impl Row {
    /// In order of preference: a board controller before the operating system.
    pub const fn new(controls: Vec<Arc<dyn BoardControl>>) -> Self {
        Self(controls)
    }

    async fn first(
        &self,
        able: fn(&Abilities) -> bool,
        what: &'static str,
    ) -> Result<&dyn BoardControl, BoardError> {
        for control in &self.0 {
            if able(&control.look().await.abilities) {
                return Ok(control.as_ref());
            }
        }
        Err(BoardError::Cannot {
            what,
            fix: "set [control] in the agent's configuration, or choose a board that can".to_owned(),
        })
    }
}

impl BoardControl for Row {
    fn look(&self) -> BoxFuture<'_, BoardLook> {
        Box::pin(async {
            let mut all = BoardLook::default();
            for control in &self.0 {
                let one = control.look().await;
                let (can, had) = (one.abilities, all.abilities);
                all.abilities = Abilities {
                    power_off: had.power_off || can.power_off,
                    screen: had.screen || can.screen,
                    volume: had.volume || can.volume,
                    mute: had.mute || can.mute,
                };
                // Whoever would be told is believed on how it is.
                if can.screen && !had.screen {
                    all.state.screen_on = one.state.screen_on;
                }
                if can.volume && !had.volume {
                    all.state.volume = one.state.volume;
                }
                // One that is mute is enough.
                if can.mute {
                    all.state.muted = match (all.state.muted, one.state.muted) {
                        (Some(true), _) | (_, None) => all.state.muted,
                        (_, Some(muted)) => Some(muted),
                    };
                }
            }
            all
        })
    }

    fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async {
            let control = self.first(|can| can.power_off, "switch itself off").await?;
            control.power_off().await
        })
    }

    fn screen(&self, on: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async move {
            let control = self.first(|can| can.screen, "switch its screen").await?;
            control.screen(on).await
        })
    }

    fn volume(&self, percent: u8) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async move {
            let control = self.first(|can| can.volume, "set its volume").await?;
            control.volume(percent).await
        })
    }

    fn mute(&self, mute: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async move {
            let control = self.first(|can| can.mute, "mute its loudspeaker").await?;
            if mute {
                return control.mute(true).await;
            }
            let mut outcome = Ok(());
            for control in &self.0 {
                if control.look().await.abilities.mute {
                    let told = control.mute(false).await;
                    outcome = outcome.and(told);
                }
            }
            outcome
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Fake {
        can: Abilities,
        muted: Option<bool>,
        fails: bool,
        told: Mutex<Vec<String>>,
    }

    impl Fake {
        fn told(&self, word: String) -> BoxFuture<'_, Result<(), BoardError>> {
            self.told.lock().unwrap().push(word);
            let failed = BoardError::Failed {
                what: "do it",
                reason: "broken".to_owned(),
            };
            let told = if self.fails { Err(failed) } else { Ok(()) };
            Box::pin(async { told })
        }
    }

    impl BoardControl for Fake {
        fn look(&self) -> BoxFuture<'_, BoardLook> {
            let (abilities, state) = (
                self.can,
                BoardState {
                    volume: Some(if self.can.screen { 10 } else { 20 }),
                    muted: self.muted,
                    ..BoardState::default()
                },
            );
            Box::pin(async move { BoardLook { abilities, state } })
        }

        fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
            self.told("off".to_owned())
        }

        fn screen(&self, on: bool) -> BoxFuture<'_, Result<(), BoardError>> {
            self.told(format!("screen {on}"))
        }

        fn volume(&self, percent: u8) -> BoxFuture<'_, Result<(), BoardError>> {
            self.told(format!("volume {percent}"))
        }

        fn mute(&self, mute: bool) -> BoxFuture<'_, Result<(), BoardError>> {
            self.told(format!("mute {mute}"))
        }
    }

    #[tokio::test]
    async fn the_first_that_is_able_does_it_and_nobody_else() {
        let of = |screen, volume| {
            Arc::new(Fake {
                can: Abilities {
                    screen,
                    volume,
                    ..Abilities::default()
                },
                ..Fake::default()
            })
        };
        let (controller, system) = (of(true, false), of(false, true));
        let row = Row::new(vec![controller.clone(), system.clone()]);
        row.screen(false).await.unwrap();
        row.volume(30).await.unwrap();
        assert_eq!(*controller.told.lock().unwrap(), ["screen false"]);
        assert_eq!(*system.told.lock().unwrap(), ["volume 30"]);
        let look = row.look().await;
        assert!(look.abilities.screen && look.abilities.volume && !look.abilities.power_off);
        assert_eq!(
            look.state.volume,
            Some(20),
            "of the one that would be told, not of the first"
        );
        let refused = row.power_off().await.unwrap_err().to_string();
        assert!(refused.contains("cannot switch itself off"), "{refused}");
    }
    #[tokio::test]
    async fn a_loudspeaker_is_heard_when_nobody_on_its_way_is_mute() {
        let of = |muted, fails| {
            Arc::new(Fake {
                can: Abilities {
                    mute: true,
                    ..Abilities::default()
                },
                muted,
                fails,
                ..Fake::default()
            })
        };
        let unable = Arc::new(Fake::default());
        let (amplifier, mixer) = (of(Some(false), true), of(Some(true), false));
        let row = Row::new(vec![unable.clone(), amplifier.clone(), mixer.clone()]);
        assert_eq!(row.look().await.state.muted, Some(true), "the mixer is");
        assert!(row.mute(true).await.is_err());
        assert!(row.mute(false).await.is_err(), "the amplifier failed");
        assert_eq!(*amplifier.told.lock().unwrap(), ["mute true", "mute false"]);
        assert_eq!(*mixer.told.lock().unwrap(), ["mute false"], "told all the same");
        assert!(unable.told.lock().unwrap().is_empty());
        for (one, other, both) in [
            (Some(false), Some(false), Some(false)),
            (Some(true), Some(false), Some(true)),
            (None, Some(false), Some(false)),
            (Some(true), None, Some(true)),
            (None, None, None),
        ] {
            let row = Row::new(vec![of(one, false), of(other, false)]);
            assert_eq!(row.look().await.state.muted, both, "{one:?} {other:?}");
        }
        let refused = Row::new(vec![unable]).mute(false).await;
        assert!(matches!(refused, Err(BoardError::Cannot { .. })), "{refused:?}");
    }
}
