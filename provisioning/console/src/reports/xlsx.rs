//! A report as a spreadsheet. Texts are written as texts, never as formulas, and no time of making goes into the file.

use rust_xlsxwriter::{
    Chart, ChartType, Color, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook,
    Worksheet, XlsxError,
};

use super::{
    body::{ABSENT, Body, FREE, SILENT},
    clean, word,
};
use crate::{
    config::Language,
    domain::{
        indicators::{Dictionary, Figure, Indicator, Kind},
        timetables,
    },
};

/// Rows of one sheet that people still open.
const MOST_ROWS: usize = 200_000;

pub(super) struct Style {
    pub(super) title: Format,
    pub(super) head: Format,
    pub(super) text: Format,
    wrap: Format,
    number: Format,
    unknown: Format,
}

impl Style {
    pub(super) fn new() -> Self {
        let cell = Format::new()
            .set_border(FormatBorder::Thin)
            .set_align(FormatAlign::VerticalCenter);
        Self {
            title: Format::new().set_bold().set_font_size(16.0),
            head: cell
                .clone()
                .set_bold()
                .set_background_color(Color::RGB(0x00DD_E8F5))
                .set_text_wrap(),
            text: cell.clone(),
            wrap: cell.clone().set_text_wrap(),
            number: cell.clone().set_align(FormatAlign::Right),
            unknown: cell
                .set_font_color(Color::RGB(0x0080_8080))
                .set_align(FormatAlign::Center),
        }
    }
}

/// The file: cover, figures, schools, days, rows, dictionary.
///
/// # Errors
/// It is larger than a spreadsheet can be.
pub fn make(
    body: &Body,
    dictionary: &Dictionary,
    digest: &str,
    language: Language,
) -> Result<Vec<u8>, XlsxError> {
    let mut book = new(&title(body, language))?;
    let style = Style::new();
    cover(&mut book, body, dictionary, digest, language, &style)?;
    if body.schools.len() > 1 {
        schools(book.add_worksheet(), body, dictionary, language, &style)?;
    }
    days(book.add_worksheet(), body, language, &style)?;
    if !body.devices.is_empty() {
        devices(book.add_worksheet(), body, language, &style)?;
    }
    rows(book.add_worksheet(), body, dictionary, language, &style)?;
    words(book.add_worksheet(), dictionary, language, &style)?;
    book.save_to_buffer()
}

/// A file whose bytes say nothing of when it was made.
pub(super) fn new(title: &str) -> Result<Workbook, XlsxError> {
    let mut book = Workbook::new();
    let properties = DocProperties::new()
        .set_title(clean::plain(title))
        .set_author("班班通")
        .set_creation_datetime(&ExcelDateTime::from_ymd(2000, 1, 1)?);
    book.set_properties(&properties);
    Ok(book)
}

/// What a report is called.
pub fn title(body: &Body, language: Language) -> String {
    let kind = word(language, &format!("kind.{}", body.about.kind.as_str()));
    format!(
        "{} {} {} – {}",
        body.about.place, kind, body.about.from, body.about.to
    )
}

/// A figure's name, marked where somebody typed it in.
pub(super) fn name(indicator: &Indicator, language: Language) -> String {
    let name = match language {
        Language::ZhCn => &indicator.zh,
        Language::En => &indicator.en,
    };
    if indicator.manual {
        format!("{name} [{}]", word(language, "manual"))
    } else {
        name.clone()
    }
}

/// A figure as text; 未知 with the reason where nobody knows.
pub(super) fn shown(figure: &Figure, kind: Kind, dictionary: &Dictionary, language: Language) -> String {
    figure
        .shown(kind)
        .unwrap_or_else(|| unknown(figure.why.as_deref(), dictionary, language))
}

pub(super) fn unknown(why: Option<&str>, dictionary: &Dictionary, language: Language) -> String {
    let unknown = word(language, "unknown");
    let reason = dictionary
        .reasons
        .iter()
        .find(|reason| Some(reason.id.as_str()) == why);
    match (reason, language) {
        (Some(reason), Language::ZhCn) => format!("{unknown}（{}）", reason.zh),
        (Some(reason), Language::En) => format!("{unknown} ({})", reason.en),
        (None, _) => unknown,
    }
}

