//! What is allowed for work orders, as built in; regions set their own over it.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::api::orders::{OrderClass, OrderClock, OrderSla, OrderSlaRow};

const DATA: &str = include_str!("../../../data/order-slas.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// Of the file; nothing depends on it yet.
    #[serde(rename = "version")]
    _version: u32,
    sla: Vec<RawSla>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSla {
    class: OrderClass,
    urgent: bool,
    clock: OrderClock,
    respond_min: u32,
    repair_min: u32,
}

static BUILT_IN: LazyLock<Vec<OrderSlaRow>> = LazyLock::new(|| {
    let raw: Result<Raw, _> = toml::from_str(DATA);
    raw.map(|raw| raw.sla)
        .unwrap_or_default()
        .into_iter()
        .map(|raw| OrderSlaRow {
            class: raw.class,
            urgent: raw.urgent,
            sla: OrderSla {
                clock: raw.clock,
                respond_min: raw.respond_min,
                repair_min: raw.repair_min,
            },
            own: false,
        })
        .collect()
});

/// All built-in figures, one for each class and urgency.
pub fn built_in() -> &'static [OrderSlaRow] {
    &BUILT_IN
}

/// What is built in for a class.
pub fn of(class: OrderClass, urgent: bool) -> OrderSla {
    built_in()
        .iter()
        .find(|row| row.class == class && row.urgent == urgent)
        .map_or(
            OrderSla {
                clock: OrderClock::Wall,
                respond_min: 1_440,
                repair_min: 4_320,
            },
            |row| row.sla.clone(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_and_urgency_has_its_figures_and_what_cannot_wait_has_less() {
        let raw: Raw = toml::from_str(DATA).unwrap();
        assert_eq!((raw._version, raw.sla.len()), (1, 6));
        for class in [
            OrderClass::Infrastructure,
            OrderClass::Application,
            OrderClass::Resource,
        ] {
            let of = |urgent| {
                built_in()
                    .iter()
                    .find(|row| row.class == class && row.urgent == urgent)
                    .unwrap()
            };
            assert!(of(true).sla.respond_min < of(false).sla.respond_min, "{class:?}");
        }
    }
}
