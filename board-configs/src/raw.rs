//! A board file as written. Everything may be missing, since an ancestor may say it; nothing may be unknown.
//! Numbers are wide, so that one out of range is told by key and range instead of by bits.

use serde::Deserialize;

/// Tables of optional keys.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Default, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $name {
                $(pub(crate) $key: Option<$type>,)*
            }
        )*
    };
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawBoard {
    pub(crate) inherit: Option<String>,
    pub(crate) secure_element: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) display: RawDisplay,
    pub(crate) soc: RawSoc,
    pub(crate) storage: RawStorage,
    pub(crate) mcu: RawMcu,
    pub(crate) power: RawPower,
    pub(crate) rails: Vec<RawRail>,
    pub(crate) watchdog: RawWatchdog,
    pub(crate) wake: RawWake,
    pub(crate) thermal: RawThermal,
    pub(crate) fan: RawFan,
    pub(crate) backlight: RawBacklight,
    pub(crate) amplifier: RawAmplifier,
    pub(crate) screen: RawScreen,
    pub(crate) energy: RawEnergy,
    pub(crate) pins: RawPins,
    pub(crate) i2c: Vec<RawI2c>,
    pub(crate) disk: RawDisk,
    pub(crate) sensors: Vec<RawSensor>,
}

/// `[x, y]` each.
type Points = Vec<[i64; 2]>;

tables! {
    RawDisplay { zh: String, en: String, }
    RawSoc { class: String, ram_mib: i64, }
    RawStorage { kind: String, gib: i64, }
    RawMcu {
        kind: String, path: String, baud: i64, address: String, part: String, flash_kib: i64, ram_kib: i64,
    }
    RawPower { start_ms: i64, stop_s: i64, rest_s: i64, }
    RawRail { name: String, pin: String, good_pin: String, settle_ms: i64, fall_ms: i64, timeout_ms: i64, }
    RawWatchdog { ask_s: i64, reset_s: i64, boot_s: i64, resets: i64, power_cycles: i64, }
    RawWake { lead_min: i64, }
    RawThermal {
        derate_at_c: i64, shutdown_at_c: i64, cut_at_c: i64, hysteresis_c: i64,
        sensor_lost_after_s: i64, at_shutdown: String,
    }
    RawFan { kind: String, path: String, curve: Points, }
    RawBacklight {
        kind: String, path: String, min_percent: i64, max_percent: i64, default_percent: i64,
        derated_percent: i64, eye_care_percent: i64, ambient: Points,
    }
    RawAmplifier { kind: String, }
    RawScreen { kind: String, protocol: String, path: String, baud: i64, set_id: i64, address: String, }
    RawEnergy { standby_mw: i64, on_mw: i64, screen_mw: i64, }
    RawPins {
        button: String, led: String, relay: String, mute: String, soc_reset: String, soc_halted: String,
        fan_pwm: String, fan_tach: String, backlight_pwm: String, case_open: String, uart_tx: String,
        uart_rx: String,
    }
    RawI2c { bus: i64, scl: String, sda: String, }
    RawDisk { reserve_mib: i64, reserve_percent: i64, }
    RawSensor { measures: String, part: String, bus: i64, address: i64, path: String, shunt_mohm: i64, }
}
