//! Timetables of a school out of a table somebody filled in: a list with a row for each period, or a week by class as it hangs
//! on the wall (a row for each period, a column for each day).
//!
//! Teachers' names stand in such tables, too: columns that are not asked for are not read, and of a cell of the week only the
//! first word is, so no name leaves this module.

use std::collections::{BTreeMap, HashMap};

use contract::{
    classroom::{MAX_ENTRIES, MAX_PERIODS, Weeks},
    cses::MAX_SUBJECT_CHARS,
};
use rust_xlsxwriter::{Format, Workbook, XlsxError};

use crate::{
    api::timetables::{Bell, TimetablePeriod},
    domain::roster::{Cell, Fault, Row, Sheet},
};

/// Headings may begin this far down, below a title and a remark.
const HEADINGS_WITHIN: usize = 10;
/// Faults kept; the rest is counted.
const FAULTS_KEPT: usize = 2_000;

const ROOM: &[&str] = &[
    "班级",
    "班级名称",
    "班级代码",
    "班级编码",
    "教室",
    "教室代码",
    "教室名称",
];
const DAY: &[&str] = &["星期", "周几"];
const NUMBER: &[&str] = &["节次", "节", "课节", "第几节"];
const SUBJECT: &[&str] = &["学科", "课程", "科目", "课程名称"];
const WEEKS: &[&str] = &["单双周", "周次"];
const FROM: &[&str] = &["开始", "开始时间", "上课时间"];
const TO: &[&str] = &["结束", "结束时间", "下课时间"];
const SPAN: &[&str] = &["时间", "起止时间"];

/// A classroom that a table may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Row id.
    pub id: i64,
    /// Its code in the school.
    pub code: String,
    /// Its name.
    pub name: String,
}

/// One classroom's week out of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassTable {
    /// Row id of the classroom.
    pub room: i64,
    /// Its week, by day and number.
    pub periods: Vec<TimetablePeriod>,
}

/// Everything that a file says, and everything that is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Classrooms in the order of their ids.
    pub classes: Vec<ClassTable>,
    /// What is wrong, at most 2,000.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub fault_count: usize,
    /// Rows of data read.
    pub rows: usize,
}

impl Tables {
    /// Notes a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }
}

/// Finds the tables in all sheets and reads them. `rooms` are the school's classrooms, `bells` its bells.
pub fn tables(sheets: &[Sheet], rooms: &[Room], bells: &[Bell]) -> Tables {
    let mut reader = Reader {
        found: Tables::default(),
        rooms: Rooms::new(rooms),
        bells,
        week: BTreeMap::new(),
    };
    let mut any = false;
    for sheet in sheets {
        let Some(head) = Head::find(sheet) else { continue };
        any = true;
        reader.sheet(sheet, &head);
    }
    if !any {
        let fault = Fault::new("", 1, "", "timetable_no_table");
        reader.found.fault(fault);
    }
    reader.finish()
}

/// Where each column of ours stands.
struct Head {
    row: usize,
    columns: HashMap<&'static str, usize>,
    /// Day of the week by column, of a week by class.
    days: Vec<(u8, usize)>,
}

impl Head {
    fn find(sheet: &Sheet) -> Option<Self> {
        sheet.rows.iter().take(HEADINGS_WITHIN).find_map(|row| {
            let mut columns = HashMap::new();
            let mut days = Vec::new();
            for (at, cell) in row.cells.iter().enumerate() {
                let Cell::Text(text) = cell else { continue };
                let plain: String = text
                    .chars()
                    .filter(|c| !c.is_whitespace() && !matches!(c, '*' | '＊'))
                    .collect();
                let known = [ROOM, DAY, NUMBER, SUBJECT, WEEKS, FROM, TO, SPAN];
                if let Some(column) = known.iter().find(|headings| headings.contains(&plain.as_str())) {
                    columns.entry(column[0]).or_insert(at);
                } else if let Some(day) = day_of(&plain).filter(|_| !plain.is_ascii()) {
                    days.push((day, at));
                }
            }
            let list = columns.contains_key(DAY[0]) && columns.contains_key(SUBJECT[0]);
            let week = columns.contains_key(NUMBER[0]) && days.len() >= 2;
            (list || week).then(|| Self {
                row: row.number,
                columns,
                days: if list { Vec::new() } else { days },
            })
        })
    }

