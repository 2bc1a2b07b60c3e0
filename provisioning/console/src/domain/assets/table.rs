//! The table of equipment that somebody filled in: cells into rows, each checked, every fault with its place.

use std::collections::HashMap;

use jiff::{ToSpan, civil::Date};
use rust_xlsxwriter::{Color, Format, Workbook, XlsxError};

use super::{KINDS, kind_named};
use crate::{
    api::assets::AssetKind,
    domain::roster::{Cell, Fault, Row, Sheet},
};

const HEADINGS_WITHIN: usize = 10;
const FAULTS_KEPT: usize = 2_000;
/// Days of a spreadsheet are counted from here; it believes in a 29 February 1900.
const SPREADSHEET_BEGINS: Date = Date::constant(1899, 12, 30);

/// A column: the heading of the template first, whether it is needed, most characters, an example.
type Column = (&'static [&'static str], bool, usize, &'static str);
const COLUMNS: [Column; 14] = [
    (&["学校代码", "学校标识码", "学校编码"], true, 40, "3145000001"),
    (&["班级代码", "教室代码", "班级编码"], false, 40, "0301"),
    (&["设备类型", "类型"], true, 40, "一体机"),
    (&["资产编号", "资产编码"], false, 40, "ZC-0001"),
    (&["品牌"], false, 80, "某品牌"),
    (&["型号", "规格型号"], false, 80, "X75"),
    (&["序列号", "SN"], false, 80, "SN00000001"),
    (&["交互", "是否交互"], false, 4, "是"),
    (&["主管单位"], false, 200, "城关镇中心小学"),
    (&["建设单位"], false, 200, "县教育局"),
    (&["运维单位", "维护单位"], false, 200, "某某科技公司"),
    (&["购置日期", "购买日期"], false, 40, "2021-09-01"),
    (&["质保到期", "保修到期"], false, 40, "2024-08-31"),
    (&["备注"], false, 200, ""),
];

/// A piece of equipment as the table has it; what is `None` was left empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetRow {
    /// Sheet and row.
    pub at: (String, usize),
    /// Code of its school.
    pub school: String,
    /// Code of its classroom there.
    pub classroom: Option<String>,
    /// What it is.
    pub kind: Option<AssetKind>,
    /// 资产编号.
    pub tag: Option<String>,
    /// 品牌.
    pub brand: Option<String>,
    /// 型号.
    pub model: Option<String>,
    /// 序列号.
    pub serial: Option<String>,
    /// Whether it is interactive.
    pub interactive: Option<bool>,
    /// 主管单位.
    pub owner: Option<String>,
    /// 建设单位.
    pub builder: Option<String>,
    /// 运维单位.
    pub maintainer: Option<String>,
    /// 购置日期.
    pub bought_on: Option<Date>,
    /// 质保到期.
    pub warranty_until: Option<Date>,
    /// 备注.
    pub note: Option<String>,
}

/// Everything that a file says, and everything that is wrong with it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssetTable {
    /// Rows in the order of the file.
    pub assets: Vec<AssetRow>,
    /// What is wrong, at most 2,000.
    pub faults: Vec<Fault>,
    /// How much is wrong.
    pub fault_count: usize,
    /// Rows of data read.
    pub rows: usize,
}

impl AssetTable {
    /// Notes a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }
}

/// Reads the sheets that have a heading of ours.
pub fn table(sheets: &[Sheet]) -> AssetTable {
    let mut table = AssetTable::default();
    let mut found = false;
    for sheet in sheets {
        let Some((at, places)) = headings(sheet) else {
            continue;
        };
        found = true;
        let mut complete = true;
        for (column, place) in COLUMNS.iter().zip(&places) {
            if column.1 && place.is_none() {
                complete = false;
                let fault = Fault::new(&sheet.name, at, column.0[0], "roster_heading_missing");
                table.fault(fault.arg("expected", column.0[0]).arg("found", "—"));
            }
        }
        if !complete {
            continue;
        }
        for row in sheet.rows.iter().filter(|row| row.number > at) {
            let cell = |column: usize| {
                places
                    .get(column)
                    .copied()
                    .flatten()
                    .and_then(|at| row.cells.get(at))
            };
            if (0..COLUMNS.len()).all(|column| matches!(cell(column), None | Some(Cell::Empty))) {
                continue;
            }
            table.rows += 1;
            one(&mut table, sheet, row, &places);
        }
    }
    if !found {
        let expected = format!("{}、{}", COLUMNS[0].0[0], COLUMNS[2].0[0]);
        table.fault(Fault::new("", 1, "", "asset_no_table").arg("expected", expected));
    }
    twice(&mut table);
    table
}

