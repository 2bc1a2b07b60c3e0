//! What a board decides about power, heat and its watchdog.
//!
//! Duty: take what happened ([`Event`]) and what time it is ([`Instant`]), and say what to do ([`Effect`]).
//! It owns the board's safety, with or without an agent. It must not know a pin, a bus, a clock or a byte of a
//! frame: the board's program does, and so does the agent on boards that have no MCU.
//!
//! [`Controller`] joins machines that know nothing of each other: [`Power`], [`Rails`], [`Thermal`], [`Watchdog`],
//! [`Light`], [`Button`], [`Clock`], [`Wake`], [`EnergyCounter`], [`faults::FaultLog`]. [`slots`] stands beside it:
//! the two images of the board controller's own program.
#![no_std]
#![forbid(unsafe_code)]

mod button;
mod clock;
mod controller;
mod energy;
mod event;
pub mod faults;
mod light;
mod power;
mod rails;
mod settings;
pub mod slots;
mod thermal;
mod time;
mod wake;
mod watchdog;

pub use board_link::Identity;
pub use button::{Button, ButtonTimes};
pub use clock::{Clock, ClockTrouble};
pub use controller::Controller;
pub use energy::{EnergyCounter, PowerDraw};
pub use event::{Effect, Event};
pub use light::{Light, LightCurve, LightCurveError};
pub use power::{After, Power, PowerTimes, WrongState};
pub use rails::{MAX_RAILS, Rail, RailCount, RailEvent, RailPlan, Rails};
pub use settings::{BacklightRange, Cooling, Memory, Parts, Settings, Start};
pub use thermal::{CurveError, FanCurve, LimitError, MAX_POINTS, Thermal, ThermalLimits};
pub use time::{Instant, Span};
pub use wake::{PlanError, Wake, Window};
pub use watchdog::{Step, Watchdog, WatchdogTimes};