    fn place(&self, column: &[&'static str]) -> Option<usize> {
        self.columns.get(column[0]).copied()
    }
}

/// The school's classrooms by what a table may call them.
struct Rooms<'a> {
    rooms: &'a [Room],
    by_code: HashMap<&'a str, i64>,
    by_name: HashMap<String, Option<i64>>,
}

/// 三年级（1）班 and 三年级(1)班 are one.
fn plain_name(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            '０'..='９' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            other => other,
        })
        .collect()
}

impl<'a> Rooms<'a> {
    fn new(rooms: &'a [Room]) -> Self {
        let mut by_name: HashMap<String, Option<i64>> = HashMap::new();
        for room in rooms {
            by_name
                .entry(plain_name(&room.name))
                .and_modify(|one| *one = None)
                .or_insert(Some(room.id));
        }
        Self {
            rooms,
            by_code: rooms.iter().map(|room| (room.code.as_str(), room.id)).collect(),
            by_name,
        }
    }

    /// A code counts before a name; a name that two classrooms have names neither.
    fn find(&self, word: &str) -> Result<i64, &'static str> {
        match (self.by_code.get(word), self.by_name.get(&plain_name(word))) {
            (Some(id), _) | (None, Some(Some(id))) => Ok(*id),
            (None, Some(None)) => Err("timetable_room_twice"),
            (None, None) => Err("timetable_room"),
        }
    }

    /// The one classroom that a title such as 三年级(1)班课程表 names.
    fn in_title(&self, title: &str) -> Option<i64> {
        if let Ok(id) = self.find(title) {
            return Some(id);
        }
        let title = plain_name(title);
        let mut named = self
            .rooms
            .iter()
            .filter(|room| title.contains(&plain_name(&room.name)));
        named
            .next()
            .filter(|_| named.next().is_none())
            .map(|room| room.id)
    }
}

/// Where one entry stands, for what is said about it later.
#[derive(Debug, Clone)]
struct Place {
    sheet: String,
    row: usize,
}

impl Place {
    fn words(&self) -> String {
        match self.sheet.as_str() {
            "" => self.row.to_string(),
            sheet => format!("{sheet}!{}", self.row),
        }
    }
}

struct Reader<'a> {
    found: Tables,
    rooms: Rooms<'a>,
    bells: &'a [Bell],
    week: BTreeMap<i64, Vec<(TimetablePeriod, Place)>>,
}

