//! Decides how hard the fan turns and what heat allows. Knows neither sensor nor fan.

use board_link::{CentiCelsius, Percent, ThermalLevel};
use heapless::Vec;
use thiserror::Error;

use crate::time::{Instant, Span};

/// Judges readings against limits.
///
/// ```text
///            ≥ derate              ≥ shutdown            ≥ cut
///   Normal ──────────▶ Derated ──────────────▶ Shutdown ───────▶ Cut
///      ▲  ◀── cooled ──                            │              │
///      └─────────── cooled below derate ───────────┴──────────────┘
/// ```
///
/// "Cooled" means colder than the limit by the hysteresis. From `Shutdown` and `Cut` there is only the way back
/// to `Normal`: a board that had to stop does not start half hot.
///
/// A temperature that nobody can tell is treated as a high one: full fan at once, `Derated` after
/// `lost_after`, and never a way down from where it was.
#[derive(Debug, Clone)]
pub struct Thermal {
    limits: ThermalLimits,
    level: ThermalLevel,
    sensor: Sensor,
    warned: bool,
}

#[derive(Debug, Clone)]
enum Sensor {
    /// Not read since the start.
    Unread { lost_at: Instant },
    Read {
        temperature: CentiCelsius,
        /// What the fan is driven by: at least the temperature, at most the hysteresis above it, so that the
        /// fan does not hunt.
        held: CentiCelsius,
        lost_at: Instant,
    },
    /// Nothing believable for `lost_after`.
    Lost,
}

/// The temperatures that matter to a board, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThermalLimits {
    derate: CentiCelsius,
    shutdown: CentiCelsius,
    cut: CentiCelsius,
    hysteresis: CentiCelsius,
    lost_after: Span,
}

/// Limits that cannot keep a board safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LimitError {
    /// Not `derate < shutdown < cut`.
    #[error("limits must rise: derate below shutdown below cut")]
    NotRising,
    /// A limit that no believable reading reaches.
    #[error("limits must lie between 0 °C and 150 °C")]
    OutOfRange,
    /// Zero or more than 20 °C.
    #[error("hysteresis must be above 0 °C and at most 20 °C")]
    Hysteresis,
}

/// Colder readings are not believed, °C/100.
const COLDEST: CentiCelsius = CentiCelsius::from_celsius(-40);
/// Hotter readings are not believed, °C/100: the silicon would be gone.
const HOTTEST: CentiCelsius = CentiCelsius::from_celsius(150);

impl ThermalLimits {
    /// Checks that the limits rise within 0 to 150 °C and that the hysteresis is sound. `lost_after` is how
    /// long the board trusts an old reading.
    ///
    /// # Errors
    /// [`LimitError`] says which rule is broken.
    pub fn new(
        derate: CentiCelsius,
        shutdown: CentiCelsius,
        cut: CentiCelsius,
        hysteresis: CentiCelsius,
        lost_after: Span,
    ) -> Result<Self, LimitError> {
        if !(derate < shutdown && shutdown < cut) {
            return Err(LimitError::NotRising);
        }
        if derate.0 <= 0 || cut > HOTTEST {
            return Err(LimitError::OutOfRange);
        }
        if hysteresis.0 <= 0 || hysteresis > CentiCelsius::from_celsius(20) {
            return Err(LimitError::Hysteresis);
        }
        Ok(Self {
            derate,
            shutdown,
            cut,
            hysteresis,
            lost_after,
        })
    }

    /// From here on there is no power.
    #[must_use]
    pub const fn cut(&self) -> CentiCelsius {
        self.cut
    }

    /// From here on the SoC must stop.
    #[must_use]
    pub const fn shutdown(&self) -> CentiCelsius {
        self.shutdown
    }

    /// From here on the agent is warned: half way from the first limit to the second.
    #[must_use]
    pub const fn warn(&self) -> CentiCelsius {
        CentiCelsius(self.derate.0 + (self.shutdown.0 - self.derate.0) / 2)
    }

    fn level_at(&self, temperature: CentiCelsius) -> ThermalLevel {
        if temperature >= self.cut {
            ThermalLevel::Cut
        } else if temperature >= self.shutdown {
            ThermalLevel::Shutdown
        } else if temperature >= self.derate {
            ThermalLevel::Derated
        } else {
            ThermalLevel::Normal
        }
    }

    fn plus_hysteresis(&self, temperature: CentiCelsius) -> CentiCelsius {
        CentiCelsius(temperature.0.saturating_add(self.hysteresis.0))
    }
}

impl Thermal {
    /// Nothing read yet.
    #[must_use]
    pub fn new(limits: ThermalLimits, now: Instant) -> Self {
        let sensor = Sensor::Unread {
            lost_at: now.after(limits.lost_after),
        };
        Self {
            limits,
            level: ThermalLevel::Normal,
            sensor,
            warned: false,
        }
    }

