//! Charts as SVG: lines over days, bars by school. Black on white and with figures beside, for a printer.

use std::fmt::Write as _;

use super::clean;

const WIDTH: i64 = 900;
const HEIGHT: i64 = 200;
const LEFT: i64 = 50;
const BOTTOM: i64 = 170;
const TOP: i64 = 15;

/// A line in percent (hundredths) over days; a day without a value is a gap, not a zero.
pub(super) fn line(title: &str, labels: &[String], values: &[Option<i64>]) -> String {
    let mut svg = open(title);
    for percent in [0, 50, 100] {
        let y = height(percent * 100);
        let _ = write!(
            svg,
            r##"<line x1="{LEFT}" y1="{y}" x2="{WIDTH}" y2="{y}" stroke="#ccc"/><text x="4" y="{}" font-size="12">{percent}%</text>"##,
            y + 4
        );
    }
    let step = (WIDTH - LEFT - 20) / i64::try_from(values.len().max(1)).unwrap_or(1);
    let x = |at: usize| LEFT + 10 + step * i64::try_from(at).unwrap_or(0);
    let mut drawing = false;
    let mut path = String::new();
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) => {
                let letter = if drawing { 'L' } else { 'M' };
                let _ = write!(path, "{letter}{} {} ", x(at), height(*value));
                let _ = write!(
                    svg,
                    r##"<circle cx="{}" cy="{}" r="3" fill="#1f5fa8"/>"##,
                    x(at),
                    height(*value)
                );
                drawing = true;
            }
            None => drawing = false,
        }
    }
    let _ = write!(
        svg,
        r##"<path d="{}" fill="none" stroke="#1f5fa8" stroke-width="2"/>"##,
        path.trim_end()
    );
    let every = values.len().div_ceil(16).max(1);
    for (at, label) in labels.iter().enumerate().step_by(every) {
        let _ = write!(
            svg,
            r#"<text x="{}" y="190" font-size="12" text-anchor="middle">{}</text>"#,
            x(at),
            clean::html(label)
        );
    }
    svg.push_str("</svg>");
    svg
}

fn height(hundredths: i64) -> i64 {
    BOTTOM - (BOTTOM - TOP) * hundredths.clamp(0, 10_000) / 10_000
}

fn open(title: &str) -> String {
    let title = clean::html(title);
    format!(
        r#"<svg role="img" aria-label="{title}" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" xmlns="http://www.w3.org/2000/svg"><title>{title}</title>"#
    )
}

/// Bars in percent (hundredths), one for each label; unknown ones are hatched and say so.
pub(super) fn bars(title: &str, unknown: &str, rows: &[(String, Option<i64>)]) -> String {
    const ROW: i64 = 22;
    let height = ROW * i64::try_from(rows.len()).unwrap_or(0) + 10;
    let title = clean::html(title);
    let mut svg = format!(
        r#"<svg role="img" aria-label="{title}" viewBox="0 0 {WIDTH} {height}" width="100%" xmlns="http://www.w3.org/2000/svg"><title>{title}</title>"#
    );
    for (at, (label, value)) in rows.iter().enumerate() {
        let y = ROW * i64::try_from(at).unwrap_or(0) + 4;
        let _ = write!(
            svg,
            r#"<text x="240" y="{}" font-size="13" text-anchor="end">{}</text>"#,
            y + 14,
            clean::html(&label.chars().take(18).collect::<String>())
        );
        match value {
            Some(value) => {
                let wide = 540 * value.clamp(&0, &10_000) / 10_000;
                let _ = write!(
                    svg,
                    r##"<rect x="250" y="{y}" width="{wide}" height="16" fill="#1f5fa8"/><text x="{}" y="{}" font-size="13">{}.{:02}%</text>"##,
                    256 + wide,
                    y + 14,
                    value / 100,
                    value % 100
                );
            }
            None => {
                let _ = write!(
                    svg,
                    r##"<rect x="250" y="{y}" width="540" height="16" fill="none" stroke="#888" stroke-dasharray="4 3"/><text x="256" y="{}" font-size="13">{}</text>"##,
                    y + 14,
                    clean::html(unknown)
                );
            }
        }
    }
    svg.push_str("</svg>");
    svg
}
