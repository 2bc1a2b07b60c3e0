//! Equipment: its kinds, what speaks for replacing it, the table it comes in. And what a day's facts say of a device. Knows no
//! database and no clock.

pub mod table;

use jiff::civil::Date;

use crate::api::assets::{AssetKind, AssetReason, InspectionItem, InspectionKind, InspectionResult};

/// All kinds with the words of the table, the first one that of the template.
pub const KINDS: [(AssetKind, &[&str]); 9] = [
    (AssetKind::Terminal, &["终端", "班班通终端", "教学终端", "ops"]),
    (
        AssetKind::Panel,
        &["一体机", "交互式一体机", "触控一体机", "智慧屏", "交互智能平板"],
    ),
    (AssetKind::Projector, &["投影机", "投影仪", "投影"]),
    (AssetKind::Whiteboard, &["电子白板", "交互白板", "白板"]),
    (AssetKind::Display, &["电视机", "显示器", "电视", "液晶电视"]),
    (AssetKind::Computer, &["电脑", "计算机", "台式机", "笔记本"]),
    (AssetKind::Sound, &["音响", "功放", "扩音", "音箱"]),
    (AssetKind::Network, &["网络设备", "交换机", "路由器", "无线ap"]),
    (AssetKind::Other, &["其他", "其它"]),
];

macro_rules! words {
    ($($kind:ident: $word:ident, $of:ident;)*) => { $(
        /// As in the database and in JSON.
        pub fn $word(value: $kind) -> String {
            match serde_json::to_value(value) {
                Ok(serde_json::Value::String(word)) => word,
                _ => String::new(),
            }
        }
        /// The same back.
        pub fn $of(word: &str) -> Option<$kind> {
            serde_json::from_value(word.into()).ok()
        }
    )* };
}
words! {
    AssetKind: kind_word, kind_of;
    InspectionKind: inspection_word, inspection_of;
    InspectionResult: result_word, result_of;
}

/// A kind as people write it.
pub fn kind_named(text: &str) -> Option<AssetKind> {
    let text = text.trim().to_lowercase();
    KINDS
        .iter()
        .find(|(kind, names)| kind_word(*kind) == text || names.contains(&text.as_str()))
        .map(|(kind, _)| *kind)
}

/// Whether a kind, by itself, makes a classroom one with multimedia equipment.
pub const fn is_multimedia(kind: AssetKind) -> bool {
    matches!(
        kind,
        AssetKind::Terminal
            | AssetKind::Panel
            | AssetKind::Projector
            | AssetKind::Whiteboard
            | AssetKind::Display
    )
}

/// What is known of the state of a piece of equipment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Condition {
    /// The day it was bought.
    pub bought_on: Option<Date>,
    /// The end of its warranty.
    pub warranty_until: Option<Date>,
    /// Wear of its disk in percent, the worst that was told.
    pub wear_percent: Option<i64>,
    /// Repairs within a year.
    pub repairs: i64,
    /// Of these, those that failed.
    pub reopened: i64,
}

/// Whole years since it was bought.
pub fn age_years(bought_on: Option<Date>, today: Date) -> Option<u32> {
    let days = today.since(bought_on?).ok()?.get_days();
    u32::try_from(days / 365).ok().filter(|_| days >= 0)
}

/// Its health from 100 to 0, and what takes from it, worst first. Six years are the usual life of such equipment: from the
/// fourth year on each takes 12 points, at most 48; the end of the warranty takes 6, wear of the disk half its percent from 50
/// on, each repair of the last year 6 (at most 24), each of them that failed 4 more (at most 12).
pub fn health(condition: &Condition, today: Date) -> (u8, Vec<AssetReason>) {
    let mut reasons = Vec::new();
    let mut take = |code: &str, points: i64, value: i64| {
        if let (Ok(points), true) = (u8::try_from(points), points > 0) {
            reasons.push(AssetReason {
                code: code.to_owned(),
                points,
                value,
            });
        }
    };
    if let Some(age) = age_years(condition.bought_on, today) {
        take(
            "age",
            (i64::from(age.saturating_sub(3)) * 12).min(48),
            i64::from(age),
        );
    }
    if let Some(end) = condition.warranty_until
        && end < today
    {
        let over = today.since(end).map_or(0, |span| span.get_days());
        take("warranty_over", 6, i64::from(over));
    }
    if let Some(wear) = condition.wear_percent {
        take("wear", if wear >= 50 { wear.min(100) / 2 } else { 0 }, wear);
    }
    take("repairs", (condition.repairs * 6).min(24), condition.repairs);
    take(
        "repairs_failed",
        (condition.reopened * 4).min(12),
        condition.reopened,
    );
    reasons.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.code.cmp(&b.code)));
    let taken: u32 = reasons.iter().map(|reason| u32::from(reason.points)).sum();
    (u8::try_from(100_u32.saturating_sub(taken)).unwrap_or(0), reasons)
}

/// What a device told in a day, for its inspection.
#[derive(Debug, Clone, Copy, Default)]
pub struct DayFacts {
    /// Samples of the day.
    pub samples: i64,
    /// Of these, with a wall clock.
    pub clocked: i64,
    /// The least that was free, and the whole, in bytes.
    pub disk: Option<(i64, i64)>,
    /// The most, in °C.
    pub temperature: Option<f64>,
    /// The worst, in percent.
    pub wear: Option<i64>,
    /// The worst word on the eMMC's spare blocks: 1 normal, 2 warning, 3 urgent.
    pub pre_eol: Option<i64>,
    /// Lessons that failed, and those it should hold, by its last word.
    pub lessons: Option<(i64, i64)>,
    /// Faults that are open at it.
    pub faults: i64,
}