impl Reader<'_> {
    fn sheet(&mut self, sheet: &Sheet, head: &Head) {
        let list = head.days.is_empty();
        let lacking = |column: &[&'static str]| head.place(column).is_none();
        let needed: &[&[&str]] = if list { &[ROOM, NUMBER] } else { &[] };
        let missing: Vec<&str> = needed
            .iter()
            .filter(|column| lacking(column))
            .map(|column| column[0])
            .collect();
        for column in &missing {
            let fault = Fault::new(&sheet.name, head.row, column, "timetable_heading");
            self.found.fault(fault.arg("expected", column));
        }
        if !missing.is_empty() {
            return;
        }
        // A week without a column for the class is the week of the one in its title.
        let whole = if lacking(ROOM) {
            let above = sheet
                .rows
                .iter()
                .filter(|row| row.number < head.row)
                .flat_map(|row| &row.cells);
            let titles = above.filter_map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                _ => None,
            });
            let room = std::iter::once(sheet.name.as_str())
                .chain(titles)
                .find_map(|title| self.rooms.in_title(title));
            if room.is_none() {
                let fault = Fault::new(&sheet.name, head.row, "", "timetable_room_of_sheet")
                    .arg("found", &sheet.name);
                self.found.fault(fault);
                return;
            }
            room
        } else {
            None
        };
        for row in sheet.rows.iter().filter(|row| row.number > head.row) {
            let mut line = Line {
                reader: self,
                sheet,
                head,
                row,
            };
            if line.is_blank() {
                continue;
            }
            line.reader.found.rows += 1;
            if list {
                line.entry();
            } else {
                line.periods(whole);
            }
        }
    }

    fn add(&mut self, room: i64, period: TimetablePeriod, place: Place, column: &str) {
        let wrong = |code| Fault::new(&place.sheet, place.row, column, code);
        let week = self.week.entry(room).or_default();
        let meet = |a: Weeks, b: Weeks| a == b || a == Weeks::All || b == Weeks::All;
        let twin = week
            .iter()
            .find(|(p, _)| p.day == period.day && p.number == period.number && meet(p.weeks, period.weeks));
        let fault = if let Some((_, first)) = twin {
            Some(wrong("timetable_twice").arg("first", first.words()))
        } else if week.len() >= MAX_ENTRIES {
            Some(wrong("timetable_too_many").arg("most", MAX_ENTRIES))
        } else if period.from_min.is_none() && !self.bells.iter().any(|bell| bell.number == period.number) {
            Some(wrong("timetable_no_bell").arg("number", period.number))
        } else {
            None
        };
        match fault {
            Some(fault) => self.found.fault(fault),
            None => week.push((period, place)),
        }
    }

    fn finish(mut self) -> Tables {
        let mut faults = Vec::new();
        for (room, mut week) in self.week {
            week.sort_by_key(|(p, _)| (p.day, p.number, p.weeks as u8));
            let periods: Vec<TimetablePeriod> = week.iter().map(|(period, _)| period.clone()).collect();
            if let Some((at, first)) = super::overlap(&periods, self.bells) {
                let place = |at: usize| week.get(at).map(|(_, place)| place.clone());
                if let (Some(here), Some(first)) = (place(at), place(first)) {
                    let fault = Fault::new(&here.sheet, here.row, FROM[0], "timetable_overlap");
                    faults.push(fault.arg("first", first.words()));
                }
            }
            self.found.classes.push(ClassTable { room, periods });
        }
        for fault in faults {
            self.found.fault(fault);
        }
        self.found
    }
}

/// One row being read.
struct Line<'a, 'r> {
    reader: &'a mut Reader<'r>,
    sheet: &'a Sheet,
    head: &'a Head,
    row: &'a Row,
}

impl Line<'_, '_> {
    fn is_blank(&self) -> bool {
        let mut columns = self
            .head
            .columns
            .values()
            .copied()
            .chain(self.head.days.iter().map(|(_, at)| *at));
        columns.all(|at| matches!(self.row.cells.get(at), None | Some(Cell::Empty)))
    }

    fn wrong(&mut self, column: &str, code: &'static str, found: &str) {
        let fault = Fault::new(&self.sheet.name, self.row.number, column, code);
        self.reader.found.fault(fault.arg("found", found));
    }

    /// A cell; one that a merged area swallowed says what the area says.
    fn cell(&self, at: usize) -> Cell {
        let row = self.row.number;
        let area = self.sheet.merged.iter().find(|area| {
            (area.rows.0..=area.rows.1).contains(&row) && (area.columns.0..=area.columns.1).contains(&at)
        });
        let (row, at) = area.map_or((row, at), |area| (area.rows.0, area.columns.0));
        let found = match row == self.row.number {
            true => self.row.cells.get(at),
            false => self
                .sheet
                .rows
                .iter()
                .find(|r| r.number == row)
                .and_then(|r| r.cells.get(at)),
        };
        found.cloned().unwrap_or(Cell::Empty)
    }

