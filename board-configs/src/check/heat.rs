//! Heat, fan and light: limits that rise, curves that do not fall.

use super::{Check, Checked};
use crate::board::{AmbientPoint, AtShutdown, Backlight, Drive, Fan, FanPoint, Measure, Sensor, Thermal};
use crate::keys::{self, Allowed, CURVE_POINTS};
use crate::raw::{RawBacklight, RawFan, RawThermal};

const STOPS: &[(&str, AtShutdown)] = &[("stop", AtShutdown::Stop), ("report", AtShutdown::Report)];

/// What drives a part, as its kind says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Pwm,
    Linux,
}

const DRIVES: &[(&str, Kind)] = &[("none", Kind::None), ("pwm", Kind::Pwm), ("linux", Kind::Linux)];

impl Check<'_> {
    pub(super) fn thermal(&self, raw: &RawThermal) -> Checked<Thermal> {
        let derate_at_c: u8 = self.number("thermal.derate_at_c", raw.derate_at_c)?;
        let shutdown_at_c: u8 = self.number("thermal.shutdown_at_c", raw.shutdown_at_c)?;
        let cut_at_c: u8 = self.number("thermal.cut_at_c", raw.cut_at_c)?;
        if shutdown_at_c <= derate_at_c {
            let allowed = format!("more than thermal.derate_at_c = {derate_at_c}");
            return Err(self.value("thermal.shutdown_at_c", shutdown_at_c, allowed));
        }
        if cut_at_c <= shutdown_at_c {
            let allowed = format!("more than thermal.shutdown_at_c = {shutdown_at_c}");
            return Err(self.value("thermal.cut_at_c", cut_at_c, allowed));
        }
        Ok(Thermal {
            derate_at_c,
            shutdown_at_c,
            cut_at_c,
            hysteresis_c: self.number("thermal.hysteresis_c", raw.hysteresis_c)?,
            sensor_lost_after_s: self.number("thermal.sensor_lost_after_s", raw.sensor_lost_after_s)?,
            at_shutdown: self.choice("thermal.at_shutdown", raw.at_shutdown.clone(), STOPS)?,
        })
    }

    pub(super) fn fan(&self, raw: RawFan, thermal: Thermal, alone: bool) -> Checked<Option<Fan>> {
        const KEY: &str = "fan.curve";
        let Some(drive) = self.drive("fan", raw.kind, raw.path, alone)? else {
            self.absent(KEY, raw.curve.as_ref(), "fan.kind = \"none\"")?;
            return Ok(None);
        };
        let points = self.curve(KEY, raw.curve)?;
        let curve: Vec<FanPoint> = points
            .iter()
            .map(|&(at_c, duty_percent)| FanPoint {
                at_c: u8::try_from(at_c).unwrap_or(u8::MAX),
                duty_percent,
            })
            .collect();
        let full = |point: &FanPoint| point.duty_percent == 100 && point.at_c <= thermal.derate_at_c;
        if !curve.iter().any(full) {
            let allowed = format!(
                "100 % at or below thermal.derate_at_c = {} °C",
                thermal.derate_at_c
            );
            return Err(self.value(KEY, format!("{points:?}"), allowed));
        }
        Ok(Some(Fan { drive, curve }))
    }

    pub(super) fn backlight(
        &self,
        raw: RawBacklight,
        sensors: &[Sensor],
        alone: bool,
    ) -> Checked<Option<Backlight>> {
        const AMBIENT: &str = "backlight.ambient";
        let keys = [
            ("backlight.min_percent", raw.min_percent),
            ("backlight.max_percent", raw.max_percent),
            ("backlight.default_percent", raw.default_percent),
            ("backlight.derated_percent", raw.derated_percent),
            ("backlight.eye_care_percent", raw.eye_care_percent),
        ];
        let Some(drive) = self.drive("backlight", raw.kind, raw.path, alone)? else {
            for (key, value) in keys {
                self.absent(key, value.as_ref(), "backlight.kind = \"none\"")?;
            }
            self.absent(AMBIENT, raw.ambient.as_ref(), "backlight.kind = \"none\"")?;
            return Ok(None);
        };
        let [min, max, default, derated, eye_care] = keys;
        let min_percent: u8 = self.number(min.0, min.1)?;
        let max_percent: u8 = self.number_within(max.0, max.1, i64::from(min_percent)..=100)?;
        let within = i64::from(min_percent)..=i64::from(max_percent);
        let ambient = match raw.ambient {
            None => Vec::new(),
            Some(points) => {
                if !sensors.iter().any(|sensor| sensor.measures == Measure::Light) {
                    let allowed = "it beside a [[sensors]] entry with measures = \"light\", or remove it";
                    return Err(self.value(AMBIENT, format!("{points:?}"), allowed));
                }
                let points = self.curve(AMBIENT, Some(points))?;
                if let Some((i, point)) = points
                    .iter()
                    .enumerate()
                    .find(|(_, point)| !within.contains(&i64::from(point.1)))
                {
                    let allowed = format!(
                        "{min_percent} to {max_percent} %, as backlight.min_percent and max_percent say"
                    );
                    return Err(self.value(&format!("{AMBIENT}[{i}]"), point.1, allowed));
                }
                points
                    .iter()
                    .map(|&(lux, percent)| AmbientPoint { lux, percent })
                    .collect()
            }
        };
        Ok(Some(Backlight {
            drive,
            min_percent,
            max_percent,
            default_percent: self.number_within(default.0, default.1, within.clone())?,
            derated_percent: self.number_within(derated.0, derated.1, within.clone())?,
            eye_care_percent: match eye_care.1 {
                None => max_percent,
                found => self.number_within(eye_care.0, found, within)?,
            },
            ambient,
        }))
    }

    /// `None` if there is no such part.
    fn drive(
        &self,
        part: &str,
        kind: Option<String>,
        path: Option<String>,
        alone: bool,
    ) -> Checked<Option<Drive>> {
        let (kind_key, path_key) = (format!("{part}.kind"), format!("{part}.path"));
        match self.choice(&kind_key, kind, DRIVES)? {
            Kind::Linux if !alone => {
                let allowed = "\"none\" or \"pwm\": what the SoC drives, the board controller cannot";
                Err(self.value(&kind_key, "\"linux\"", allowed))
            }
            Kind::Linux => Ok(Some(Drive::Linux(self.path(&path_key, path)?))),
            Kind::Pwm if alone => {
                let allowed = "\"none\" or \"linux\": with mcu.kind = \"none\" there is nobody to drive it";
                Err(self.value(&kind_key, "\"pwm\"", allowed))
            }
            kind => {
                let said = if kind == Kind::Pwm { "pwm" } else { "none" };
                self.absent(&path_key, path.as_ref(), &format!("{kind_key} = {said:?}"))?;
                Ok((kind == Kind::Pwm).then_some(Drive::Pwm))
            }
        }
    }

    /// Points whose first numbers rise and whose second ones, shares, do not fall.
    fn curve(&self, key: &str, raw: Option<Vec<[i64; 2]>>) -> Checked<Vec<(u32, u8)>> {
        let allowed = keys::find(key).map(|key| key.allowed);
        let (x, y) = match allowed {
            Some(Allowed::Curve(x, y)) => (x, y),
            _ => ((1, 0), (1, 0)),
        };
        let shape = Allowed::Curve(x, y).say();
        let raw = raw.ok_or_else(|| self.missing(key, &shape))?;
        if raw.is_empty() || raw.len() > CURVE_POINTS {
            return Err(self.value(key, format!("{raw:?}"), shape));
        }
        let mut points: Vec<(u32, u8)> = Vec::with_capacity(raw.len());
        for (i, &[at, share]) in raw.iter().enumerate() {
            let key = format!("{key}[{i}]");
            let point = (
                self.number_within(&key, Some(at), x.0..=x.1)?,
                self.number_within(&key, Some(share), y.0..=y.1)?,
            );
            if let Some(before) = points.last()
                && (point.0 <= before.0 || point.1 < before.1)
            {
                let allowed = format!(
                    "more than {} and at least {} %, as the point before",
                    before.0, before.1
                );
                return Err(self.value(&key, format!("[{at}, {share}]"), allowed));
            }
            points.push(point);
        }
        Ok(points)
    }
}
