//! Alerts: which rules hold where, when each is raised and over, what belongs together, and why boards were lost.
//!
//! Decides only: facts and times come in, changes go out. Knows no database, no clock and nobody's address.

pub mod cause;
pub mod engine;
pub mod group;
pub mod metrics;
pub mod replay;

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::api::alerts::{Condition, RuleBody, Schedule, Severity, Side};

const DATA: &str = include_str!("../../../data/alert-rules.toml");
/// Topic of everything about boards that are not there.
pub const CONNECTIVITY: &str = "connectivity";
/// Longest duration of a rule.
pub const MOST_FOR_S: u32 = 86_400;
/// Longest stretch in which events are counted.
pub const MOST_WITHIN_S: u32 = 604_800;

static BUILT_IN: LazyLock<Result<Rules, RuleError>> = LazyLock::new(|| parse(DATA));

/// Rules by key.
pub type Rules = BTreeMap<String, RuleBody>;

/// Why a rule cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not readable at all.
    #[error("the rules cannot be read: {0}")]
    Read(String),
    /// A reading that no board gives.
    #[error(
        "the rule {key} looks at the metric {metric:?}, which nothing measures; see GET /alert-metrics for those there are"
    )]
    UnknownMetric {
        /// Its key.
        key: String,
        /// The name.
        metric: String,
    },
    /// An event that no board tells.
    #[error(
        "the rule {key} waits for the event {event:?}, which no board tells; see GET /alert-metrics for those there are"
    )]
    UnknownEvent {
        /// Its key.
        key: String,
        /// The name.
        event: String,
    },
    /// A value out of bounds.
    #[error("the rule {key}: {field} {problem}")]
    Value {
        /// Its key.
        key: String,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl RuleError {
    /// Which field of the rule it is about.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Read(_) => "rule",
            Self::UnknownMetric { .. } => "rule.condition.metric",
            Self::UnknownEvent { .. } => "rule.condition.event",
            Self::Value { field, .. } => field,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
struct RawRule {
    key: String,
    condition: Condition,
    for_s: u32,
    #[serde(default)]
    schedule: Schedule,
    severity: Severity,
    depends_on: Option<String>,
}

/// The rules that come with the program.
///
/// # Errors
/// The data cannot be used; a test sees to it that it can.
pub fn built_in() -> Result<&'static Rules, RuleError> {
    BUILT_IN.as_ref().map_err(Clone::clone)
}

/// Reads rules from TOML and checks each.
///
/// # Errors
/// Names the rule and what is wrong with it.
pub fn parse(text: &str) -> Result<Rules, RuleError> {
    let raw: Raw = toml::from_str(text).map_err(|error| RuleError::Read(error.to_string()))?;
    let mut rules = Rules::new();
    for rule in raw.rule {
        let body = RuleBody {
            name: String::new(),
            condition: rule.condition,
            for_s: rule.for_s,
            schedule: rule.schedule,
            severity: rule.severity,
            depends_on: rule.depends_on,
            enabled: true,
        };
        check(&rule.key, &body)?;
        if rules.insert(rule.key.clone(), body).is_some() {
            return Err(RuleError::Read(format!("the key {} is there twice", rule.key)));
        }
    }
    Ok(rules)
}

/// Whether a text can be a rule's key: 1–40 small letters, digits and `_`, a letter first.
pub fn is_key(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Checks a rule.
///
/// # Errors
/// Names the field and what is wrong with it.
pub fn check(key: &str, rule: &RuleBody) -> Result<(), RuleError> {
    let refuse = |field, problem: &str| {
        Err(RuleError::Value {
            key: key.to_owned(),
            field,
            problem: problem.to_owned(),
        })
    };
    if !is_key(key) {
        return refuse(
            "key",
            "must be 1 to 40 small letters, digits and _, a letter first",
        );
    }
    if rule.for_s > MOST_FOR_S {
        return refuse("rule.for_s", "is more than a day (86400)");
    }
    match &rule.condition {
        Condition::Metric {
            metric,
            side,
            raise,
            clear,
        } => {
            if !metrics::is_known(metric) {
                return Err(RuleError::UnknownMetric {
                    key: key.to_owned(),
                    metric: metric.clone(),
                });
            }
            if !raise.is_finite() || !clear.is_finite() {
                return refuse("rule.condition.raise", "and clear must be numbers");
            }
            let apart = match side {
                Side::Above => clear < raise,
                Side::Below => clear > raise,
            };
            if !apart {
                return refuse(
                    "rule.condition.clear",
                    "must lie on the good side of raise (below it for `above`, above it for `below`), or the alert would flutter",
                );
            }
        }
        Condition::Offline => {}
        Condition::SchoolLost { percent, boards } => {
            if !(1..=100).contains(percent) {
                return refuse("rule.condition.percent", "must be 1 to 100");
            }
            if !(1..=1_000).contains(boards) {
                return refuse("rule.condition.boards", "must be 1 to 1000");
            }
        }
        Condition::Event {
            event,
            field,
            count,
            within_s,
        } => {
            if !metrics::EVENTS.contains(&event.as_str()) {
                return Err(RuleError::UnknownEvent {
                    key: key.to_owned(),
                    event: event.clone(),
                });
            }
            if !(1..=1_000).contains(count) {
                return refuse("rule.condition.count", "must be 1 to 1000");
            }
            if !(60..=MOST_WITHIN_S).contains(within_s) {
                return refuse("rule.condition.within_s", "must be 60 to 604800");
            }
            if let Some(field) = field
                && (!is_key(&field.name) || field.value.is_empty() || field.value.chars().count() > 200)
            {
                return refuse(
                    "rule.condition.field",
                    "must have a field's name and a value of at most 200 characters",
                );
            }
        }
    }
    match &rule.depends_on {
        Some(parent) if parent == key => refuse("rule.depends_on", "names the rule itself"),
        Some(parent) if !is_key(parent) => refuse("rule.depends_on", "is no rule's key"),
        _ => Ok(()),
    }
}

/// What the alerts of a rule have in common when they are put together.
pub fn topic<'a>(key: &'a str, condition: &Condition) -> &'a str {
    match condition {
        Condition::Offline | Condition::SchoolLost { .. } => CONNECTIVITY,
        _ => key,
    }
}

