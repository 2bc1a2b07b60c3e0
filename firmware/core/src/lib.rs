//! What a board decides about power, heat and its watchdog.
//!
//! Duty: take what happened ([`Event`]) and what time it is ([`Instant`]), and say what to do ([`Effect`]).
//! It owns the board's safety, with or without an agent. It must not know a pin, a bus, a clock or a byte of a
//! frame: the board's program does, and so does the agent on boards that have no MCU.
//!
//! [`Controller`] joins three machines that know nothing of each other: [`Power`], [`Thermal`], [`Watchdog`].
#![no_std]
#![forbid(unsafe_code)]

mod controller;
mod event;
mod power;
mod session;
mod settings;
mod thermal;
mod time;
mod watchdog;

pub use controller::Controller;
pub use event::{Effect, Event};
pub use power::{After, Power, PowerTimes, WrongState};
pub use session::Identity;
pub use settings::{BacklightRange, Cooling, Settings, Start};
pub use thermal::{CurveError, FanCurve, LimitError, MAX_POINTS, Thermal, ThermalLimits};
pub use time::{Instant, Span};
pub use watchdog::{Step, Watchdog, WatchdogTimes};
