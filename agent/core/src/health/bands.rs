//! Which readings of a look are worth sending: those that left their dead band, and each one once in a while.
//!
//! The rules are data: [`BANDS`] in the program, over which the school's plan may lay its own. Readings of the kind "since the
//! last sample" are never lost by being left out: they are added up until they are sent.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use contract::health::{MetricRule, Readings, SamplingPlan};

use super::readings::{self, NAMES};
use crate::time::Millis;

/// The built-in rules.
pub const BANDS: &str = include_str!("bands.txt");
/// Bounds of [`MetricRule::at_least_every_s`].
const EVERY: (u32, u32) = (60, 86_400);
/// Bounds of [`SamplingPlan::every_s`].
const SAMPLE_EVERY: (u32, u32) = (10, 3600);

/// Whether a reading says how it is, or how much since the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How it is.
    Gauge,
    /// How much since the last sample.
    Sum,
}

/// The rule of one reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// What it says.
    pub kind: Kind,
    /// Change (of a gauge) or amount (of a sum) that is worth sending.
    pub dead_band: f64,
    /// Sent at least this often.
    pub every: Duration,
    /// Whatever is less is no reading.
    pub least: f64,
    /// Whatever is more is no reading.
    pub most: f64,
}

static BUILT_IN: LazyLock<BTreeMap<&'static str, Band>> = LazyLock::new(|| built_in(BANDS));

fn built_in(text: &'static str) -> BTreeMap<&'static str, Band> {
    text.lines().filter_map(line).collect()
}

fn line(text: &'static str) -> Option<(&'static str, Band)> {
    let mut words = text.split_whitespace();
    let name = words.next()?;
    let name = NAMES.iter().find(|known| **known == name)?;
    let kind = match words.next()? {
        "gauge" => Kind::Gauge,
        "sum" => Kind::Sum,
        _ => return None,
    };
    let dead_band = words.next()?.parse().ok()?;
    let every = Duration::from_secs(words.next()?.parse().ok()?);
    let (least, most) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let band = Band {
        kind,
        dead_band,
        every,
        least,
        most,
    };
    Some((name, band))
}

/// What was sent last of one reading.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    sent: Option<(f64, Millis)>,
    /// Of a sum: what was left out since.
    owed: f64,
}

/// A look, without what is not worth sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Sifted {
    /// What is left.
    pub readings: Readings,
    /// Something left its dead band: worth a message of its own.
    pub news: bool,
}

/// Decides what is worth sending.
#[derive(Debug, Default)]
pub struct Bands {
    rules: BTreeMap<&'static str, Band>,
    last: BTreeMap<&'static str, Last>,
}

impl Bands {
    /// With the built-in rules.
    pub fn new() -> Self {
        Self {
            rules: BUILT_IN.clone(),
            last: BTreeMap::new(),
        }
    }

    /// Lays the plan's rules over the built-in ones; names of rules that fit no reading come back.
    pub fn follow(&mut self, plan: Option<&SamplingPlan>) -> Vec<String> {
        self.rules.clone_from(&BUILT_IN);
        let mut unknown = Vec::new();
        for rule in plan.into_iter().flat_map(|plan| &plan.metrics) {
            let Some(band) = NAMES
                .iter()
                .find(|known| **known == rule.metric)
                .and_then(|name| self.rules.get_mut(name))
            else {
                unknown.push(rule.metric.clone());
                continue;
            };
            lay(band, rule);
        }
        unknown
    }

    /// How often to look by the plan, if it says so.
    pub fn interval(plan: Option<&SamplingPlan>) -> Option<Duration> {
        let every = plan?.every_s?.clamp(SAMPLE_EVERY.0, SAMPLE_EVERY.1);
        Some(Duration::from_secs(u64::from(every)))
    }

    /// Leaves out what is not worth sending and what cannot be.
    pub fn sift(&mut self, look: &Readings, now: Millis) -> Sifted {
        let (mut left, mut news) = (Readings::default(), false);
        for (name, band) in &self.rules {
            let found = readings::get(look, name);
            let found = found.filter(|value| value.is_finite() && (band.least..=band.most).contains(value));
            let last = self.last.entry(name).or_default();
            let due = last.sent.is_none_or(|(_, at)| now.since(at) >= band.every);
            let (value, left_band) = match band.kind {
                Kind::Gauge => {
                    let Some(value) = found else { continue };
                    let moved = last
                        .sent
                        .is_none_or(|(sent, _)| sent != value && (value - sent).abs() >= band.dead_band);
                    (value, moved)
                }
                Kind::Sum => {
                    let Some(value) = found.or((last.owed > 0.0).then_some(0.0)) else {
                        continue;
                    };
                    last.owed += value;
                    (last.owed, last.owed > 0.0 && last.owed >= band.dead_band)
                }
            };
            if left_band || due {
                readings::set(&mut left, name, Some(no_finer(value)));
                *last = Last {
                    sent: Some((value, now)),
                    owed: 0.0,
                };
                news |= left_band && band.kind == Kind::Gauge;
            }
        }
        Sifted { readings: left, news }
    }
}

