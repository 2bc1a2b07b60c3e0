//! A report as one page to print (A4), charts and all; nothing in it is fetched from anywhere, and nothing in it runs.

use std::fmt::Write as _;

use super::{
    body::Body,
    charts, clean, word,
    xlsx::{is_head, name, shown, title},
};
use crate::{
    config::Language,
    domain::{
        indicators::{Dictionary, Kind},
        timetables,
    },
};

/// What the page may do: show itself.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; sandbox";

/// Look of every page to print.
pub(super) const STYLE: &str = "@page{size:A4;margin:15mm;@bottom-right{content:counter(page) ' / ' counter(pages);font-size:9pt;color:#555}}\
body{font:14px/1.5 'Noto Sans CJK SC','Noto Sans SC',sans-serif;color:#111;\
max-width:960px;margin:24px auto;padding:0 16px}h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:28px 0 8px}\
table{border-collapse:collapse;width:100%;margin:8px 0}th,td{border:1px solid #999;padding:4px 8px;text-align:left;\
vertical-align:top}th{background:#dde8f5}td.n{text-align:right;white-space:nowrap}thead{display:table-header-group}\
tr{break-inside:avoid}.small{color:#444;font-size:12px;overflow-wrap:anywhere}.empty{border:2px solid #a33;padding:12px;font-size:18px}\
.unknown{color:#666}svg{break-inside:avoid}th{print-color-adjust:exact}h2{break-after:avoid}td.n{font-variant-numeric:tabular-nums}\
@media print{body{margin:0;padding:0 1px;max-width:none}}";

/// Schools in a chart; the table has all of them.
const BARS: usize = 40;

/// The page.
pub fn make(body: &Body, dictionary: &Dictionary, digest: &str, language: Language) -> String {
    let mut page = begin(&title(body, language), language);
    let _ = write!(
        page,
        "<p class=\"small\">{}: {} · BLAKE3 {}</p>",
        word(language, "dictionary"),
        clean::html(&body.dictionary),
        clean::html(digest)
    );
    if body.empty {
        let _ = write!(page, "<p class=\"empty\">{}</p>", word(language, "empty"));
    }
    let _ = write!(page, "<p>{}</p>", word(language, "note.unknown"));
    figures(&mut page, body, dictionary, language);
    if !body.empty {
        graphs(&mut page, body, language);
    }
    if body.schools.len() > 1 {
        schools(&mut page, body, dictionary, language);
    }
    definitions(&mut page, dictionary, language);
    page.push_str("</body></html>\n");
    page
}

/// Head of a page and its first heading.
pub(super) fn begin(title: &str, language: Language) -> String {
    let title = clean::html(title);
    let lang = match language {
        Language::ZhCn => "zh-CN",
        Language::En => "en",
    };
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><h1>{title}</h1>"
    )
}

/// The heading of a table.
pub(super) fn head(page: &mut String, names: &[String]) {
    page.push_str("<table><thead><tr>");
    for name in names {
        let _ = write!(page, "<th>{}</th>", clean::html(name));
    }
    page.push_str("</tr></thead><tbody>");
}

fn figures(page: &mut String, body: &Body, dictionary: &Dictionary, language: Language) {
    let _ = write!(page, "<h2>{}</h2>", word(language, "sheet.figures"));
    let columns = ["indicator", "value", "numerator", "denominator", "unknown"];
    head(page, &columns.map(|key| word(language, &format!("column.{key}"))));
    for figure in body.figures.iter().filter(|figure| is_head(body, figure)) {
        let Some(indicator) = dictionary.indicator(&figure.indicator) else {
            continue;
        };
        let class = if figure.num.is_none() { "n unknown" } else { "n" };
        let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"{class}\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            clean::html(&name(indicator, language)),
            clean::html(&shown(figure, indicator.kind, dictionary, language)),
            number(figure.num),
            number(figure.den),
            figure.unknown
        );
    }
    page.push_str("</tbody></table>");
}

fn graphs(page: &mut String, body: &Body, language: Language) {
    if !body.days.is_empty() {
        let labels: Vec<String> = timetables::dates(body.about.from, body.about.to)
            .map(|date| format!("{}-{}", date.month(), date.day()))
            .collect();
        let heard: Vec<Option<i64>> = body
            .days
            .iter()
            .map(|day| {
                let known = day.heard + day.silent;
                (known > 0).then(|| day.heard * 10_000 / known)
            })
            .collect();
        let name = word(language, "chart.heard");
        let _ = write!(page, "<h2>{name}</h2>{}", charts::line(&name, &labels, &heard));
    }
    for indicator in ["device_on_rate", "lesson_opening"] {
        let names: std::collections::HashMap<i64, &str> = body
            .schools
            .iter()
            .map(|school| (school.id, school.name.as_str()))
            .collect();
        let mut bars: Vec<(String, Option<i64>)> = body
            .figures
            .iter()
            .filter(|figure| figure.indicator == indicator)
            .filter_map(|figure| {
                let name = names.get(&figure.school?)?;
                let value = figure.value(Kind::Percent).map(|(value, _)| value);
                Some(((*name).to_owned(), value))
            })
            .collect();
        if bars.len() < 2 {
            continue;
        }
        // Lowest first: they need a look.
        bars.sort_by_key(|(_, value)| value.unwrap_or(i64::MAX));
        bars.truncate(BARS);
        let name = word(language, &format!("chart.{indicator}"));
        let unknown = word(language, "unknown");
        let _ = write!(page, "<h2>{name}</h2>{}", charts::bars(&name, &unknown, &bars));
    }
}

/// What is looked at first, by school; the spreadsheet has all figures.
const BY_SCHOOL: [&str; 6] = [
    "device_on_rate",
    "lesson_opening",
    "lesson_opens",
    "broadband_met",
    "repairs_opened",
    "repair_hours",
];

fn schools(page: &mut String, body: &Body, dictionary: &Dictionary, language: Language) {
    let _ = write!(page, "<h2>{}</h2>", word(language, "sheet.schools"));
    let mut names = vec![word(language, "column.school")];
    let shown_here = BY_SCHOOL.map(|id| dictionary.indicator(id));
    names.extend(
        shown_here
            .iter()
            .flatten()
            .map(|indicator| name(indicator, language)),
    );
    head(page, &names);
    let figures: std::collections::HashMap<(&str, i64), _> = body
        .figures
        .iter()
        .filter_map(|figure| Some(((figure.indicator.as_str(), figure.school?), figure)))
        .collect();
    let unknown = word(language, "unknown");
    for school in &body.schools {
        let _ = write!(page, "<tr><td>{}</td>", clean::html(&school.name));
        for indicator in shown_here.iter().flatten() {
            let figure = figures.get(&(indicator.id.as_str(), school.id));
            let value = figure.and_then(|figure| figure.shown(indicator.kind));
            let class = if value.is_none() { "n unknown" } else { "n" };
            let _ = write!(
                page,
                "<td class=\"{class}\">{}</td>",
                value.as_deref().unwrap_or(&unknown)
            );
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table>");
}

fn definitions(page: &mut String, dictionary: &Dictionary, language: Language) {
    let _ = write!(page, "<h2>{}</h2>", word(language, "sheet.dictionary"));
    let columns = ["indicator", "definition", "formula", "source"];
    head(page, &columns.map(|key| word(language, &format!("column.{key}"))));
    for indicator in &dictionary.indicators {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            clean::html(&name(indicator, language)),
            clean::html(&indicator.definition),
            clean::html(&indicator.formula),
            clean::html(&indicator.source)
        );
    }
    page.push_str("</tbody></table>");
}
