//! What a report says: figures with the rows they are made of. Knows no database and no clock.

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{
    indicators::{
        Dictionary, Figure, Row,
        facts::{Cell, Facts},
        rows,
    },
    timetables,
};

/// Which form the body has; a reader refuses a higher one.
pub const FORMAT: u32 = 1;

/// How long a stretch a report is about.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    ToSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReportKind)]
pub enum Kind {
    /// 月报.
    Month,
    /// 季报.
    Quarter,
    /// 年报.
    Year,
}

impl Kind {
    /// As in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }

    /// The same back.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Month, Self::Quarter, Self::Year]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    /// First and last day of the stretch that has `date` in it.
    pub fn around(self, date: Date) -> (Date, Date) {
        let (months, first_month) = match self {
            Self::Month => (1, date.month()),
            Self::Quarter => (3, (date.month() - 1) / 3 * 3 + 1),
            Self::Year => (12, 1),
        };
        let from = Date::new(date.year(), first_month, 1).unwrap_or(date);
        let to = from
            .checked_add(months.months())
            .and_then(|next| next.checked_sub(1.day()))
            .unwrap_or(date);
        (from, to)
    }
}

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Month, quarter or year.
    pub kind: Kind,
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// `region` or `school`.
    pub place_kind: String,
    /// Its row id.
    pub place_id: i64,
    /// Its official code; may be empty.
    pub place_code: String,
    /// Its name.
    pub place: String,
}

/// A school of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodySchool {
    /// Row id.
    pub id: i64,
    /// Official code.
    pub code: String,
    /// Name.
    pub name: String,
    /// 教学点.
    pub teaching_point: bool,
    /// Its region.
    pub region: String,
}

/// All devices on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyDay {
    /// Devices in use.
    pub devices: i64,
    /// Heard.
    pub heard: i64,
    /// 未知: not heard on a school day.
    pub silent: i64,
    /// Seconds on in class hours.
    pub online_s: i64,
}

/// One device day by day: seconds on; -1 未知, -2 no school and nothing heard, -3 not in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyDevice {
    /// Its id.
    pub id: String,
    /// School, classroom, serial.
    pub label: String,
    /// Each day.
    pub days: Vec<i64>,
}

/// Not heard on a school day.
pub const SILENT: i64 = -1;
/// No school, nothing heard.
pub const FREE: i64 = -2;
/// Not in use.
pub const ABSENT: i64 = -3;

/// Rows of one indicator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyRows {
    /// Which.
    pub indicator: String,
    /// What its figures are made of.
    pub rows: Vec<Row>,
}

/// All of it. Its JSON is the report: no time of making and no name in it, so the same facts give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// See [`FORMAT`].
    pub format: u32,
    /// Version of the dictionary.
    pub dictionary: String,
    /// What it is about.
    pub about: About,
    /// Nothing at all was known of that time.
    pub empty: bool,
    /// Schools, by code.
    pub schools: Vec<BodySchool>,
    /// Figures: of all, then of each school; in the order of the dictionary.
    pub figures: Vec<Figure>,
    /// Each day.
    pub days: Vec<BodyDay>,
    /// Of a month: each device day by day.
    pub devices: Vec<BodyDevice>,
    /// What the figures are made of.
    pub rows: Vec<BodyRows>,
}

