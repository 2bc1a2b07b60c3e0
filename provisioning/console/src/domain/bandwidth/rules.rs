//! Rules as data: reading them, checking them, and what they ask of a school's line in a year.

use crate::{
    api::bandwidth::{Rule, RuleSet, Rules, Target, TargetFrom},
    domain::line::UTC_OFFSET_MIN,
};

/// The rules of a new console.
pub const BUILT_IN: &str = include_str!("../../../data/bandwidth-rules.toml");
/// Highest tolerance, percent.
pub const MOST_TOLERANCE: u8 = 10;
const MOST_SETS: usize = 200;
const MOST_RULES: usize = 50;
const MOST_MBPS: u32 = 100_000;
const MOST_CHARS: usize = 400;

/// Reads rules as TOML.
///
/// # Errors
/// A sentence that names what is wrong and where.
pub fn parse(text: &str) -> Result<Rules, String> {
    let rules: Rules = toml::from_str(text).map_err(|e| e.to_string())?;
    check(&rules)?;
    Ok(rules)
}

/// Whether rules are within their bounds.
///
/// # Errors
/// A sentence that names what is wrong and what is allowed.
pub fn check(rules: &Rules) -> Result<(), String> {
    if rules.version == 0 {
        return Err("version is 0; versions count from 1".to_owned());
    }
    if rules.tolerance_percent > MOST_TOLERANCE {
        return Err(format!(
            "tolerance_percent is {}; allowed is 0 to {MOST_TOLERANCE}",
            rules.tolerance_percent
        ));
    }
    if rules.sets.len() > MOST_SETS {
        return Err(format!(
            "{} sets; allowed are up to {MOST_SETS}",
            rules.sets.len()
        ));
    }
    for (n, set) in rules.sets.iter().enumerate() {
        check_set(set)?;
        if rules.sets[..n].iter().any(|other| other.id == set.id) {
            return Err(format!("two sets are called {:?}", set.id));
        }
    }
    Ok(())
}

fn check_set(set: &RuleSet) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if set.id.is_empty() || set.id.len() > 40 || !set.id.chars().all(plain) {
        return Err(format!(
            "the id {:?} of a set; allowed are 1 to 40 of a-z, 0-9 and -",
            set.id
        ));
    }
    let texts = [&set.name, &set.source];
    let of_rules = set.rules.iter().flat_map(|rule| [&rule.quote, &rule.denominator]);
    for text in texts.into_iter().chain(of_rules) {
        if text.chars().count() > MOST_CHARS || text.chars().any(char::is_control) {
            return Err(format!(
                "set {:?}: a text is longer than {MOST_CHARS} characters or holds a control character",
                set.id
            ));
        }
    }
    if set.rules.is_empty() || set.rules.len() > MOST_RULES {
        return Err(format!(
            "set {:?} has {} rules; allowed are 1 to {MOST_RULES}",
            set.id,
            set.rules.len()
        ));
    }
    for rule in &set.rules {
        if !(1990..=2200).contains(&rule.from_year) {
            return Err(format!(
                "set {:?}: from_year is {}; allowed is 1990 to 2200",
                set.id, rule.from_year
            ));
        }
        for mbps in [rule.down_mbps, rule.up_mbps].into_iter().flatten() {
            if !(1..=MOST_MBPS).contains(&mbps) {
                return Err(format!(
                    "set {:?}: a rate is {mbps} Mbit/s; allowed is 1 to {MOST_MBPS}",
                    set.id
                ));
            }
        }
        if rule.access_percent.is_some_and(|percent| percent > 100) {
            return Err(format!("set {:?}: access_percent is above 100", set.id));
        }
    }
    Ok(())
}

/// The rule of a set that holds in a year.
pub fn in_year(set: &RuleSet, year: i16) -> Option<&Rule> {
    set.rules
        .iter()
        .filter(|rule| rule.from_year <= year)
        .max_by_key(|rule| rule.from_year)
}

/// The year by the schools' clock.
pub fn year(at: jiff::Timestamp) -> i16 {
    local(at).year()
}

/// A moment by the schools' clock.
pub fn local(at: jiff::Timestamp) -> jiff::civil::DateTime {
    let offset =
        jiff::tz::Offset::from_seconds(i32::from(UTC_OFFSET_MIN) * 60).unwrap_or(jiff::tz::Offset::UTC);
    offset.to_datetime(at)
}

/// What a school's line is held against: the rule's rates, else what the line is paid for.
pub fn target(rules: &Rules, set: Option<&str>, year: i16, paid_kbps: Option<u32>) -> Target {
    let set = set.and_then(|id| rules.sets.iter().find(|set| set.id == id));
    let rule = set.and_then(|set| in_year(set, year));
    let kbps = |mbps: Option<u32>| mbps.map(|mbps| mbps.saturating_mul(1_000));
    let by_rule = rule.filter(|rule| rule.down_mbps.is_some() || rule.up_mbps.is_some());
    let (down_kbps, up_kbps, from) = match (by_rule, paid_kbps) {
        (Some(rule), _) => (kbps(rule.down_mbps), kbps(rule.up_mbps), TargetFrom::Rule),
        (None, Some(paid)) => (Some(paid), None, TargetFrom::Contract),
        (None, None) => (None, None, TargetFrom::Nobody),
    };
    Target {
        down_kbps,
        up_kbps,
        from,
        rule_set: set.map(|set| set.id.clone()),
        rules_version: rules.version,
        quote: rule.map(|rule| rule.quote.clone()).filter(|q| !q.is_empty()),
        tolerance_percent: rules.tolerance_percent,
    }
}