    /// The words of a cell; `None` after saying what is wrong with it.
    fn words(&mut self, column: &str, at: Option<usize>) -> Option<String> {
        match at.map_or(Cell::Empty, |at| self.cell(at)) {
            Cell::Empty => Some(String::new()),
            Cell::Text(text) => Some(text),
            Cell::Number(number) if number.fract() == 0.0 => Some(format!("{number:.0}")),
            Cell::Number(number) => Some(number.to_string()),
            Cell::Formula => {
                self.wrong(column, "roster_formula", "");
                None
            }
            Cell::Broken(error) => {
                self.wrong(column, "roster_broken", &error);
                None
            }
        }
    }

    fn need(&mut self, column: &'static [&'static str]) -> Option<String> {
        let words = self.words(column[0], self.head.place(column))?;
        if words.is_empty() {
            self.wrong(column[0], "roster_missing", "");
            return None;
        }
        Some(words)
    }

    fn room(&mut self) -> Option<i64> {
        let word = self.need(ROOM)?;
        let found = self.reader.rooms.find(&word);
        found.map_err(|code| self.wrong(ROOM[0], code, &word)).ok()
    }

    fn number(&mut self) -> Option<u8> {
        let word = self.need(NUMBER)?;
        let number = number_of(&word);
        if number.is_none() {
            self.wrong(NUMBER[0], "timetable_number", &word);
        }
        number
    }

    fn subject(&mut self, column: &str, word: &str) -> Option<String> {
        let good =
            (1..=MAX_SUBJECT_CHARS).contains(&word.chars().count()) && !word.chars().any(char::is_control);
        if !good {
            self.wrong(column, "timetable_subject", word);
        }
        good.then(|| word.to_owned())
    }

    /// Both or neither; the bells say what is left out. The outer `None` after saying what is wrong.
    fn times(&mut self) -> Option<Option<(u16, u16)>> {
        let (from, to) = match self.head.place(SPAN) {
            Some(at) if self.head.place(FROM).is_none() => {
                let words = self.words(SPAN[0], Some(at))?;
                if words.is_empty() {
                    return Some(None);
                }
                let mut ends = words.splitn(2, ['-', '–', '—', '－', '~', '～', '至']);
                let mut end = || ends.next().and_then(|word| minute_of(word.trim()));
                match (end(), end()) {
                    (Some(from), Some(to)) => (from, to),
                    _ => {
                        self.wrong(SPAN[0], "timetable_time", &words);
                        return None;
                    }
                }
            }
            _ => {
                let from = self.words(FROM[0], self.head.place(FROM))?;
                let to = self.words(TO[0], self.head.place(TO))?;
                if from.is_empty() && to.is_empty() {
                    return Some(None);
                }
                let ends = [(FROM[0], &from), (TO[0], &to)]
                    .map(|(column, word)| (column, word.clone(), minute_of(word)));
                for (column, word, minute) in &ends {
                    if minute.is_none() {
                        self.wrong(column, "timetable_time", word);
                    }
                }
                let [(_, _, from), (_, _, to)] = ends;
                (from?, to?)
            }
        };
        if from >= to {
            self.wrong(TO[0], "timetable_backwards", "");
            return None;
        }
        Some(Some((from, to)))
    }

    fn place(&self) -> Place {
        Place {
            sheet: self.sheet.name.clone(),
            row: self.row.number,
        }
    }

    /// A row of a list. Everything that is wrong in it is said at once.
    fn entry(&mut self) {
        let room = self.room();
        let day_word = self.need(DAY);
        let day = day_word.as_deref().and_then(day_of);
        if let (Some(word), None) = (&day_word, day) {
            self.wrong(DAY[0], "timetable_day", word);
        }
        let number = self.number();
        let weeks_word = self.words(WEEKS[0], self.head.place(WEEKS));
        let weeks = weeks_word.as_deref().and_then(weeks_of);
        if let (Some(word), None) = (&weeks_word, weeks) {
            self.wrong(WEEKS[0], "timetable_weeks", word);
        }
        let subject = self
            .need(SUBJECT)
            .and_then(|word| self.subject(SUBJECT[0], word.trim()));
        let times = self.times();
        if let (Some(room), Some(day), Some(number), Some(weeks), Some(subject), Some(times)) =
            (room, day, number, weeks, subject, times)
        {
            let period = TimetablePeriod {
                day,
                weeks,
                number,
                from_min: times.map(|t| t.0),
                to_min: times.map(|t| t.1),
                subject,
            };
            let place = self.place();
            self.reader.add(room, period, place, SUBJECT[0]);
        }
    }

    /// A row of a week by class: the same period of each day.
    fn periods(&mut self, whole: Option<i64>) {
        let days = self.head.days.clone();
        let taught = days.iter().any(|(_, at)| self.cell(*at) != Cell::Empty);
        // Breaks and the like stand between the periods.
        if !taught {
            return;
        }
        let room = whole.or_else(|| self.room());
        let (number, times) = (self.number(), self.times());
        let (Some(room), Some(number), Some(times)) = (room, number, times) else {
            return;
        };
        for (day, at) in days {
            let column = day_name(day);
            let Some(words) = self.words(column, Some(at)) else {
                continue;
            };
            for (weeks, word) in of_cell(&words) {
                let Some(subject) = self.subject(column, word) else {
                    continue;
                };
                let period = TimetablePeriod {
                    day,
                    weeks,
                    number,
                    from_min: times.map(|t| t.0),
                    to_min: times.map(|t| t.1),
                    subject,
                };
                let place = self.place();
                self.reader.add(room, period, place, column);
            }
        }
    }
}

