//! A board file as written. Everything may be missing, since an ancestor may say it; nothing may be unknown.
//! Numbers are wide, so that one out of range is told by key and range instead of by bits.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBoard {
    pub(crate) inherit: Option<String>,
    pub(crate) secure_element: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) revision: Option<String>,
    #[serde(default)]
    pub(crate) display: RawDisplay,
    #[serde(default)]
    pub(crate) soc: RawSoc,
    #[serde(default)]
    pub(crate) storage: RawStorage,
    #[serde(default)]
    pub(crate) mcu: RawMcu,
    #[serde(default)]
    pub(crate) thermal: RawThermal,
    #[serde(default)]
    pub(crate) fan: RawFan,
    #[serde(default)]
    pub(crate) backlight: RawBacklight,
    #[serde(default)]
    pub(crate) disk: RawDisk,
    pub(crate) sensors: Option<Vec<RawSensor>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDisplay {
    pub(crate) zh: Option<String>,
    pub(crate) en: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSoc {
    pub(crate) class: Option<String>,
    pub(crate) ram_mib: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStorage {
    pub(crate) kind: Option<String>,
    pub(crate) gib: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawMcu {
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) baud: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawThermal {
    pub(crate) derate_at_c: Option<i64>,
    pub(crate) shutdown_at_c: Option<i64>,
    pub(crate) cut_at_c: Option<i64>,
    pub(crate) hysteresis_c: Option<i64>,
    pub(crate) sensor_lost_after_s: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFan {
    pub(crate) kind: Option<String>,
    /// `[°C, percent]` each.
    pub(crate) curve: Option<Vec<[i64; 2]>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawBacklight {
    pub(crate) kind: Option<String>,
    pub(crate) min_percent: Option<i64>,
    pub(crate) max_percent: Option<i64>,
    pub(crate) default_percent: Option<i64>,
    pub(crate) derated_percent: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDisk {
    pub(crate) reserve_mib: Option<i64>,
    pub(crate) reserve_percent: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSensor {
    pub(crate) measures: Option<String>,
    pub(crate) part: Option<String>,
    pub(crate) bus: Option<i64>,
    pub(crate) address: Option<i64>,
    pub(crate) path: Option<String>,
}
