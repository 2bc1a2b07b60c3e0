//! Cells into rows of schools and classrooms, each checked; a table is known by its headings, wherever it stands.

use std::collections::HashMap;

use super::{Cell, Fault, Merged, Row, Sheet};
use crate::api::tree::SchoolKind;

/// Headings may begin this far down, below a title and a remark.
const HEADINGS_WITHIN: usize = 10;
/// Longest name, and longest other text, in characters.
const NAME: usize = 80;
const CODE: usize = 40;
const TEXT: usize = 200;
/// Most Mbit/s that a contract may say.
const MAX_MBPS: u32 = 100_000;
/// Faults kept; the rest is counted.
const FAULTS_KEPT: usize = 2_000;

/// A school as the roster has it; what is `None` was left empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolRow {
    /// Where it stands in the file: sheet, row.
    pub at: (String, usize),
    /// Official code.
    pub code: String,
    /// Name.
    pub name: String,
    /// 教学点 or not.
    pub kind: Option<SchoolKind>,
    /// Name of its township.
    pub township: Option<String>,
    /// Contracted bandwidth downward, Mbit/s.
    pub down_mbps: Option<u32>,
    /// Contracted bandwidth upward, Mbit/s.
    pub up_mbps: Option<u32>,
    /// Where it stands.
    pub spot: Option<Spot>,
}

/// A place on a map, WGS 84, in millionths of a degree: exact, and equal when written alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// North of the equator.
    pub latitude_e6: i32,
    /// East of Greenwich.
    pub longitude_e6: i32,
}

/// A classroom as the roster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassroomRow {
    /// Where it stands in the file: sheet, row.
    pub at: (String, usize),
    /// Code of its school.
    pub school: String,
    /// Its own code in the school.
    pub code: String,
    /// Name.
    pub name: String,
    /// 年级.
    pub grade: Option<String>,
    /// 班.
    pub class: Option<String>,
    /// 主管单位.
    pub owner: Option<String>,
    /// 建设单位.
    pub builder: Option<String>,
    /// 运维单位.
    pub maintainer: Option<String>,
    /// 现有设备, managed by us or not.
    pub equipment: Option<String>,
}

/// Everything that a file says, and everything that is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// Schools, in the order of the file.
    pub schools: Vec<SchoolRow>,
    /// Classrooms, in the order of the file.
    pub classrooms: Vec<ClassroomRow>,
    /// What is wrong, in the order of the file, at most 2,000.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub fault_count: usize,
    /// Rows of data read.
    pub rows: usize,
}

impl Roster {
    /// Notes a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }
}

/// A column: the heading of the template first, then other spellings.
pub(super) struct Column {
    pub(super) headings: &'static [&'static str],
    pub(super) needed: bool,
    /// An example for the template.
    pub(super) example: &'static str,
}

const fn column(headings: &'static [&'static str], needed: bool, example: &'static str) -> Column {
    Column {
        headings,
        needed,
        example,
    }
}

pub(super) const SCHOOL: [Column; 8] = [
    column(&["学校代码", "学校标识码", "学校编码"], true, "3145000001"),
    column(&["学校名称", "校名"], true, "城关镇中心小学"),
    column(&["教学点", "是否教学点", "类型"], false, "否"),
    column(&["乡镇", "乡镇街道", "街道"], false, "城关镇"),
    column(&["合同下行带宽", "下行带宽"], false, "200"),
    column(&["合同上行带宽", "上行带宽"], false, "40"),
    column(&["纬度", "北纬"], false, "25.412300"),
    column(&["经度", "东经"], false, "110.318400"),
];
pub(super) const CLASSROOM: [Column; 9] = [
    column(&["学校代码", "学校标识码", "学校编码"], true, "3145000001"),
    column(&["班级代码", "教室代码", "班级编码"], true, "0301"),
    column(&["班级名称", "教室名称"], true, "三年级（1）班"),
    column(&["年级"], false, "三年级"),
    column(&["班", "班号"], false, "1"),
    column(&["主管单位"], false, "城关镇中心小学"),
    column(&["建设单位"], false, "县教育局"),
    column(&["运维单位", "维护单位"], false, "某某科技公司"),
    column(&["现有设备", "设备"], false, "75 寸一体机（2019）"),
];

