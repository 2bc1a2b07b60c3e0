//! What lists have in common: several words in one field of a query, and an order by any column.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error},
};

/// Most words of one field.
const MOST_WORDS: usize = 20;

fn word<T: DeserializeOwned, E: Error>(text: &str) -> Result<T, E> {
    serde_json::from_value(text.into()).map_err(E::custom)
}

/// Several words with commas between them, each of which counts: `offline,unknown`. Empty: all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<T>(pub Vec<T>);

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Words<T> {
    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: PartialEq> Words<T> {
    /// Whether `one` was asked for, or nothing in particular.
    pub fn wants(&self, one: &T) -> bool {
        self.0.is_empty() || self.0.contains(one)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        let words: Vec<&str> = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        if words.len() > MOST_WORDS {
            return Err(D::Error::custom(format!(
                "{} words; at most {MOST_WORDS} are allowed",
                words.len()
            )));
        }
        words.into_iter().map(word).collect::<Result<_, _>>().map(Self)
    }
}

impl<T: Serialize> Serialize for Words<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words: Vec<String> = self
            .0
            .iter()
            .map(|word| match serde_json::to_value(word) {
                Ok(serde_json::Value::String(word)) => Ok(word),
                _ => Err(serde::ser::Error::custom("a word that is none")),
            })
            .collect::<Result<_, _>>()?;
        serializer.serialize_str(&words.join(","))
    }
}

/// A column of a list, by its name in answers.
pub trait Column: DeserializeOwned + Copy + fmt::Debug {}

/// An order by one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sorted<C> {
    /// By which.
    pub by: C,
    /// The other way round: `-` before the name.
    pub down: bool,
}

impl<'de, C: Column> Deserialize<'de> for Sorted<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (down, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text.as_str()),
        };
        Ok(Self {
            by: word(name)?,
            down,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::devices::{DeviceColumn, DeviceFilter, DeviceSort, DeviceState};

    #[test]
    fn words_and_orders_are_read_as_they_are_written() {
        let filter: DeviceFilter =
            serde_json::from_value(serde_json::json!({ "state": "offline,unknown" })).unwrap();
        assert_eq!(filter.state.0, [DeviceState::Offline, DeviceState::Unknown]);
        assert_eq!(
            serde_json::to_value(&filter).unwrap(),
            serde_json::json!({ "state": "offline,unknown" })
        );
        assert!(filter.state.wants(&DeviceState::Unknown) && !filter.state.wants(&DeviceState::Online));
        assert!(serde_json::from_value::<Words<DeviceState>>("online,asleep".into()).is_err());
        let sort: DeviceSort = serde_json::from_value("-temperature_celsius".into()).unwrap();
        assert_eq!((sort.by, sort.down), (DeviceColumn::TemperatureCelsius, true));
        assert!(serde_json::from_value::<DeviceSort>("--id".into()).is_err());
        assert!(serde_json::from_value::<DeviceSort>("password".into()).is_err());
    }
}
