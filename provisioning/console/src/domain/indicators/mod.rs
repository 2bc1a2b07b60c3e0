//! Indicators: the dictionary (data), one function per indicator, and how rows become a figure. Knows no database and no clock.
//!
//! Every indicator turns [`facts::Facts`] into rows, and a figure is nothing but the sum of its rows, so each number opens
//! into what it is made of. What nobody knows is in no sum; it is counted beside the figure.

pub mod days;
pub mod facts;
mod rules;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::rules::rows;

const DATA: &str = include_str!("../../../data/indicators.toml");

static DICTIONARY: LazyLock<Result<Dictionary, String>> = LazyLock::new(|| Dictionary::parse(DATA));

/// How a numerator and a denominator become a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FigureKind)]
pub enum Kind {
    /// 100 × numerator ÷ denominator, two decimals.
    Percent,
    /// Numerator ÷ denominator, two decimals.
    Ratio,
    /// The numerator.
    Count,
    /// Seconds as hours, one decimal.
    Hours,
    /// Seconds ÷ denominator as hours, one decimal.
    MeanHours,
}

/// What the rows of an indicator are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FigureRowKind)]
pub enum RowKind {
    /// 终端.
    Device,
    /// 教室.
    Classroom,
    /// 学校.
    School,
    /// 推送, at one school.
    Push,
    /// 工单.
    Order,
    /// 运维人员, at one school.
    Technician,
    /// 终端 in one exam.
    Exam,
    /// 设备台账的一行.
    Asset,
}

/// One indicator of the dictionary.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Indicator {
    /// Names it for good.
    pub id: String,
    /// How its value is worked out.
    pub kind: Kind,
    /// What its rows are.
    pub row: RowKind,
    /// Somebody types it in (人工填报).
    #[serde(default)]
    pub manual: bool,
    /// Its name.
    pub zh: String,
    /// Its name in English.
    pub en: String,
    /// What it is.
    pub definition: String,
    /// How it is worked out.
    pub formula: String,
    /// Of what.
    pub denominator: String,
    /// Which plan asks for it, quoted.
    pub source: String,
}

/// Why something is unknown, in words.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UnknownReason)]
pub struct Reason {
    /// Names it.
    pub id: String,
    /// In Chinese.
    pub zh: String,
    /// In English.
    pub en: String,
}

/// All indicators.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IndicatorDictionary)]
pub struct Dictionary {
    /// Changes with any change of meaning.
    pub version: String,
    /// In the order of the report.
    #[serde(rename = "indicator")]
    pub indicators: Vec<Indicator>,
    /// Why figures are unknown.
    #[serde(rename = "reason")]
    pub reasons: Vec<Reason>,
}

impl Dictionary {
    /// The built-in dictionary.
    ///
    /// # Errors
    /// It is broken; a test catches that.
    pub fn get() -> Result<&'static Self, &'static str> {
        DICTIONARY.as_ref().map_err(String::as_str)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let found: Self = toml::from_str(text).map_err(|e| format!("data/indicators.toml: {e}"))?;
        let mut seen = BTreeMap::new();
        for indicator in &found.indicators {
            if seen.insert(&indicator.id, ()).is_some() {
                return Err(format!("data/indicators.toml: {} is there twice", indicator.id));
            }
        }
        Ok(found)
    }

    /// One indicator.
    pub fn indicator(&self, id: &str) -> Option<&Indicator> {
        self.indicators.iter().find(|indicator| indicator.id == id)
    }
}

/// What a figure is made of: one device, classroom, school, order … in the stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FigureRow)]
pub struct Row {
    /// The school it counts for.
    pub school: i64,
    /// What it is, e.g. a device's id.
    pub key: String,
    /// What it is called.
    pub label: String,
    /// Its share of the numerator; none: nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num: Option<i64>,
    /// Its share of the denominator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub den: Option<i64>,
    /// How much of it is unknown: days, periods, or 1 for the row itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: i64,
    /// Why, see the dictionary's reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl Row {
    /// Known, wholly.
    pub fn known(school: i64, key: impl ToString, label: impl Into<String>, num: i64, den: i64) -> Self {
        Self {
            school,
            key: key.to_string(),
            label: label.into(),
            num: Some(num),
            den: Some(den),
            unknown: 0,
            why: None,
        }
    }