/// Finds the tables in all sheets and reads them.
pub fn tables(sheets: &[Sheet]) -> Roster {
    let mut roster = Roster::default();
    let mut found = false;
    for sheet in sheets {
        let Some((at, headings)) = headings(sheet) else {
            continue;
        };
        found = true;
        // Only a table of classrooms has a column for their codes.
        let classrooms = CLASSROOM[1].headings.iter().any(|h| headings.contains_key(*h));
        let columns: &[Column] = if classrooms { &CLASSROOM } else { &SCHOOL };
        let Some(places) = places(&mut roster, sheet, at, &headings, columns) else {
            continue;
        };
        let body = sheet.rows.iter().filter(|row| row.number > at);
        for row in body {
            let mut cells = Cells {
                roster: &mut roster,
                sheet,
                row,
                columns,
                places: &places,
                good: true,
            };
            if cells.is_blank() {
                continue;
            }
            cells.roster.rows += 1;
            if classrooms {
                cells.classroom();
            } else {
                cells.school();
            }
        }
    }
    if !found {
        let expected = format!("{}、{}", SCHOOL[0].headings[0], SCHOOL[1].headings[0]);
        roster.fault(Fault::new("", 1, "", "roster_no_table").arg("expected", expected));
    }
    twice(&mut roster);
    roster
}

/// The row that holds a school code's heading, and where each heading stands.
fn headings(sheet: &Sheet) -> Option<(usize, HashMap<String, usize>)> {
    sheet.rows.iter().take(HEADINGS_WITHIN).find_map(|row| {
        let mut found = HashMap::new();
        for (at, cell) in row.cells.iter().enumerate() {
            if let Cell::Text(text) = cell {
                found.entry(plain(text)).or_insert(at);
            }
        }
        SCHOOL[0]
            .headings
            .iter()
            .any(|h| found.contains_key(*h))
            .then_some((row.number, found))
    })
}

/// A heading without blanks, stars, and what stands in brackets.
fn plain(heading: &str) -> String {
    let mut depth = 0_u32;
    heading
        .chars()
        .filter(|c| {
            match c {
                '(' | '（' | '[' | '【' => depth += 1,
                ')' | '）' | ']' | '】' => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0 && !c.is_whitespace() && !matches!(c, '*' | '＊' | '：' | ':')
        })
        .collect()
}

/// For each column of ours its place in the sheet; `None` when a needed one is missing.
fn places(
    roster: &mut Roster,
    sheet: &Sheet,
    at: usize,
    headings: &HashMap<String, usize>,
    columns: &[Column],
) -> Option<Vec<Option<usize>>> {
    let mut complete = true;
    let places = columns
        .iter()
        .map(|column| {
            let place = column.headings.iter().find_map(|h| headings.get(*h).copied());
            if place.is_none() && column.needed {
                complete = false;
                let mut seen: Vec<&str> = headings.keys().map(String::as_str).collect();
                seen.sort_unstable();
                let fault = Fault::new(&sheet.name, at, column.headings[0], "roster_heading_missing");
                roster.fault(
                    fault
                        .arg("expected", column.headings[0])
                        .arg("found", seen.join("、")),
                );
            }
            place
        })
        .collect();
    complete.then_some(places)
}

/// One row being read.
struct Cells<'a> {
    roster: &'a mut Roster,
    sheet: &'a Sheet,
    row: &'a Row,
    columns: &'a [Column],
    places: &'a [Option<usize>],
    good: bool,
}