fn headings(sheet: &Sheet) -> Option<(usize, Vec<Option<usize>>)> {
    sheet.rows.iter().take(HEADINGS_WITHIN).find_map(|row| {
        let mut named: HashMap<String, usize> = HashMap::new();
        for (at, cell) in row.cells.iter().enumerate() {
            if let Cell::Text(text) = cell {
                let plain: String = text
                    .chars()
                    .filter(|c| !c.is_whitespace() && !matches!(c, '*' | '＊' | '：' | ':'))
                    .collect();
                named.entry(plain).or_insert(at);
            }
        }
        let place = |column: &Column| column.0.iter().find_map(|heading| named.get(*heading).copied());
        let places: Vec<Option<usize>> = COLUMNS.iter().map(place).collect();
        // A table of equipment has the school's code or a kind; a roster has no kind of equipment.
        (places.first().copied().flatten().is_some() || places.get(2).copied().flatten().is_some())
            .then_some((row.number, places))
    })
}

fn one(table: &mut AssetTable, sheet: &Sheet, row: &Row, places: &[Option<usize>]) {
    let before = table.fault_count;
    let mut wrong = |column: usize, code: &'static str, args: &[(&'static str, String)]| {
        let mut fault = Fault::new(&sheet.name, row.number, COLUMNS[column].0[0], code);
        for (name, value) in args {
            fault = fault.arg(name, value);
        }
        table.fault(fault);
    };
    let mut texts: Vec<Option<String>> = Vec::with_capacity(COLUMNS.len());
    for (at, column) in COLUMNS.iter().enumerate() {
        let cell = places
            .get(at)
            .copied()
            .flatten()
            .and_then(|place| row.cells.get(place));
        let dated = at == 11 || at == 12;
        let text = match cell {
            None | Some(Cell::Empty) => {
                if column.1 {
                    wrong(at, "roster_missing", &[]);
                }
                None
            }
            Some(Cell::Formula) => {
                wrong(at, "roster_formula", &[]);
                None
            }
            Some(Cell::Broken(error)) => {
                wrong(at, "roster_broken", &[("found", error.clone())]);
                None
            }
            Some(Cell::Number(number)) if dated => {
                Some(spreadsheet_day(*number).map_or_else(|| number.to_string(), |date| date.to_string()))
            }
            Some(Cell::Number(number)) => match whole(*number) {
                Some(text) => Some(text),
                None => {
                    wrong(at, "roster_number_form", &[("found", number.to_string())]);
                    None
                }
            },
            Some(Cell::Text(text)) => Some(text.trim().to_owned()),
        };
        let text = text.filter(|text| !text.is_empty()).filter(|text| {
            if text.chars().any(char::is_control) {
                wrong(at, "roster_control", &[]);
                return false;
            }
            if text.chars().count() > column.2 {
                wrong(at, "roster_too_long", &[("most", column.2.to_string())]);
                return false;
            }
            true
        });
        texts.push(text);
    }
    let mut text = |at: usize| texts.get_mut(at).and_then(Option::take);
    let school = text(0);
    let classroom = text(1);
    let kind = text(2).and_then(|word| {
        let kind = kind_named(&word);
        if kind.is_none() {
            let known: Vec<&str> = KINDS.iter().map(|(_, names)| names[0]).collect();
            wrong(2, "asset_kind", &[("found", word), ("known", known.join("、"))]);
        }
        kind
    });
    let (tag, brand, model, serial) = (text(3), text(4), text(5), text(6));
    let interactive = text(7).and_then(|word| match word.as_str() {
        "是" | "Y" | "y" | "1" => Some(true),
        "否" | "N" | "n" | "0" => Some(false),
        _ => {
            wrong(7, "asset_yes_no", &[("found", word)]);
            None
        }
    });
    let (owner, builder, maintainer) = (text(8), text(9), text(10));
    let mut date = |at: usize| {
        let word = text(at)?;
        let date = day(&word);
        if date.is_none() {
            wrong(at, "asset_date", &[("found", word)]);
        }
        date
    };
    let (bought_on, warranty_until) = (date(11), date(12));
    let note = text(13);
    if table.fault_count > before {
        return;
    }
    table.assets.push(AssetRow {
        at: (sheet.name.clone(), row.number),
        school: school.unwrap_or_default(),
        classroom,
        kind,
        tag,
        brand,
        model,
        serial,
        interactive,
        owner,
        builder,
        maintainer,
        bought_on,
        warranty_until,
        note,
    });
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be whole and below 10^15"
)]
fn whole(number: f64) -> Option<String> {
    (number.fract() == 0.0 && (0.0..1e15).contains(&number)).then(|| (number as i64).to_string())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "checked to be a day of this or the next century"
)]
fn spreadsheet_day(number: f64) -> Option<Date> {
    // 1990 to 2100.
    (32_874.0..73_415.0)
        .contains(&number)
        .then(|| {
            SPREADSHEET_BEGINS
                .checked_add((number.trunc() as i32).days())
                .ok()
        })
        .flatten()
}

