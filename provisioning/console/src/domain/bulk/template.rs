//! The empty table about lessons that people fill in.

use rust_xlsxwriter::{
    Color, DataValidation, Format, FormatAlign, FormatBorder, Formula, Workbook, XlsxError,
};

use super::table::{COLUMNS, Column};
use crate::domain::vocab::{self, Field};

const TEXT_ROWS: u32 = 5_000;
const WORDS: &str = "词表";

const NOTES: [&str; 10] = [
    "1. 带 * 的列必填。学段、版本、册次虽可空，但自审之前必须补齐。",
    "2. “文件”写相对于所选文件夹（或压缩包）的路径，可以是一个文件，也可以是一个文件夹；扩展名可以不写。",
    "3. 一课有几个文件就写几行，课题、学段、学科、版本、年级、册次、章节、课时都相同的行算同一课，按行的先后排列。",
    "4. 写了“课程编号”的课，第二行起只填编号、文件和资源名称即可。",
    "5. 学段、学科、版本、年级、册次、资源类型、授权范围只能用“词表”里的词（常见的别名也认得）；章节和课时随便写。",
    "6. 授权到期写成 2030-08-31，到那一天为止；长期有效就留空。",
    "7. 字幕与视频同名放在一起（微课.mp4、微课.srt），不用写进表里。",
    "8. 不要用公式；从别的表复制时用“粘贴为数值”。第二行是示例，导入前请删掉。",
    "9. 先“预检”，有错的行会逐格说明，不改动任何数据；同一份表重复导入不会产生重复。",
    "10. csv 文件可用 UTF-8 或 GBK 编码。导入的课程都是草稿，要走完审核才能推送。",
];

/// The words of a column, where it has any.
const fn field(column: Column) -> Option<Field> {
    match column {
        Column::Stage => Some(Field::Stage),
        Column::Subject => Some(Field::Subject),
        Column::Edition => Some(Field::Edition),
        Column::Grade => Some(Field::Grade),
        Column::Volume => Some(Field::Volume),
        Column::ResourceType => Some(Field::ResourceType),
        Column::LicenceScope => Some(Field::LicenceScope),
        _ => None,
    }
}

/// An xlsx workbook with the sheets 课程, 词表 and 填写说明; cells with words offer them.
///
/// # Errors
/// The writer's.
pub fn xlsx_template() -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let heading = Format::new()
        .set_bold()
        .set_background_color(Color::RGB(0xDD_EB_F7))
        .set_border(FormatBorder::Thin)
        .set_align(FormatAlign::Center);
    let text = Format::new().set_num_format("@");
    let example = text.clone().set_font_color(Color::Gray);
    let sheet = book.add_worksheet().set_name("课程")?;
    sheet.set_freeze_panes(1, 0)?;
    for (at, (column, headings, needed, shown)) in (0_u16..).zip(&COLUMNS) {
        let title = format!(
            "{}{}",
            headings.first().unwrap_or(&""),
            if *needed { "*" } else { "" }
        );
        sheet.set_column_format(at, &text)?;
        sheet.set_column_width(at, 16)?;
        sheet.write_string_with_format(0, at, title, &heading)?;
        sheet.write_string_with_format(1, at, *shown, &example)?;
        if let Some((column, rows)) = field(*column).and_then(listed) {
            let list = Formula::new(format!("={WORDS}!${column}$2:${column}${}", rows + 1));
            let choice = DataValidation::new()
                .allow_list_formula(list)
                // Other spellings are understood as well, so a list that refuses them would be in the way.
                .show_error_message(false);
            sheet.add_data_validation(1, at, TEXT_ROWS, at, &choice)?;
        }
    }
    let words = book.add_worksheet().set_name(WORDS)?;
    for (at, vocabulary) in (0_u16..).zip(vocab::all()) {
        words.set_column_width(at, 16)?;
        words.write_string_with_format(0, at, &vocabulary.name, &heading)?;
        for (row, word) in (1_u32..).zip(&vocabulary.words) {
            words.write_string(row, at, word.shown())?;
        }
    }
    let notes = book.add_worksheet().set_name("填写说明")?;
    notes.set_column_width(0, 110)?;
    for (row, line) in (0_u32..).zip(NOTES) {
        notes.write_string(row, 0, line)?;
    }
    book.save_to_buffer()
}

/// The letter of a field's column in 词表, and how many words it has.
fn listed(field: Field) -> Option<(char, usize)> {
    let at = vocab::all().iter().position(|v| v.field == field)?;
    let letter = char::from(b'A' + u8::try_from(at).ok()?);
    Some((letter, vocab::all().get(at)?.words.len()))
}

/// The same as csv, in UTF-8 with a byte order mark, as spreadsheets want it.
pub fn csv_template() -> Vec<u8> {
    let headings = COLUMNS.map(|(_, headings, ..)| headings.first().copied().unwrap_or_default());
    let examples = COLUMNS.map(|(.., example)| example);
    format!("\u{feff}{}\r\n{}\r\n", headings.join(","), examples.join(",")).into_bytes()
}
