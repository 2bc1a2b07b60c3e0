//! What a board is: one TOML file per revision, read as [`Board`] and checked while reading.
//!
//! Duty: the facts of a board that software must be told, and that nobody can measure. It owns the files under
//! `boards/`; they are built into the program, so that the agent needs no file of its own. It must not know what
//! is decided from these facts.
//!
//! A revision says `inherit = "<model>-rev-<x>"` and only what differs, with a comment why. Tables are joined
//! key by key; lists are replaced, and so is a table that names its `kind`.
#![forbid(unsafe_code)]

mod board;
mod check;
mod error;
mod keys;
mod raw;
mod schema;
mod source;

pub use board::{
    AmbientPoint, Amplifier, AtShutdown, Backlight, Board, Chip, Disk, DisplayName, Drive, Energy, Fan,
    FanPoint, I2cBus, Mcu, Measure, Pin, Pins, Power, Rail, Screen, ScreenProtocol, SecureElement, Sensor,
    SensorAt, SocClass, Storage, StorageKind, Thermal, Watchdog,
};
pub use error::BoardError;
pub use keys::{Allowed, BUSES, CURVE_POINTS, KEYS, Key, Presence, RAILS, SENSORS, book_table};
pub use schema::schema;
pub use source::{MAX_DEPTH, MAX_FILE_BYTES, Source, builtin_names, names};