impl Cells<'_> {
    fn is_blank(&self) -> bool {
        let cell = |place: &Option<usize>| place.and_then(|at| self.row.cells.get(at));
        self.places
            .iter()
            .all(|place| matches!(cell(place), None | Some(Cell::Empty)) && self.covered(*place).is_none())
    }

    fn school(&mut self) {
        let code = self.code(0);
        let name = self.text(1, NAME);
        let kind = self.text(2, CODE).and_then(|text| self.kind(&text));
        let township = self.text(3, NAME);
        let down_mbps = self.number(4);
        let up_mbps = self.number(5);
        let spot = self.spot(6, 7);
        if let (true, Some(code), Some(name)) = (self.good, code, name) {
            self.roster.schools.push(SchoolRow {
                at: (self.sheet.name.clone(), self.row.number),
                code,
                name,
                kind,
                township,
                down_mbps,
                up_mbps,
                spot,
            });
        }
    }

    fn classroom(&mut self) {
        let school = self.code(0);
        let code = self.code(1);
        let name = self.text(2, NAME);
        let grade = self.text(3, CODE);
        let class = self.text(4, CODE);
        let owner = self.text(5, NAME);
        let builder = self.text(6, NAME);
        let maintainer = self.text(7, NAME);
        let equipment = self.text(8, TEXT);
        if let (true, Some(school), Some(code), Some(name)) = (self.good, school, code, name) {
            self.roster.classrooms.push(ClassroomRow {
                at: (self.sheet.name.clone(), self.row.number),
                school,
                code,
                name,
                grade,
                class,
                owner,
                builder,
                maintainer,
                equipment,
            });
        }
    }

    fn wrong(&mut self, column: usize, code: &'static str, arg: Option<(&'static str, String)>) {
        self.good = false;
        let heading = self.columns.get(column).map_or("", |c| c.headings[0]);
        let mut fault = Fault::new(&self.sheet.name, self.row.number, heading, code);
        if let Some((name, value)) = arg {
            fault = fault.arg(name, value);
        }
        self.roster.fault(fault);
    }

    /// The merged area that swallowed this cell: its text stands in another one, so nobody knows what is meant here.
    fn covered(&self, place: Option<usize>) -> Option<&Merged> {
        let place = place?;
        self.sheet.merged.iter().find(|area| {
            let (rows, columns) = (area.rows, area.columns);
            (rows.0..=rows.1).contains(&self.row.number)
                && (columns.0..=columns.1).contains(&place)
                && (self.row.number, place) != (rows.0, columns.0)
        })
    }

    fn text(&mut self, column: usize, most: usize) -> Option<String> {
        let place = self.places.get(column).copied().flatten();
        if self.covered(place).is_some() {
            self.wrong(column, "roster_merged", None);
            return None;
        }
        let needed = self.columns.get(column).is_some_and(|c| c.needed);
        let text = match place.and_then(|at| self.row.cells.get(at)) {
            None | Some(Cell::Empty) if needed => {
                self.wrong(column, "roster_missing", None);
                return None;
            }
            None | Some(Cell::Empty) => return None,
            Some(Cell::Formula) => {
                self.wrong(column, "roster_formula", None);
                return None;
            }
            Some(Cell::Broken(error)) => {
                let found = error.clone();
                self.wrong(column, "roster_broken", Some(("found", found)));
                return None;
            }
            Some(Cell::Text(text)) => text.clone(),
            Some(Cell::Number(number)) => match whole(*number) {
                Some(text) => text,
                None => {
                    let found = number.to_string();
                    self.wrong(column, "roster_number_form", Some(("found", found)));
                    return None;
                }
            },
        };
        if text.chars().any(char::is_control) {
            self.wrong(column, "roster_control", None);
            return None;
        }
        if text.chars().count() > most {
            self.wrong(column, "roster_too_long", Some(("most", most.to_string())));
            return None;
        }
        Some(text)
    }

    /// Codes keep their zeros in front; what only looks alike is not the same, so they are of one plain alphabet.
    fn code(&mut self, column: usize) -> Option<String> {
        let text: String = self
            .text(column, CODE)?
            .chars()
            .map(|c| match c {
                '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => {
                    char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c)
                }
                other => other,
            })
            .collect();
        let fits = text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !fits {
            self.wrong(column, "roster_code", Some(("found", text)));
            return None;
        }
        Some(text)
    }

    fn kind(&mut self, text: &str) -> Option<SchoolKind> {
        match text {
            "是" | "教学点" | "Y" | "y" | "1" => Some(SchoolKind::TeachingPoint),
            "否" | "学校" | "小学" | "中学" | "完小" | "N" | "n" | "0" => Some(SchoolKind::School),
            other => {
                self.wrong(2, "roster_kind", Some(("found", other.to_owned())));
                None
            }
        }
    }

    /// Both coordinates or neither; half a place is none.
    fn spot(&mut self, latitude: usize, longitude: usize) -> Option<Spot> {
        let north = self.degrees(latitude, 90.0);
        let east = self.degrees(longitude, 180.0);
        match (north, east) {
            (Some(latitude_e6), Some(longitude_e6)) => Some(Spot {
                latitude_e6,
                longitude_e6,
            }),
            (None, None) => None,
            (found, _) => {
                if self.good {
                    let missing = if found.is_none() { latitude } else { longitude };
                    self.wrong(missing, "roster_missing", None);
                }
                None
            }
        }
    }

    fn degrees(&mut self, column: usize, most: f64) -> Option<i32> {
        let place = self.places.get(column).copied().flatten();
        let text = match place.and_then(|at| self.row.cells.get(at)) {
            // Unlike codes, degrees are not whole.
            Some(Cell::Number(number)) if self.covered(place).is_none() => number.to_string(),
            _ => self.text(column, CODE)?,
        };
        let found = millionths(&text, most);
        if found.is_none() {
            self.wrong(column, "roster_degrees", Some(("found", text)));
        }
        found
    }

    fn number(&mut self, column: usize) -> Option<u32> {
        let text = self.text(column, CODE)?;
        let digits =
            text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '/' || c.is_whitespace());
        let number = digits.parse().ok().filter(|n| (1..=MAX_MBPS).contains(n));
        if number.is_none() {
            self.wrong(column, "roster_mbps", Some(("found", text)));
        }
        number
    }
}