fn head(sheet: &mut Worksheet, row: u32, names: &[String], style: &Style) -> Result<(), XlsxError> {
    for (at, name) in (0u16..).zip(names) {
        sheet.write_string_with_format(row, at, name, &style.head)?;
    }
    Ok(())
}

fn put(sheet: &mut Worksheet, row: u32, column: u16, text: &str, format: &Format) -> Result<(), XlsxError> {
    sheet.write_string_with_format(row, column, clean::cell(text), format)?;
    Ok(())
}

/// A value as a number that adds up, with its decimals; 未知 as text.
fn value(
    sheet: &mut Worksheet,
    (row, column): (u32, u16),
    figure: &Figure,
    kind: Kind,
    style: &Style,
    unknown: &str,
) -> Result<(), XlsxError> {
    #[allow(clippy::cast_precision_loss)]
    match figure.value(kind) {
        None => put(sheet, row, column, unknown, &style.unknown)?,
        Some((value, decimals)) => {
            let percent = if kind == Kind::Percent { 100.0 } else { 1.0 };
            let form = match kind {
                Kind::Percent => "0.00%",
                Kind::Ratio => "0.00",
                Kind::Count => "0",
                Kind::Hours | Kind::MeanHours => "0.0",
            };
            let scale = 10f64.powi(i32::try_from(decimals).unwrap_or(0)) * percent;
            let format = style.number.clone().set_num_format(form);
            sheet.write_number_with_format(row, column, value as f64 / scale, &format)?;
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn whole(
    sheet: &mut Worksheet,
    row: u32,
    column: u16,
    number: Option<i64>,
    style: &Style,
) -> Result<(), XlsxError> {
    match number {
        Some(number) => sheet.write_number_with_format(row, column, number as f64, &style.number)?,
        None => sheet.write_string_with_format(row, column, "", &style.text)?,
    };
    Ok(())
}

fn cover(
    book: &mut Workbook,
    body: &Body,
    dictionary: &Dictionary,
    digest: &str,
    language: Language,
    style: &Style,
) -> Result<(), XlsxError> {
    let sheet = book.add_worksheet();
    sheet.set_name(word(language, "sheet.figures"))?;
    sheet.write_string_with_format(0, 0, clean::cell(&title(body, language)), &style.title)?;
    let lines = [
        format!("{}: {}", word(language, "dictionary"), body.dictionary),
        format!("BLAKE3: {digest}"),
        word(language, "note.unknown"),
    ];
    for (row, line) in (1u32..).zip(&lines) {
        sheet.write_string(row, 0, line)?;
    }
    if body.empty {
        sheet.write_string_with_format(4, 0, word(language, "empty"), &style.title)?;
    }
    let columns = [
        "indicator",
        "value",
        "numerator",
        "denominator",
        "unknown",
        "rows",
        "formula",
        "source",
    ];
    head(
        sheet,
        6,
        &columns.map(|key| word(language, &format!("column.{key}"))),
        style,
    )?;
    for (at, width) in [
        (0, 34.0),
        (1, 22.0),
        (2, 14.0),
        (3, 14.0),
        (4, 10.0),
        (5, 10.0),
        (6, 46.0),
        (7, 60.0),
    ] {
        sheet.set_column_width(at, width)?;
    }
    let mut row = 7;
    for figure in body.figures.iter().filter(|figure| is_head(body, figure)) {
        let Some(indicator) = dictionary.indicator(&figure.indicator) else {
            continue;
        };
        put(sheet, row, 0, &name(indicator, language), &style.text)?;
        let unknown = unknown(figure.why.as_deref(), dictionary, language);
        value(sheet, (row, 1), figure, indicator.kind, style, &unknown)?;
        whole(sheet, row, 2, figure.num, style)?;
        whole(sheet, row, 3, figure.den, style)?;
        whole(sheet, row, 4, Some(figure.unknown), style)?;
        whole(sheet, row, 5, Some(i64::from(figure.rows)), style)?;
        put(sheet, row, 6, &indicator.formula, &style.wrap)?;
        put(sheet, row, 7, &indicator.source, &style.wrap)?;
        row += 1;
    }
    sheet.set_freeze_panes(7, 1)?;
    sheet.set_landscape().set_print_fit_to_pages(1, 0);
    Ok(())
}

/// Figures of the whole; of a single school out of a larger report, its own.
pub(super) fn is_head(body: &Body, figure: &Figure) -> bool {
    match figure.school {
        None => true,
        Some(school) => {
            body.schools.len() == 1
                && body.figure(&figure.indicator).is_none()
                && school == body.schools[0].id
        }
    }
}

fn schools(
    sheet: &mut Worksheet,
    body: &Body,
    dictionary: &Dictionary,
    language: Language,
    style: &Style,
) -> Result<(), XlsxError> {
    sheet.set_name(word(language, "sheet.schools"))?;
    let mut names = ["code", "school", "kind"]
        .map(|key| word(language, &format!("column.{key}")))
        .to_vec();
    names.extend(
        dictionary
            .indicators
            .iter()
            .map(|indicator| name(indicator, language)),
    );
    head(sheet, 0, &names, style)?;
    let rows: std::collections::HashMap<i64, u32> =
        body.schools.iter().map(|school| school.id).zip(1u32..).collect();
    for (row, school) in (1u32..).zip(&body.schools) {
        put(sheet, row, 0, &school.code, &style.text)?;
        put(sheet, row, 1, &school.name, &style.text)?;
        let kind = if school.teaching_point {
            "teaching_point"
        } else {
            "school"
        };
        put(
            sheet,
            row,
            2,
            &word(language, &format!("place.{kind}")),
            &style.text,
        )?;
    }
    let columns: std::collections::HashMap<&str, u16> = dictionary
        .indicators
        .iter()
        .map(|indicator| indicator.id.as_str())
        .zip(3u16..)
        .collect();
    let unknown = word(language, "unknown");
    for figure in &body.figures {
        let row = figure.school.and_then(|school| rows.get(&school));
        let column = columns.get(figure.indicator.as_str());
        let kind = dictionary
            .indicator(&figure.indicator)
            .map(|indicator| indicator.kind);
        if let (Some(row), Some(column), Some(kind)) = (row, column, kind) {
            value(sheet, (*row, *column), figure, kind, style, &unknown)?;
        }
    }
    sheet.set_column_width(1, 28)?;
    sheet.set_freeze_panes(1, 2)?;
    sheet
        .set_landscape()
        .set_print_fit_to_pages(1, 0)
        .set_repeat_rows(0, 0)?;
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn days(sheet: &mut Worksheet, body: &Body, language: Language, style: &Style) -> Result<(), XlsxError> {
    let name = word(language, "sheet.days");
    sheet.set_name(&name)?;
    let columns = ["date", "devices", "heard", "silent", "online_hours"];
    head(
        sheet,
        0,
        &columns.map(|key| word(language, &format!("column.{key}"))),
        style,
    )?;
    let hours = style.number.clone().set_num_format("0.0");
    for ((row, day), date) in (1u32..)
        .zip(&body.days)
        .zip(timetables::dates(body.about.from, body.about.to))
    {
        put(sheet, row, 0, &date.to_string(), &style.text)?;
        whole(sheet, row, 1, Some(day.devices), style)?;
        whole(sheet, row, 2, Some(day.heard), style)?;
        whole(sheet, row, 3, Some(day.silent), style)?;
        sheet.write_number_with_format(row, 4, day.online_s as f64 / 3_600.0, &hours)?;
    }
    sheet.set_column_width(0, 14)?;
    let last = u32::try_from(body.days.len()).unwrap_or(0);
    if last > 0 {
        let mut chart = Chart::new(ChartType::Line);
        for column in [2u16, 3] {
            chart
                .add_series()
                .set_name((name.as_str(), 0, column))
                .set_categories((name.as_str(), 1, 0, last, 0))
                .set_values((name.as_str(), 1, column, last, column));
        }
        chart.title().set_name(&word(language, "chart.days"));
        sheet.insert_chart(1, 6, &chart)?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn devices(sheet: &mut Worksheet, body: &Body, language: Language, style: &Style) -> Result<(), XlsxError> {
    sheet.set_name(word(language, "sheet.devices"))?;
    let mut names = vec![word(language, "column.device"), word(language, "column.id")];
    names.extend(timetables::dates(body.about.from, body.about.to).map(|date| date.day().to_string()));
    head(sheet, 0, &names, style)?;
    let hours = style.number.clone().set_num_format("0.0");
    let (silent, free) = (word(language, "unknown"), word(language, "free"));
    for (row, device) in (1u32..).zip(&body.devices) {
        put(sheet, row, 0, &device.label, &style.text)?;
        put(sheet, row, 1, &device.id, &style.text)?;
        for (column, seconds) in (2u16..).zip(&device.days) {
            match *seconds {
                SILENT => put(sheet, row, column, &silent, &style.unknown)?,
                FREE => put(sheet, row, column, &free, &style.unknown)?,
                ABSENT => put(sheet, row, column, "", &style.unknown)?,
                seconds => {
                    sheet.write_number_with_format(row, column, seconds as f64 / 3_600.0, &hours)?;
                }
            }
        }
    }
    sheet.set_column_width(0, 40)?;
    sheet.set_freeze_panes(1, 1)?;
    sheet
        .set_landscape()
        .set_print_fit_to_pages(1, 0)
        .set_repeat_rows(0, 0)?;
    Ok(())
}

fn rows(
    sheet: &mut Worksheet,
    body: &Body,
    dictionary: &Dictionary,
    language: Language,
    style: &Style,
) -> Result<(), XlsxError> {
    sheet.set_name(word(language, "sheet.rows"))?;
    let columns = [
        "indicator",
        "school",
        "id",
        "label",
        "numerator",
        "denominator",
        "unknown",
        "why",
    ];
    head(
        sheet,
        0,
        &columns.map(|key| word(language, &format!("column.{key}"))),
        style,
    )?;
    let schools: std::collections::HashMap<i64, &str> = body
        .schools
        .iter()
        .map(|school| (school.id, school.name.as_str()))
        .collect();
    let mut line = 1u32;
    for of in &body.rows {
        let Some(indicator) = dictionary.indicator(&of.indicator) else {
            continue;
        };
        let called = name(indicator, language);
        for row in of.rows.iter().take(MOST_ROWS) {
            put(sheet, line, 0, &called, &style.text)?;
            put(
                sheet,
                line,
                1,
                schools.get(&row.school).copied().unwrap_or(""),
                &style.text,
            )?;
            put(sheet, line, 2, &row.key, &style.text)?;
            put(sheet, line, 3, &row.label, &style.text)?;
            whole(sheet, line, 4, row.num, style)?;
            whole(sheet, line, 5, row.den, style)?;
            whole(sheet, line, 6, Some(row.unknown), style)?;
            let why = row
                .why
                .as_deref()
                .map(|why| unknown(Some(why), dictionary, language));
            put(sheet, line, 7, why.as_deref().unwrap_or(""), &style.text)?;
            line += 1;
        }
    }
    for (at, width) in [(0, 28.0), (1, 24.0), (2, 38.0), (3, 44.0)] {
        sheet.set_column_width(at, width)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.autofilter(0, 0, line.max(2) - 1, 7)?;
    Ok(())
}

fn words(
    sheet: &mut Worksheet,
    dictionary: &Dictionary,
    language: Language,
    style: &Style,
) -> Result<(), XlsxError> {
    sheet.set_name(word(language, "sheet.dictionary"))?;
    let columns = [
        "id",
        "indicator",
        "definition",
        "formula",
        "denominator",
        "source",
    ];
    head(
        sheet,
        0,
        &columns.map(|key| word(language, &format!("column.{key}"))),
        style,
    )?;
    for (row, indicator) in (1u32..).zip(&dictionary.indicators) {
        let called = name(indicator, language);
        let cells = [
            &indicator.id,
            &called,
            &indicator.definition,
            &indicator.formula,
            &indicator.denominator,
            &indicator.source,
        ];
        for (column, text) in (0u16..).zip(cells) {
            put(sheet, row, column, text, &style.wrap)?;
        }
    }
    for (at, width) in [(0, 24.0), (1, 24.0), (2, 60.0), (3, 44.0), (4, 40.0), (5, 60.0)] {
        sheet.set_column_width(at, width)?;
    }
    Ok(())
}
