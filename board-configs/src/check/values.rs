//! One value, checked by the table of keys.

use std::ops::RangeInclusive;

use super::{Check, Checked};
use crate::board::Pin;
use crate::error::BoardError;
use crate::keys::{self, Allowed, Presence};

impl Check<'_> {
    /// The error that `found` stands at `key`.
    pub(super) fn value(&self, key: &str, found: impl ToString, allowed: impl Into<String>) -> BoardError {
        BoardError::Value {
            file: self.file_of(key),
            key: key.to_owned(),
            found: found.to_string(),
            allowed: allowed.into(),
        }
    }

    pub(super) fn missing(&self, key: &str, allowed: &str) -> BoardError {
        BoardError::Missing {
            file: self.own_file(),
            key: key.to_owned(),
            allowed: allowed.to_owned(),
        }
    }

    fn present<T>(&self, key: &str, value: Option<T>, allowed: &str) -> Checked<T> {
        value.ok_or_else(|| self.missing(key, allowed))
    }

    /// Within the key's own range; where nothing is said, the key's default.
    pub(super) fn number<T: TryFrom<i64>>(&self, key: &str, value: Option<i64>) -> Checked<T> {
        let (range, default) = match keys::find(key).map(|key| (key.allowed, key.presence)) {
            Some((Allowed::Number(low, high), Presence::Default(default))) => (low..=high, Some(default)),
            Some((Allowed::Number(low, high), _)) => (low..=high, None),
            // Not in the table: nothing is allowed, so that a test finds it.
            _ => (RangeInclusive::new(1, 0), None),
        };
        self.number_within(key, value.or(default), range)
    }

    /// The same of a number that may be left out.
    pub(super) fn maybe<T: TryFrom<i64>>(&self, key: &str, value: Option<i64>) -> Checked<Option<T>> {
        value.map(|value| self.number(key, Some(value))).transpose()
    }

    /// Within a range that another value narrows.
    pub(super) fn number_within<T: TryFrom<i64>>(
        &self,
        key: &str,
        value: Option<i64>,
        range: RangeInclusive<i64>,
    ) -> Checked<T> {
        let allowed = Allowed::Number(*range.start(), *range.end()).say();
        let value = self.present(key, value, &allowed)?;
        let narrow = if range.contains(&value) {
            T::try_from(value).ok()
        } else {
            None
        };
        narrow.ok_or_else(|| self.value(key, value, allowed))
    }

    pub(super) fn number_of(&self, key: &str, value: Option<i64>) -> Checked<u32> {
        let numbers = match keys::find(key).map(|key| key.allowed) {
            Some(Allowed::NumberOf(numbers)) => numbers,
            _ => &[],
        };
        let allowed = Allowed::NumberOf(numbers).say();
        let value = self.present(key, value, &allowed)?;
        let known = numbers.contains(&value).then(|| u32::try_from(value).ok());
        known.flatten().ok_or_else(|| self.value(key, value, allowed))
    }

    /// What a word of the key means; where nothing is said, the key's default.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        value: Option<String>,
        meanings: &[(&str, T)],
    ) -> Checked<T> {
        let names: Vec<_> = meanings.iter().map(|(name, _)| format!("{name:?}")).collect();
        let allowed = format!("one of {}", names.join(", "));
        let default = match keys::find(key).map(|key| key.presence) {
            Some(Presence::DefaultWord(word)) => Some(word.to_owned()),
            _ => None,
        };
        let value = self.present(key, value.or(default), &allowed)?;
        let found = meanings
            .iter()
            .find(|(name, _)| *name == value)
            .map(|(_, meaning)| *meaning);
        found.ok_or_else(|| self.value(key, format!("{value:?}"), allowed))
    }

    /// A part of a name.
    pub(super) fn word(&self, key: &str, value: Option<String>) -> Checked<String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        self.string(key, value, Allowed::Word, |value| {
            !value.is_empty() && value.len() <= 40 && value.chars().all(plain)
        })
    }

    /// Words for people.
    pub(super) fn text(&self, key: &str, value: Option<String>) -> Checked<String> {
        self.string(key, value, Allowed::Text, |value| {
            !value.trim().is_empty() && value.chars().count() <= 60 && !value.chars().any(char::is_control)
        })
    }

    pub(super) fn path(&self, key: &str, value: Option<String>) -> Checked<String> {
        self.string(key, value, Allowed::Path, |value| {
            value.starts_with('/') && value.len() <= 200 && !value.chars().any(char::is_control)
        })
    }

    /// `host:port`; an IPv6 host stands in brackets.
    pub(super) fn address(&self, key: &str, value: Option<String>) -> Checked<String> {
        self.string(key, value, Allowed::Address, |value| {
            let Some((host, port)) = value.rsplit_once(':') else {
                return false;
            };
            let bracketed = host.starts_with('[') && host.ends_with(']');
            let plain = host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
            let port = port.parse::<u16>().is_ok_and(|port| port != 0);
            (1..=200).contains(&host.len()) && (plain || bracketed) && port
        })
    }

    /// A pin of the board controller, or without one (`alone`) a line of Linux.
    pub(super) fn pin(&self, key: &str, value: Option<String>, alone: bool) -> Checked<Pin> {
        let allowed = Allowed::Pin.say();
        let value = self.present(key, value, &allowed)?;
        let refused = |allowed: String| Err(self.value(key, format!("{value:?}"), allowed));
        match parse_pin(&value) {
            None => refused(allowed),
            Some(Pin::Mcu { .. }) if alone => refused(
                "a line of Linux, such as \"gpiochip0/17\": the board has no board controller".to_owned(),
            ),
            Some(Pin::Linux { .. }) if !alone => {
                refused("a pin of the board controller, \"PA0\" to \"PK15\"".to_owned())
            }
            Some(pin) => Ok(pin),
        }
    }

    /// A key that has no meaning beside `because`.
    pub(super) fn absent<T: std::fmt::Debug>(
        &self,
        key: &str,
        value: Option<&T>,
        because: &str,
    ) -> Checked<()> {
        value.map_or(Ok(()), |value| {
            Err(self.value(
                key,
                format!("{value:?}"),
                format!("it without {because}, or remove it"),
            ))
        })
    }

    fn string(
        &self,
        key: &str,
        value: Option<String>,
        allowed: Allowed,
        good: impl Fn(&str) -> bool,
    ) -> Checked<String> {
        let allowed = allowed.say();
        let value = self.present(key, value, &allowed)?;
        if good(&value) {
            Ok(value)
        } else {
            Err(self.value(key, format!("{value:?}"), allowed))
        }
    }
}

fn parse_pin(text: &str) -> Option<Pin> {
    let plain = |digits: &str| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    if let Some(line) = text.strip_prefix("gpiochip") {
        let (chip, line) = line.split_once('/')?;
        if !plain(chip) || !plain(line) || chip.len() > 2 || line.len() > 3 {
            return None;
        }
        return Some(Pin::Linux {
            chip: chip.parse().ok()?,
            line: line.parse().ok()?,
        });
    }
    let mut rest = text.strip_prefix('P')?.chars();
    let port = rest.next().filter(|port| ('A'..='K').contains(port))?;
    let digits = rest.as_str();
    // `PB03` and `PB3` must not pass for two pins.
    if !plain(digits) || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let number = digits.parse().ok().filter(|number| *number <= 15)?;
    Some(Pin::Mcu { port, number })
}