    /// A sensor was read; `None` when it did not answer. What lies outside −40 to 150 °C counts as no answer.
    pub fn reading(&mut self, temperature: Option<CentiCelsius>, now: Instant) {
        let Some(temperature) = temperature.filter(|t| (COLDEST..=HOTTEST).contains(t)) else {
            return;
        };
        let ceiling = self.limits.plus_hysteresis(temperature);
        let held = match self.sensor {
            Sensor::Read { held, .. } => held.clamp(temperature, ceiling),
            Sensor::Unread { .. } | Sensor::Lost => temperature,
        };
        self.sensor = Sensor::Read {
            temperature,
            held,
            lost_at: now.after(self.limits.lost_after),
        };

        // Cooled by the hysteresis, the next rise is worth another warning.
        self.warned = temperature >= self.limits.warn() || (self.warned && ceiling >= self.limits.warn());
        let reached = self.limits.level_at(temperature);
        let cooled = self.limits.level_at(ceiling);
        self.level = match self.level {
            level if reached >= level => reached,
            ThermalLevel::Shutdown | ThermalLevel::Cut if cooled > ThermalLevel::Normal => self.level,
            level => level.min(cooled),
        };
    }

    /// When to call [`Thermal::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match self.sensor {
            Sensor::Unread { lost_at } | Sensor::Read { lost_at, .. } => Some(lost_at),
            Sensor::Lost => None,
        }
    }

    /// Gives the sensor up when its time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|lost_at| lost_at <= now) {
            self.sensor = Sensor::Lost;
            self.level = self.level.max(ThermalLevel::Derated);
        }
    }

    /// What heat allows now.
    #[must_use]
    pub const fn level(&self) -> ThermalLevel {
        self.level
    }

    /// Hot enough to warn the agent.
    #[must_use]
    pub const fn warned(&self) -> bool {
        self.warned
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &ThermalLimits {
        &self.limits
    }

    /// Nothing believable was read for too long.
    #[must_use]
    pub const fn lost(&self) -> bool {
        matches!(self.sensor, Sensor::Lost)
    }

    /// The last believable reading, unless it is too old.
    #[must_use]
    pub const fn temperature(&self) -> Option<CentiCelsius> {
        match self.sensor {
            Sensor::Read { temperature, .. } => Some(temperature),
            Sensor::Unread { .. } | Sensor::Lost => None,
        }
    }

    /// How hard the fan must turn. Never less than the curve asks for at the last reading.
    #[must_use]
    pub fn duty(&self, curve: &FanCurve) -> Percent {
        match self.sensor {
            Sensor::Read { held, .. } if self.level < ThermalLevel::Shutdown => curve.duty_at(held),
            _ => Percent::FULL,
        }
    }
}

/// Points that a [`FanCurve`] holds at most.
pub const MAX_POINTS: usize = 8;

/// Fan drive over temperature: straight lines between points, level outside them. Never falls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FanCurve(Vec<(CentiCelsius, Percent), MAX_POINTS>);

/// Points that make no fan curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CurveError {
    /// None, or more than [`MAX_POINTS`].
    #[error("a fan curve has 1 to {MAX_POINTS} points, not {0}")]
    Count(usize),
    /// The point with this index, from 0, is not hotter than the one before, or turns slower.
    #[error("point {0} of the fan curve must be hotter than the one before, and turn no slower")]
    NotRising(usize),
}

impl FanCurve {
    /// Checks that temperatures rise and drive does not fall.
    ///
    /// # Errors
    /// [`CurveError`] names the first bad point.
    pub fn new(points: &[(CentiCelsius, Percent)]) -> Result<Self, CurveError> {
        if points.is_empty() {
            return Err(CurveError::Count(0));
        }
        for (i, pair) in points.windows(2).enumerate() {
            if let [(colder, slower), (hotter, faster)] = pair
                && (colder >= hotter || slower > faster)
            {
                return Err(CurveError::NotRising(i + 1));
            }
        }
        Vec::from_slice(points)
            .map(Self)
            .map_err(|_| CurveError::Count(points.len()))
    }

    /// The drive at a temperature, rounded up.
    #[must_use]
    pub fn duty_at(&self, temperature: CentiCelsius) -> Percent {
        let mut below: Option<(CentiCelsius, Percent)> = None;
        for &(at, duty) in &self.0 {
            if temperature <= at {
                return match below {
                    Some(below) => between(below, (at, duty), temperature),
                    None => duty,
                };
            }
            below = Some((at, duty));
        }
        // A curve has a point; were it empty, a full fan is the safe answer.
        below.map_or(Percent::FULL, |(_, duty)| duty)
    }
}

fn between(
    (cold, slow): (CentiCelsius, Percent),
    (hot, fast): (CentiCelsius, Percent),
    at: CentiCelsius,
) -> Percent {
    let wide = |c: CentiCelsius| i32::from(c.0);
    let width = wide(hot) - wide(cold);
    let rise = i32::from(fast.get()) - i32::from(slow.get());
    let above = (rise * (wide(at) - wide(cold)) + width - 1) / width;
    u8::try_from(above)
        .ok()
        .and_then(|above| Percent::new(slow.get() + above).ok())
        .unwrap_or(Percent::FULL)
}