/// What a cell of a week says: 数学; 数学/体育 in odd and in even weeks; 体育(双). What follows the first word is somebody's name
/// or a room.
fn of_cell(text: &str) -> Vec<(Weeks, &str)> {
    let parts: Vec<&str> = text.splitn(2, ['/', '／']).collect();
    let both = parts.len() == 2;
    let mut found = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        let weeks = if part.contains('单') {
            Weeks::Odd
        } else if part.contains('双') {
            Weeks::Even
        } else if both && at == 0 {
            Weeks::Odd
        } else if both {
            Weeks::Even
        } else {
            Weeks::All
        };
        let part = ["单周", "双周", "单", "双"]
            .iter()
            .fold(part.trim(), |part, word| part.strip_prefix(word).unwrap_or(part));
        let part = part.trim_start_matches([':', '：']).trim_start();
        let word = part
            .split(|c: char| c.is_whitespace() || matches!(c, '(' | '（' | '[' | '【' | '-' | '—'))
            .next();
        if let Some(word) = word.filter(|word| !word.is_empty()) {
            found.push((weeks, word));
        }
    }
    found
}

const NUMERALS: [&str; 20] = [
    "一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二", "十三", "十四", "十五",
    "十六", "十七", "十八", "十九", "二十",
];

fn day_of(word: &str) -> Option<u8> {
    let word = word.trim();
    let day = ["星期", "礼拜", "周"]
        .iter()
        .find_map(|before| word.strip_prefix(before))
        .unwrap_or(word);
    let day = match day {
        "日" | "天" | "7" | "七" => 7,
        other => number_of(other).filter(|n| *n <= 6)?,
    };
    Some(day)
}

const fn day_name(day: u8) -> &'static str {
    match day {
        1 => "星期一",
        2 => "星期二",
        3 => "星期三",
        4 => "星期四",
        5 => "星期五",
        6 => "星期六",
        _ => "星期日",
    }
}

/// 3, 第3节 or 第三节.
fn number_of(word: &str) -> Option<u8> {
    let word = word.trim();
    let word = word.strip_prefix('第').unwrap_or(word);
    let word = word.strip_suffix('课').unwrap_or(word);
    let word = word.strip_suffix('节').unwrap_or(word).trim();
    let numeral = NUMERALS
        .iter()
        .zip(1_u8..)
        .find(|(numeral, _)| **numeral == word)
        .map(|(_, number)| number);
    word.parse()
        .ok()
        .or(numeral)
        .filter(|number| (1..=MAX_PERIODS).contains(number))
}