/// With two decimals: no band is as narrow, and digits of noise are what gzip cannot pack.
fn no_finer(value: f64) -> f64 {
    if value.abs() < 1e6 {
        (value * 100.0).round() / 100.0
    } else {
        value
    }
}

fn lay(band: &mut Band, rule: &MetricRule) {
    if rule.dead_band.is_finite() && rule.dead_band >= 0.0 {
        band.dead_band = rule.dead_band;
    }
    let every = rule.at_least_every_s.clamp(EVERY.0, EVERY.1);
    band.every = Duration::from_secs(u64::from(every));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Millis {
        Millis(s * 1000)
    }

    #[test]
    fn every_reading_has_a_rule_and_every_line_of_the_file_is_one() {
        assert_eq!(BUILT_IN.len(), NAMES.len());
        let lines = BANDS.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines, NAMES.len());
        for (name, band) in BUILT_IN.iter() {
            assert!(band.least < band.most, "{name}");
            assert!((60..=86_400).contains(&band.every.as_secs()), "{name}");
        }
    }

    #[test]
    fn a_gauge_is_sent_when_it_left_its_band_and_once_in_a_while() {
        let mut bands = Bands::new();
        let look = |cpu: f32| Readings {
            cpu_percent: Some(cpu),
            ..Readings::default()
        };
        let mut sent = Vec::new();
        for (s, cpu) in [
            (0, 5.0),
            (60, 12.0),
            (120, 19.9),
            (180, 20.0),
            (240, 6.0),
            (480, 6.0),
            (540, 6.1),
        ] {
            let sifted = bands.sift(&look(cpu), at(s));
            if let Some(cpu) = sifted.readings.cpu_percent {
                sent.push((s, cpu, sifted.news));
            }
        }
        // The last one only because it is due.
        assert_eq!(sent, [(0, 5.0, true), (180, 20.0, true), (480, 6.0, false)]);
    }

    #[test]
    fn a_sum_loses_nothing_by_being_left_out() {
        let mut bands = Bands::new();
        let mut seen = 0;
        let mut messages = 0;
        for minute in 0..=100 {
            let look = Readings {
                network_rx_bytes: Some(10_000),
                ..Readings::default()
            };
            let sifted = bands.sift(&look, at(minute * 60));
            assert!(!sifted.news);
            if let Some(bytes) = sifted.readings.network_rx_bytes {
                seen += bytes;
                messages += 1;
            }
        }
        assert_eq!(messages, 1 + 100 / 15);
        assert_eq!(seen, 10_000 * (1 + 90), "all but what is owed since the last");
        let much = Readings {
            network_rx_bytes: Some(5_000_000),
            ..Readings::default()
        };
        assert_eq!(
            bands.sift(&much, at(6060)).readings.network_rx_bytes,
            Some(5_100_000)
        );
    }

    #[test]
    fn digits_of_noise_are_not_sent_and_bytes_are_exact() {
        let look = Readings {
            cpu_percent: Some(12.345_678),
            disk_total_bytes: Some(61_000_000_123),
            ..Readings::default()
        };
        let sent = Bands::new().sift(&look, at(0)).readings;
        assert_eq!(
            (sent.cpu_percent, sent.disk_total_bytes),
            (Some(12.35), Some(61_000_000_123))
        );
    }

    #[test]
    fn what_cannot_be_is_left_out_and_never_zero() {
        let mut bands = Bands::new();
        let look = Readings {
            cpu_percent: Some(f32::NAN),
            temperature_celsius: Some(3000.0),
            emmc_pre_eol: Some(0),
            memory_total_bytes: Some(0),
            load_1m: Some(-1.0),
            disk_free_bytes: Some(0),
            ..Readings::default()
        };
        let sifted = bands.sift(&look, at(0)).readings;
        let full = Readings {
            disk_free_bytes: Some(0),
            ..Readings::default()
        };
        assert_eq!(sifted, full);
    }

    #[test]
    fn a_plan_lays_its_rules_over_ours_and_unknown_names_are_told() {
        let mut bands = Bands::new();
        let rule = |metric: &str, dead_band, at_least_every_s| MetricRule {
            metric: metric.to_owned(),
            dead_band,
            at_least_every_s,
        };
        let plan = SamplingPlan {
            every_s: Some(1),
            metrics: vec![
                rule("cpu_percent", 1.0, 1),
                rule("face", 0.0, 60),
                rule("load_1m", f64::NAN, 60),
            ],
            ..SamplingPlan::default()
        };
        assert_eq!(bands.follow(Some(&plan)), ["face"]);
        assert_eq!(Bands::interval(Some(&plan)), Some(Duration::from_secs(10)));
        assert_eq!(bands.rules["cpu_percent"].dead_band, 1.0);
        assert_eq!(bands.rules["cpu_percent"].every, Duration::from_secs(60));
        assert_eq!(bands.rules["load_1m"].dead_band, BUILT_IN["load_1m"].dead_band);
        assert!(bands.follow(None).is_empty());
        assert_eq!(bands.rules, *BUILT_IN);
        assert_eq!(Bands::interval(None), None);
    }
}
