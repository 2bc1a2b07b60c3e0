//! Decides how bright the screen is: a wish, the light in the room, a cap for eyes' sake. Knows no lamp.

use board_link::{LightMode, Percent};
use heapless::Vec;
use thiserror::Error;

use crate::thermal::MAX_POINTS;
use crate::time::{Instant, Span};

/// Screen light over room light: straight lines between points, level outside them. Never falls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LightCurve {
    points: Vec<(u32, Percent), MAX_POINTS>,
}

/// Points that make no light curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LightCurveError {
    /// None, or too many.
    #[error("a light curve has 1 to {MAX_POINTS} points, not {0}")]
    Count(usize),
    /// The point with this index, from 0, is in no lighter a room than the one before, or is darker.
    #[error("point {0} of the light curve must be in a lighter room than the one before, and no darker")]
    NotRising(usize),
}

impl LightCurve {
    /// Checks that lux rise and light does not fall.
    ///
    /// # Errors
    /// [`LightCurveError`] names the first bad point.
    pub fn new(points: &[(u32, Percent)]) -> Result<Self, LightCurveError> {
        if points.is_empty() {
            return Err(LightCurveError::Count(0));
        }
        for (i, pair) in points.windows(2).enumerate() {
            if let [(darker, less), (lighter, more)] = pair
                && (darker >= lighter || less > more)
            {
                return Err(LightCurveError::NotRising(i + 1));
            }
        }
        let points = Vec::from_slice(points).map_err(|_| LightCurveError::Count(points.len()))?;
        Ok(Self { points })
    }

    /// The light for a room.
    #[must_use]
    pub fn at(&self, lux: u32) -> Percent {
        let mut below: Option<(u32, Percent)> = None;
        for &(at, share) in &self.points {
            if lux <= at {
                let Some((from, dim)) = below else {
                    return share;
                };
                let width = u64::from(at - from);
                let rise = u64::from(share.get() - dim.get());
                let more = rise * u64::from(lux - from) / width;
                let found = u8::try_from(more)
                    .ok()
                    .and_then(|more| Percent::new(dim.get() + more).ok());
                return found.unwrap_or(share);
            }
            below = Some((at, share));
        }
        below.map_or(Percent::FULL, |(_, share)| share)
    }
}

/// What a wish for light becomes. Without a curve the mode is always fixed.
#[derive(Debug, Clone)]
pub struct Light {
    curve: Option<LightCurve>,
    mode: LightMode,
    wish: Percent,
    cap: Option<Percent>,
    lux: Option<u32>,
    /// What a room's light has led to so far: it follows slowly, so that a cloud or a hand does not flicker.
    followed: Option<Percent>,
    step_at: Option<Instant>,
}

/// One percent each: from dark to full in twenty seconds.
const STEP: Span = Span::from_ms(200);
/// A change of the room that moves the curve by no more than this is not followed, %.
const DEAD_BAND: u8 = 3;
/// Brighter than the sun on a clear day: the sensor errs.
const MOST_LUX: u32 = 150_000;

impl Light {
    /// Along the room's light where there is a curve, else as wished.
    #[must_use]
    pub const fn new(curve: Option<LightCurve>, wish: Percent) -> Self {
        let mode = if curve.is_some() {
            LightMode::Ambient
        } else {
            LightMode::Fixed
        };
        Self {
            curve,
            mode,
            wish,
            cap: None,
            lux: None,
            followed: None,
            step_at: None,
        }
    }

    /// Somebody wants this much, from now on.
    pub const fn wish(&mut self, share: Percent) {
        self.wish = share;
        self.mode = LightMode::Fixed;
        self.step_at = None;
    }

    /// Sets who decides; `false` when the board cannot follow the room.
    pub fn set_mode(&mut self, mode: LightMode, now: Instant) -> bool {
        if mode == LightMode::Ambient && self.curve.is_none() {
            return false;
        }
        if self.mode != mode {
            self.mode = mode;
            self.followed = Some(self.wish);
            self.plan_step(now);
        }
        true
    }

    /// Caps the light for eyes' sake, or lifts the cap.
    pub const fn set_cap(&mut self, cap: Option<Percent>) {
        self.cap = cap;
    }

    /// The sensor was read. `None`, or more than the sun gives, leaves the light as it is.
    pub fn room(&mut self, lux: Option<u32>, now: Instant) {
        self.lux = lux.filter(|lux| *lux <= MOST_LUX);
        self.plan_step(now);
    }

    /// When to call [`Light::handle_timeout`].
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.step_at
    }

    /// Goes one step towards the room's light when its time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.step_at.is_none_or(|due| now < due) {
            return;
        }
        self.step_at = None;
        let (Some(target), Some(at)) = (self.target(), self.followed) else {
            return;
        };
        let (target, at) = (target.get(), at.get());
        let next = match at.cmp(&target) {
            core::cmp::Ordering::Less => at + 1,
            core::cmp::Ordering::Greater => at - 1,
            core::cmp::Ordering::Equal => at,
        };
        self.followed = Percent::new(next).ok();
        if next != target {
            self.step_at = Some(now.after(STEP));
        }
    }

    /// The light now, before heat has its say.
    #[must_use]
    pub fn now(&self) -> Percent {
        let share = match self.mode {
            LightMode::Fixed => self.wish,
            LightMode::Ambient => self.followed.unwrap_or(self.wish),
        };
        self.cap.map_or(share, |cap| share.min(cap))
    }

    /// Who decides.
    #[must_use]
    pub const fn mode(&self) -> LightMode {
        self.mode
    }

    /// The cap.
    #[must_use]
    pub const fn cap(&self) -> Option<Percent> {
        self.cap
    }

    /// The room's light, when it was last believable.
    #[must_use]
    pub const fn lux(&self) -> Option<u32> {
        self.lux
    }

    fn target(&self) -> Option<Percent> {
        Some(self.curve.as_ref()?.at(self.lux?))
    }

    fn plan_step(&mut self, now: Instant) {
        if self.mode != LightMode::Ambient || self.step_at.is_some() {
            return;
        }
        let Some(target) = self.target() else { return };
        match self.followed {
            // The first look at the room.
            None => self.followed = Some(target),
            Some(at) if at.get().abs_diff(target.get()) > DEAD_BAND => self.step_at = Some(now.after(STEP)),
            Some(_) => {}
        }
    }
}