fn weeks_of(word: &str) -> Option<Weeks> {
    match word.trim() {
        "" | "每周" | "全部" | "单双周" | "all" => Some(Weeks::All),
        "单" | "单周" | "odd" => Some(Weeks::Odd),
        "双" | "双周" | "even" => Some(Weeks::Even),
        _ => None,
    }
}

/// 8:00, 08:00:00, or what a spreadsheet makes of a time: a share of the day.
fn minute_of(word: &str) -> Option<u16> {
    let word = word.trim().replace('：', ":");
    let minute = match word.split_once(':') {
        Some((hour, rest)) => {
            let minute = rest.split(':').next().unwrap_or_default();
            let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
            (minute < 60 && hour <= 24).then(|| hour * 60 + minute)?
        }
        None => {
            let share = word
                .parse::<f64>()
                .ok()
                .filter(|share| (0.0..=1.0).contains(share))?;
            // Between 0 and 1440.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 1440"
            )]
            let minute = (share * 1_440.0).round() as u16;
            minute
        }
    };
    (minute <= 1_440).then_some(minute)
}

const LIST: [(&str, [&str; 2]); 7] = [
    ("班级*", ["三年级（1）班", "三年级（1）班"]),
    ("星期*", ["一", "二"]),
    ("节次*", ["1", "1"]),
    ("学科*", ["语文", "数学"]),
    ("单双周", ["", "单"]),
    ("开始", ["08:00", ""]),
    ("结束", ["08:45", ""]),
];
const NOTES: [&str; 8] = [
    "1. 两种填法任选一种，也可以混用：“课表清单”一行一节课；“三年级（1）班”这样的周课表一个班一张工作表，表名写班级名称或班级代码。",
    "2. 班级填花名册里的班级名称或班级代码。",
    "3. 节次填数字；开始、结束可以不填，按学校的作息时间（在“校历与作息”里设置）。",
    "4. 单双周留空表示每周都上；周课表里写“数学/体育”表示单周数学、双周体育。",
    "5. 只填学科，不要填教师姓名：教师姓名即使填了也不会读取、不会保存。",
    "6. 文件里有的班级整张课表会被替换，没有的班级不变。",
    "7. 灰色的是示例，导入前请删掉或改成真实数据。",
    "8. 导入前先“预检”，有错的行会逐格说明；预检不改动任何数据。",
];

/// A workbook with an empty list, the week of a class, and remarks.
///
/// # Errors
/// The writer's.
pub fn xlsx_template() -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let heading = Format::new().set_bold();
    let text = Format::new().set_num_format("@");
    let example = text.clone().set_font_color(rust_xlsxwriter::Color::Gray);
    let list = book.add_worksheet().set_name("课表清单")?;
    list.set_freeze_panes(1, 0)?;
    for (at, (title, examples)) in (0_u16..).zip(LIST) {
        list.set_column_format(at, &text)?;
        list.set_column_width(at, 14)?;
        list.write_string_with_format(0, at, title, &heading)?;
        for (row, word) in (1_u32..).zip(examples) {
            list.write_string_with_format(row, at, word, &example)?;
        }
    }
    let notes = book.add_worksheet().set_name("填写说明")?;
    notes.set_column_width(0, 100)?;
    for (row, line) in (0_u32..).zip(NOTES) {
        notes.write_string(row, 0, line)?;
    }
    book.save_to_buffer()
}

/// The list as csv, in UTF-8 with a byte order mark, as spreadsheets want it.
pub fn csv_template() -> Vec<u8> {
    let line = |words: Vec<&str>| words.join(",");
    let mut text = String::from("\u{feff}");
    text.push_str(&line(LIST.iter().map(|(title, _)| *title).collect()));
    for row in 0..2 {
        text.push_str("\r\n");
        text.push_str(&line(
            LIST.iter()
                .filter_map(|(_, words)| words.get(row).copied())
                .collect(),
        ));
    }
    text.push_str("\r\n");
    text.into_bytes()
}