    /// Unknown, wholly.
    pub fn unknown(
        school: i64,
        key: impl ToString,
        label: impl Into<String>,
        unknown: i64,
        why: &str,
    ) -> Self {
        Self {
            school,
            key: key.to_string(),
            label: label.into(),
            num: None,
            den: None,
            unknown,
            why: Some(why.to_owned()),
        }
    }

    /// Known in part.
    #[must_use]
    pub fn but(mut self, unknown: i64, why: &str) -> Self {
        if unknown > 0 {
            self.unknown = unknown;
            self.why = Some(why.to_owned());
        }
        self
    }
}

/// A figure: its rows, summed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Figure {
    /// Of which indicator.
    pub indicator: String,
    /// Of which school; none: of all that the report is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub school: Option<i64>,
    /// Sum of the numerators; none: 未知.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num: Option<i64>,
    /// Sum of the denominators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub den: Option<i64>,
    /// How much was unknown and is in no sum.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: i64,
    /// Rows it is made of.
    pub rows: u32,
    /// Why it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Figure {
    /// Sums rows. Without anything known, or with nothing to divide by, the figure is unknown and never 0; only a count of
    /// things of which there were none is 0.
    pub fn sum<'a>(indicator: &Indicator, school: Option<i64>, rows: impl Iterator<Item = &'a Row>) -> Self {
        let (mut num, mut den, mut unknown, mut count, mut known) = (0i64, 0i64, 0i64, 0u32, 0u32);
        let mut why: BTreeMap<&str, i64> = BTreeMap::new();
        for row in rows {
            count += 1;
            unknown = unknown.saturating_add(row.unknown);
            if let Some(why_not) = &row.why {
                *why.entry(why_not).or_default() += row.unknown.max(1);
            }
            if let Some(of_row) = row.num {
                known += 1;
                num = num.saturating_add(of_row);
                den = den.saturating_add(row.den.unwrap_or(0));
            }
        }
        let counts = matches!(indicator.kind, Kind::Count | Kind::Hours);
        let none_is_zero = indicator.kind == Kind::Count && indicator.row == RowKind::Order;
        let is_known = if counts {
            known > 0 || (none_is_zero && unknown == 0)
        } else {
            known > 0 && den > 0
        };
        let most = why
            .into_iter()
            .max_by_key(|(id, times)| (*times, std::cmp::Reverse(*id)))
            .map(|(id, _)| id.to_owned());
        Self {
            indicator: indicator.id.clone(),
            school,
            num: is_known.then_some(num),
            den: (is_known && !counts).then_some(den),
            unknown,
            rows: count,
            why: (!is_known).then(|| most.unwrap_or_else(|| "nothing_to_count".to_owned())),
        }
    }

    /// The value as whole number of its last decimal, and how many decimals; none: 未知.
    pub fn value(&self, kind: Kind) -> Option<(i64, u32)> {
        value(kind, self.num?, self.den.unwrap_or(0))
    }

    /// The value as text, e.g. `97.35%`.
    pub fn shown(&self, kind: Kind) -> Option<String> {
        self.value(kind).map(|value| shown(kind, value))
    }
}

/// See [`Kind`]; rounded half up.
pub fn value(kind: Kind, num: i64, den: i64) -> Option<(i64, u32)> {
    let divided = |scale: i128, by: i64| -> Option<i64> {
        if by <= 0 {
            return None;
        }
        let (num, by) = (i128::from(num) * scale, i128::from(by));
        i64::try_from((2 * num + by).div_euclid(2 * by)).ok()
    };
    Some(match kind {
        Kind::Percent => (divided(10_000, den)?, 2),
        Kind::Ratio => (divided(100, den)?, 2),
        Kind::Count => (num, 0),
        Kind::Hours => (divided(10, 3_600)?, 1),
        Kind::MeanHours => (divided(10, den.checked_mul(3_600)?)?, 1),
    })
}

/// A value as text.
pub fn shown(kind: Kind, (value, decimals): (i64, u32)) -> String {
    let unit = if kind == Kind::Percent { "%" } else { "" };
    match 10i64.checked_pow(decimals) {
        Some(scale) if decimals > 0 => {
            let sign = if value < 0 { "-" } else { "" };
            let (whole, part) = (value.abs() / scale, value.abs() % scale);
            format!("{sign}{whole}.{part:0width$}{unit}", width = decimals as usize)
        }
        _ => format!("{value}{unit}"),
    }
}