/// The points of a device's day. What it did not tell is unknown, not in order.
pub fn inspect(facts: &DayFacts) -> (InspectionResult, Vec<InspectionItem>) {
    use InspectionResult as R;
    let item = |point: &str, result: R, value: String| InspectionItem {
        point: point.to_owned(),
        result,
        value,
    };
    let judge = |good: bool| if good { R::Pass } else { R::Fail };
    let mut items = vec![
        item(
            "online",
            if facts.samples > 0 { R::Pass } else { R::Unknown },
            facts.samples.to_string(),
        ),
        match facts.samples {
            0 => item("clock", R::Unknown, String::new()),
            samples => item(
                "clock",
                judge(facts.clocked * 2 > samples),
                format!("{}/{samples}", facts.clocked),
            ),
        },
        match facts.disk {
            None => item("disk", R::Unknown, String::new()),
            Some((free, whole)) => item(
                "disk",
                judge(whole <= 0 || free.saturating_mul(20) >= whole),
                format!(
                    "{}%",
                    if whole > 0 {
                        free.saturating_mul(100) / whole
                    } else {
                        100
                    }
                ),
            ),
        },
        match facts.temperature {
            None => item("temperature", R::Unknown, String::new()),
            Some(most) => item("temperature", judge(most < 85.0), format!("{most:.0}")),
        },
    ];
    items.push(match (facts.wear, facts.pre_eol) {
        (None, None) => item("wear", R::Unknown, String::new()),
        (wear, spare) => item(
            "wear",
            judge(wear.unwrap_or(0) < 90 && spare.unwrap_or(1) < 3),
            wear.map(|wear| format!("{wear}%")).unwrap_or_default(),
        ),
    });
    items.push(match facts.lessons {
        None => item("lessons", R::Unknown, String::new()),
        Some((failed, wanted)) => item("lessons", judge(failed == 0), format!("{failed}/{wanted}")),
    });
    items.push(item("faults", judge(facts.faults == 0), facts.faults.to_string()));
    (worst(&items, facts.samples > 0), items)
}

/// The result of all points: one that failed fails the whole. A device that told nothing is unknown; of one that did, a point
/// it cannot tell of does not spoil the others.
pub fn worst(items: &[InspectionItem], told: bool) -> InspectionResult {
    if items.iter().any(|item| item.result == InspectionResult::Fail) {
        InspectionResult::Fail
    } else if told && items.iter().any(|item| item.result == InspectionResult::Pass) {
        InspectionResult::Pass
    } else {
        InspectionResult::Unknown
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn kinds_have_words_that_come_back() {
        for (kind, names) in KINDS {
            assert_eq!(kind_of(&kind_word(kind)), Some(kind));
            for name in names {
                assert_eq!(kind_named(name), Some(kind), "{name}");
            }
        }
        assert_eq!(kind_named(" OPS "), Some(AssetKind::Terminal));
        assert_eq!(kind_named("黑板"), None);
    }

    #[test]
    fn health_falls_with_age_wear_and_repairs_and_says_why() {
        let today = date(2026, 11, 23);
        let new = Condition {
            bought_on: Some(date(2025, 9, 1)),
            warranty_until: Some(date(2028, 9, 1)),
            ..Condition::default()
        };
        assert_eq!(health(&new, today), (100, Vec::new()));
        let old = Condition {
            bought_on: Some(date(2017, 9, 1)),
            warranty_until: Some(date(2020, 9, 1)),
            wear_percent: Some(80),
            repairs: 9,
            reopened: 1,
        };
        let (left, reasons) = health(&old, today);
        let codes: Vec<_> = reasons
            .iter()
            .map(|r| (r.code.as_str(), r.points, r.value))
            .collect();
        assert_eq!(
            codes,
            [
                ("age", 48, 9),
                ("wear", 40, 80),
                ("repairs", 24, 9),
                ("warranty_over", 6, 2274),
                ("repairs_failed", 4, 1)
            ]
        );
        assert_eq!(left, 0);
        // Nobody knows when it was bought: that is no reason to replace it.
        assert_eq!(health(&Condition::default(), today).0, 100);
        assert_eq!(age_years(Some(date(2027, 1, 1)), today), None);
    }

    #[test]
    fn silence_is_unknown_and_one_point_fails_the_day() {
        let (result, items) = inspect(&DayFacts::default());
        assert_eq!(result, InspectionResult::Unknown);
        assert_eq!(items.len(), 7);
        let good = DayFacts {
            samples: 100,
            clocked: 100,
            disk: Some((50, 100)),
            temperature: Some(60.0),
            ..DayFacts::default()
        };
        assert_eq!(inspect(&good).0, InspectionResult::Pass);
        for bad in [
            DayFacts {
                disk: Some((4, 100)),
                ..good
            },
            DayFacts {
                temperature: Some(90.0),
                ..good
            },
            DayFacts {
                wear: Some(95),
                ..good
            },
            DayFacts {
                pre_eol: Some(3),
                ..good
            },
            DayFacts {
                lessons: Some((1, 5)),
                ..good
            },
            DayFacts { faults: 1, ..good },
            DayFacts { clocked: 10, ..good },
        ] {
            assert_eq!(inspect(&bad).0, InspectionResult::Fail, "{bad:?}");
        }
    }
}