/// 2021-09-01, 2021/9/1, 2021.9.1, 2021年9月1日, 2021年9月, 20210901.
pub(crate) fn day(word: &str) -> Option<Date> {
    let parts: Vec<i16> = if word.len() == 8 && word.bytes().all(|c| c.is_ascii_digit()) {
        vec![
            word[..4].parse().ok()?,
            word[4..6].parse().ok()?,
            word[6..].parse().ok()?,
        ]
    } else {
        word.split(['-', '/', '.', '年', '月', '日'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?
    };
    let (year, month, date) = match parts.as_slice() {
        [year, month] => (*year, *month, 1),
        [year, month, date] => (*year, *month, *date),
        _ => return None,
    };
    (1990..=2100)
        .contains(&year)
        .then(|| Date::new(year, i8::try_from(month).ok()?, i8::try_from(date).ok()?).ok())
        .flatten()
}

/// A tag or serial number that stands in two rows of a school: nobody can know which is meant.
fn twice(table: &mut AssetTable) {
    let mut faults = Vec::new();
    let mut seen: HashMap<(&str, u8, &str), usize> = HashMap::new();
    for asset in &table.assets {
        for (which, column, value) in [(0, 3, &asset.tag), (1, 6, &asset.serial)] {
            let Some(value) = value else { continue };
            if let Some(first) = seen.insert((&asset.school, which, value), asset.at.1) {
                let fault = Fault::new(&asset.at.0, asset.at.1, COLUMNS[column].0[0], "asset_twice");
                faults.push(fault.arg("first", first));
            }
        }
    }
    for fault in faults {
        table.fault(fault);
    }
}

/// A workbook to fill in; its cells are text, so that zeros in front stay.
///
/// # Errors
/// The writer's.
pub fn xlsx_template() -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let heading = Format::new()
        .set_bold()
        .set_background_color(Color::RGB(0xDD_EB_F7));
    let text = Format::new().set_num_format("@");
    let example = text.clone().set_font_color(Color::Gray);
    let sheet = book.add_worksheet().set_name("设备台账")?;
    sheet.set_freeze_panes(1, 0)?;
    for (at, column) in (0_u16..).zip(&COLUMNS) {
        let title = format!("{}{}", column.0[0], if column.1 { "*" } else { "" });
        sheet.set_column_format(at, &text)?;
        sheet.set_column_width(at, 18)?;
        sheet.write_string_with_format(0, at, title, &heading)?;
        sheet.write_string_with_format(1, at, column.3, &example)?;
    }
    let notes = book.add_worksheet().set_name("填写说明")?;
    notes.set_column_width(0, 100)?;
    let kinds: Vec<&str> = KINDS.iter().map(|(_, names)| names[0]).collect();
    let lines = [
        "1. 带 * 的列必填；空着的格子不会清除系统里已有的内容。".to_owned(),
        format!("2. 设备类型：{}。", kinds.join("、")),
        "3. 已接入本系统的终端会自动入账，不必填写；要补购置日期等，填它的序列号即可。".to_owned(),
        "4. 同一所学校里，资产编号相同就是同一件设备；没有资产编号时按序列号认；两样都没有，每次导入都算新设备。".to_owned(),
        "5. 班级代码留空表示校级设备。主管、建设、运维单位留空时按班级的填。".to_owned(),
        "6. 日期写成 2024-09-01。不要用公式，不要合并单元格；第二行是示例，导入前请删掉。".to_owned(),
    ];
    for (row, line) in (0_u32..).zip(lines) {
        notes.write_string(row, 0, line)?;
    }
    book.save_to_buffer()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::roster::{Encoding, read};

    fn of(csv: &str) -> AssetTable {
        table(&read(csv.as_bytes(), Encoding::Utf8).unwrap())
    }

    #[test]
    fn rows_are_read_and_what_is_wrong_has_its_place() {
        let good = of(
            "学校代码,班级代码,设备类型,资产编号,序列号,交互,购置日期\n0001,0301,一体机,ZC1,SN1,是,2021/9/1\n0001,,投影仪,,,,\n",
        );
        assert_eq!(
            (good.rows, good.fault_count, good.assets.len()),
            (2, 0, 2),
            "{:?}",
            good.faults
        );
        let first = &good.assets[0];
        assert_eq!(
            (first.school.as_str(), first.kind),
            ("0001", Some(AssetKind::Panel))
        );
        assert_eq!(
            (first.interactive, first.bought_on),
            (Some(true), Some(date(2021, 9, 1)))
        );
        assert_eq!(good.assets[1].classroom, None);
        let bad = of(
            "学校代码,设备类型,资产编号,购置日期,交互\n,一体机,A,,\n1,黑板,B,,\n1,一体机,B,去年,\n1,一体机,C,,也许\n1,终端,C2,,\n1,终端,C2,,\n",
        );
        let codes: Vec<_> = bad.faults.iter().map(|f| (f.row, f.code)).collect();
        assert_eq!(
            codes,
            [
                (2, "roster_missing"),
                (3, "asset_kind"),
                (4, "asset_date"),
                (5, "asset_yes_no"),
                (7, "asset_twice")
            ]
        );
        assert_eq!(of("姓名,电话\n甲,1\n").faults[0].code, "asset_no_table");
        assert_eq!(
            of("学校代码,品牌\n1,甲\n").faults[0].code,
            "roster_heading_missing"
        );
    }

    #[test]
    fn days_as_people_write_them() {
        for word in [
            "2021-09-01",
            "2021/9/1",
            "2021.9.1",
            "2021年9月1日",
            "2021年9月",
            "20210901",
        ] {
            assert_eq!(day(word), Some(date(2021, 9, 1)), "{word}");
        }
        for word in [
            "",
            "2021",
            "2021-13-01",
            "1-1-1",
            "0000-00-00",
            "去年",
            "2021-09-31",
        ] {
            assert_eq!(day(word), None, "{word}");
        }
        assert_eq!(spreadsheet_day(44_440.0), Some(date(2021, 9, 1)));
        assert_eq!(spreadsheet_day(2_021.0), None);
    }

    #[test]
    fn the_template_is_read_by_what_reads_it() {
        let read = table(&read(&xlsx_template().unwrap(), Encoding::Guess).unwrap());
        assert_eq!((read.fault_count, read.assets.len()), (0, 1), "{:?}", read.faults);
        assert_eq!(read.assets[0].bought_on, Some(date(2021, 9, 1)));
    }
}