/// The rules of a place: those built in, then each version from the top down; the nearest wins, and one that is off is not
/// there.
pub fn effective<'a>(built_in: &Rules, top_down: impl IntoIterator<Item = (&'a str, &'a RuleBody)>) -> Rules {
    let mut rules = built_in.clone();
    for (key, body) in top_down {
        rules.insert(key.to_owned(), body.clone());
    }
    rules.retain(|_, body| body.enabled);
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(condition: Condition) -> RuleBody {
        RuleBody {
            name: String::new(),
            condition,
            for_s: 60,
            schedule: Schedule::Always,
            severity: Severity::Warning,
            depends_on: None,
            enabled: true,
        }
    }

    #[test]
    fn the_built_in_rules_can_be_used_and_have_names_in_both_languages() {
        let rules = built_in().unwrap();
        assert!(rules.len() >= 20);
        for key in rules.keys() {
            let name = format!("alert_rule_{key}");
            for language in [crate::config::Language::ZhCn, crate::config::Language::En] {
                let said = crate::messages::text(language, &name, &BTreeMap::new());
                assert_ne!(said, name, "{language} has no name for {key}");
            }
        }
        for (key, rule) in rules {
            if let Some(parent) = &rule.depends_on {
                assert!(rules.contains_key(parent), "{key} depends on {parent}");
            }
        }
    }

    #[test]
    fn a_rule_on_what_nothing_measures_is_refused_by_its_name() {
        let metric = |metric: &str, raise, clear| Condition::Metric {
            metric: metric.into(),
            side: Side::Above,
            raise,
            clear,
        };
        let error = check("fan", &body(metric("fan_rpm", 3.0, 1.0))).unwrap_err();
        assert!(error.to_string().contains("fan_rpm"), "{error}");
        assert!(check("hot", &body(metric("temperature_celsius", 80.0, 70.0))).is_ok());
        assert!(check("hot", &body(metric("temperature_celsius", 80.0, 80.0))).is_err());
        assert!(check("hot", &body(metric("temperature_celsius", f64::NAN, 80.0))).is_err());
        let event = Condition::Event {
            event: "earthquake".into(),
            field: None,
            count: 1,
            within_s: 60,
        };
        assert!(
            check("shake", &body(event))
                .unwrap_err()
                .to_string()
                .contains("earthquake")
        );
        assert!(check("Upper", &body(Condition::Offline)).is_err());
    }

    #[test]
    fn the_nearest_version_wins_and_one_that_is_off_is_off() {
        let built = built_in().unwrap();
        let mut county = built["hot"].clone();
        county.for_s = 7;
        let mut school = county.clone();
        school.enabled = false;
        assert_eq!(effective(built, [("hot", &county)])["hot"].for_s, 7);
        assert!(!effective(built, [("hot", &county), ("hot", &school)]).contains_key("hot"));
        assert_eq!(
            effective(built, [("hot", &school), ("hot", &county)])["hot"].for_s,
            7
        );
    }
}
