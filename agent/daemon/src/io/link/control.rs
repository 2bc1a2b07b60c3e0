//! The board controller as one that can be told ([`BoardControl`]).

use board_link::{PowerAction, Refusal, Request, Response};
use futures_util::future::BoxFuture;

use super::{BoardLink, LinkError, SCREEN_RELAY};
use crate::{
    config::{ControlConfig, Screen, Told},
    io::board::{Abilities, BoardControl, BoardError, BoardLook, BoardState},
};

/// Tells the board controller.
#[derive(Debug, Clone)]
pub struct LinkControl {
    link: BoardLink,
    /// The screen's mains go through the board's relay, and `[control]` does not say that nobody switches them.
    relay: bool,
    /// `[control]` does not say that nobody switches the board off.
    power_off: bool,
}

impl LinkControl {
    /// `relay` says whether the board's file names `pins.relay`; what `config` says that the board cannot, it cannot by its
    /// controller either.
    pub fn new(link: BoardLink, relay: bool, config: &ControlConfig) -> Self {
        Self {
            link,
            relay: relay && config.screen != Some(Screen::Never),
            power_off: config.power_off != Told::Never,
        }
    }

    fn look_now(&self) -> BoardLook {
        let view = self.link.view();
        // What runs in this process has no power switch: the operating system has.
        if self.link.is_inside() || view.board.is_none() {
            return BoardLook::default();
        }
        let has = view.capabilities;
        let relays = view.details.as_ref().map(|details| details.relays_closed);
        let relay = self.relay && has.is_some_and(|has| has.relays > SCREEN_RELAY);
        BoardLook {
            abilities: Abilities {
                power_off: self.power_off,
                screen: relay,
                volume: false,
                mute: has.is_some_and(|has| has.amplifier),
            },
            state: BoardState {
                screen_on: relays
                    .filter(|_| relay)
                    .map(|closed| closed & (1 << SCREEN_RELAY) != 0),
                volume: None,
                muted: self.link.amplifier_muted(),
            },
        }
    }

    async fn tell(&self, what: &'static str, request: Request) -> Result<(), BoardError> {
        let failed = |reason: String| BoardError::Failed { what, reason };
        match self.link.ask(request).await {
            Ok(Response::Refused(refusal)) => Err(failed(refused(refusal).to_owned())),
            Ok(_) => {
                // What it is now, for whoever looks next; a report would come in its own time.
                let _ = self.link.ask(Request::GetDetails).await;
                let _ = self.link.ask(Request::GetReport).await;
                Ok(())
            }
            Err(error @ (LinkError::Away(_) | LinkError::Lost | LinkError::Ask(_))) => {
                Err(failed(error.to_string()))
            }
        }
    }
}

fn never(what: &'static str, fix: &str) -> BoardError {
    BoardError::Cannot {
        what,
        fix: fix.to_owned(),
    }
}

/// For the technician.
const fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoSession => "the board controller was reset; try again",
        Refusal::NotFitted => "this board has no such part",
        Refusal::OutOfRange => "the value is outside the board's range",
        Refusal::WrongState => "the board is starting, stopping or off; try again when it is on",
        Refusal::TooHot => "the board must cool down first",
        Refusal::PartFailed => "the part did not answer: look at its wiring",
        Refusal::Busy => "the board controller is busy; try again",
        Refusal::BadImage => "the image is too large, damaged, or not the one announced",
        Refusal::OutOfOrder => "pieces of the image came in another order",
    }
}

impl BoardControl for LinkControl {
    fn look(&self) -> BoxFuture<'_, BoardLook> {
        Box::pin(async { self.look_now() })
    }

    /// The board asks the machine to stop, then takes its power.
    fn power_off(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        const WHAT: &str = "switch itself off";
        Box::pin(async {
            if !self.power_off {
                return Err(never(WHAT, "[control] power_off says that it cannot"));
            }
            self.tell(WHAT, Request::SetPower(PowerAction::Off)).await
        })
    }

    fn screen(&self, on: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        let request = Request::SetRelay {
            relay: SCREEN_RELAY,
            closed: on,
        };
        const WHAT: &str = "switch its screen";
        Box::pin(async move {
            if !self.relay {
                return Err(never(
                    WHAT,
                    "its board file names no relay, or [control] says that it cannot",
                ));
            }
            self.tell(WHAT, request).await
        })
    }

    fn volume(&self, _percent: u8) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async {
            let fix = "its amplifier can only be muted; set [control] set_volume";
            Err(never("set its volume", fix))
        })
    }

    fn mute(&self, mute: bool) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(self.tell("mute its loudspeaker", Request::SetMute(mute)))
    }
}