impl Body {
    /// Works it out.
    pub fn make(about: About, facts: &Facts, dictionary: &Dictionary) -> Self {
        let school = |school: &crate::domain::indicators::facts::School| BodySchool {
            id: school.id,
            code: school.code.clone(),
            name: school.name.clone(),
            teaching_point: school.teaching_point,
            region: school.region.clone(),
        };
        let schools: Vec<BodySchool> = facts.schools.iter().map(school).collect();
        let (mut figures, mut all) = (Vec::new(), Vec::new());
        for indicator in &dictionary.indicators {
            let rows = rows(indicator, facts).unwrap_or_default();
            figures.push(Figure::sum(indicator, None, rows.iter()));
            if about.place_kind != "school" {
                let mut of: std::collections::BTreeMap<i64, Vec<&Row>> = std::collections::BTreeMap::new();
                rows.iter()
                    .for_each(|row| of.entry(row.school).or_default().push(row));
                for school in &schools {
                    let of_school = of.remove(&school.id).unwrap_or_default();
                    figures.push(Figure::sum(indicator, Some(school.id), of_school.into_iter()));
                }
            }
            all.push(BodyRows {
                indicator: indicator.id.clone(),
                rows,
            });
        }
        let length = timetables::dates(about.from, about.to).count();
        let mut days = vec![BodyDay::default(); length];
        for device in &facts.devices {
            for (day, cell) in days.iter_mut().zip(&device.cells) {
                day.devices += i64::from(*cell != Cell::Absent);
                day.silent += i64::from(*cell == Cell::Silent);
                if let Cell::On(seconds) = cell {
                    day.heard += 1;
                    day.online_s += seconds;
                }
            }
        }
        let cell = |cell: &Cell| match cell {
            Cell::Absent => ABSENT,
            Cell::Silent => SILENT,
            Cell::Free => FREE,
            Cell::On(seconds) => *seconds,
        };
        let devices = if about.kind == Kind::Month {
            facts
                .devices
                .iter()
                .map(|device| BodyDevice {
                    id: device.id.clone(),
                    label: device.label.clone(),
                    days: device.cells.iter().map(cell).collect(),
                })
                .collect()
        } else {
            Vec::new()
        };
        let heard = facts.devices.iter().any(|device| device.days_heard > 0);
        let used = facts.classrooms.iter().any(|room| room.days_told > 0);
        Self {
            format: FORMAT,
            dictionary: dictionary.version.clone(),
            empty: !heard && !used && facts.orders.is_empty() && facts.manual.is_empty(),
            about,
            schools,
            figures,
            days,
            devices,
            rows: all,
        }
    }

    /// A figure by its name: `indicator`, or `indicator@school`.
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        let (indicator, school) = split(name)?;
        self.figures
            .iter()
            .find(|figure| figure.indicator == indicator && figure.school == school)
    }

    /// What a figure is made of.
    pub fn rows_of(&self, name: &str) -> Option<Vec<&Row>> {
        let (indicator, school) = split(name)?;
        self.figure(name)?;
        let rows = self.rows.iter().find(|rows| rows.indicator == indicator)?;
        let of = |row: &&Row| school.is_none_or(|school| row.school == school);
        Some(rows.rows.iter().filter(of).collect())
    }

    /// What is only of one school; none if it is not in it.
    #[must_use]
    pub fn only(&self, school: i64) -> Option<Self> {
        self.schools.iter().any(|found| found.id == school).then(|| {
            let mut own = self.clone();
            own.schools.retain(|found| found.id == school);
            own.figures.retain(|figure| figure.school == Some(school));
            own.rows
                .iter_mut()
                .for_each(|rows| rows.rows.retain(|row| row.school == school));
            own.devices.clear();
            own.days.clear();
            own
        })
    }
}

fn split(name: &str) -> Option<(&str, Option<i64>)> {
    match name.split_once('@') {
        None => Some((name, None)),
        Some((indicator, school)) => Some((indicator, Some(school.parse().ok()?))),
    }
}

/// A figure that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FigureChange {
    /// `indicator`, or `indicator@school`.
    pub figure: String,
    /// As the report says; none: 未知.
    pub was: Option<String>,
    /// As it would be now.
    pub is: Option<String>,
}

/// Figures that differ, in the order of the report.
pub fn changes(was: &Body, is: &Body, dictionary: &Dictionary) -> Vec<FigureChange> {
    let name = |figure: &Figure| match figure.school {
        None => figure.indicator.clone(),
        Some(school) => format!("{}@{school}", figure.indicator),
    };
    let old: std::collections::HashMap<String, &Figure> =
        was.figures.iter().map(|figure| (name(figure), figure)).collect();
    let shown = |figure: &Figure| {
        let kind = dictionary.indicator(&figure.indicator)?.kind;
        let unknown = figure.unknown;
        figure.shown(kind).map(|value| {
            format!(
                "{value} ({}/{}, ?{unknown})",
                figure.num.unwrap_or(0),
                figure.den.unwrap_or(0)
            )
        })
    };
    is.figures
        .iter()
        .filter_map(|figure| {
            let name = name(figure);
            let old = old.get(&name).copied();
            (old != Some(figure)).then(|| FigureChange {
                was: old.and_then(shown),
                is: shown(figure),
                figure: name,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_begin_and_end_where_calendars_say() {
        let date = Date::constant(2028, 2, 17);
        assert_eq!(
            Kind::Month.around(date),
            (Date::constant(2028, 2, 1), Date::constant(2028, 2, 29))
        );
        assert_eq!(
            Kind::Quarter.around(Date::constant(2026, 12, 31)),
            (Date::constant(2026, 10, 1), Date::constant(2026, 12, 31))
        );
        assert_eq!(
            Kind::Year.around(date),
            (Date::constant(2028, 1, 1), Date::constant(2028, 12, 31))
        );
    }
}
