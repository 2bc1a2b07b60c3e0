//! The empty table that people fill in.

use rust_xlsxwriter::{Color, DataValidation, Format, FormatAlign, FormatBorder, Workbook, XlsxError};

use super::tables::{CLASSROOM, Column, SCHOOL};

const TEXT_ROWS: u32 = 5_000;

/// An xlsx workbook with the sheets 学校, 班级 and 填写说明. Cells are text, so that zeros in front stay.
///
/// # Errors
/// The writer's.
pub fn xlsx_template() -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    sheet(&mut book, "学校", &SCHOOL)?;
    sheet(&mut book, "班级", &CLASSROOM)?;
    let notes = book.add_worksheet().set_name("填写说明")?;
    notes.set_column_width(0, 100)?;
    for (row, line) in (0_u32..).zip(NOTES) {
        notes.write_string(row, 0, line)?;
    }
    book.save_to_buffer()
}

const NOTES: [&str; 9] = [
    "1. 带 * 的列必填，其余可空；空着的格子不会清除系统里已有的内容。",
    "2. 学校代码用教育部学校（机构）标识码；班级代码在本校内唯一，定下后不要再改：改名不改码，历史数据才接得上。",
    "3. 教学点填“是”或“否”；带宽填合同约定的 Mbit/s，只填数字。",
    "4. 乡镇填名称即可，系统里没有会自动建立；留空则直接归县。",
    "5. 主管、建设、运维单位：谁主管谁负责，谁建设谁保障；未接入本系统的设备也请填在“现有设备”。",
    "6. 不要合并单元格，不要用公式；从别的表复制时用“粘贴为数值”。",
    "7. 第二行是示例，导入前请删掉或改成真实数据。",
    "8. 导入前先“预检”，有错的行会逐格说明；预检不改动任何数据。同一份表重复导入不会产生重复。",
    "9. 最多 100000 行；csv 文件可用 UTF-8 或 GBK 编码，学校与班级各一个文件。",
];

fn sheet(book: &mut Workbook, name: &str, columns: &[Column]) -> Result<(), XlsxError> {
    let heading = Format::new()
        .set_bold()
        .set_background_color(Color::RGB(0xDD_EB_F7))
        .set_border(FormatBorder::Thin)
        .set_align(FormatAlign::Center);
    let text = Format::new().set_num_format("@");
    let example = text.clone().set_font_color(Color::Gray);
    let sheet = book.add_worksheet().set_name(name)?;
    sheet.set_freeze_panes(1, 0)?;
    for (at, column) in (0_u16..).zip(columns) {
        let title = format!("{}{}", column.headings[0], if column.needed { "*" } else { "" });
        sheet.set_column_format(at, &text)?;
        sheet.set_column_width(at, 18)?;
        sheet.write_string_with_format(0, at, title, &heading)?;
        sheet.write_string_with_format(1, at, column.example, &example)?;
        if column.headings[0] == "教学点" {
            let choice = DataValidation::new().allow_list_strings(&["是", "否"])?;
            sheet.add_data_validation(1, at, TEXT_ROWS, at, &choice)?;
        }
    }
    Ok(())
}

/// One csv of classrooms (or of schools), in UTF-8 with a byte order mark, as spreadsheets want it.
pub fn csv_template(classrooms: bool) -> Vec<u8> {
    let columns: &[Column] = if classrooms { &CLASSROOM } else { &SCHOOL };
    let line = |pick: fn(&Column) -> &str| columns.iter().map(pick).collect::<Vec<_>>().join(",");
    format!(
        "\u{feff}{}\r\n{}\r\n",
        line(|c| c.headings[0]),
        line(|c| c.example)
    )
    .into_bytes()
}