/// Degrees as millionths; out of range or not a number is none.
#[expect(clippy::cast_possible_truncation, reason = "at most 180 million, which fits")]
fn millionths(text: &str, most: f64) -> Option<i32> {
    let digits = text.trim_matches(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '.'));
    let degrees: f64 = digits.parse().ok()?;
    (degrees.abs() <= most).then(|| (degrees * 1e6).round() as i32)
}

/// A number as a person would write it; a code of more than 15 digits has lost its last ones to the spreadsheet.
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and below 10^15"
)]
fn whole(number: f64) -> Option<String> {
    (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then(|| (number as i64).to_string())
}

/// A code that stands in two rows: nobody can know which is meant.
fn twice(roster: &mut Roster) {
    let mut faults = Vec::new();
    let mut note = |first: &(String, usize), again: &(String, usize), column: &str| {
        let place = match first.0.is_empty() {
            true => first.1.to_string(),
            false => format!("{}!{}", first.0, first.1),
        };
        faults.push(Fault::new(&again.0, again.1, column, "roster_twice").arg("first", place));
    };
    let mut schools: HashMap<&str, &(String, usize)> = HashMap::new();
    for school in &roster.schools {
        match schools.get(school.code.as_str()) {
            Some(first) => note(first, &school.at, SCHOOL[0].headings[0]),
            None => {
                schools.insert(&school.code, &school.at);
            }
        }
    }
    let mut classrooms: HashMap<(&str, &str), &(String, usize)> = HashMap::new();
    for room in &roster.classrooms {
        match classrooms.get(&(room.school.as_str(), room.code.as_str())) {
            Some(first) => note(first, &room.at, CLASSROOM[1].headings[0]),
            None => {
                classrooms.insert((&room.school, &room.code), &room.at);
            }
        }
    }
    for fault in faults {
        roster.fault(fault);
    }
}
