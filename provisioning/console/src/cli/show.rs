//! Tables for people, JSON for programs.

use serde::Serialize;

use super::args::Format;
use crate::reports::clean;

/// A text of somebody else on its way to a terminal: what would move the cursor, colour the screen or turn the direction of
/// reading is left out. JSON escapes it by itself.
pub(super) fn harmless(text: impl AsRef<str>) -> String {
    clean::plain(text.as_ref())
}

/// Prints `items` as JSON, or `rows` as a table under `head`.
pub(super) fn list<T: Serialize>(
    format: Format,
    items: &T,
    head: &[&str],
    rows: impl FnOnce() -> Vec<Vec<String>>,
) -> anyhow::Result<()> {
    if format.json {
        println!("{}", serde_json::to_string_pretty(items)?);
    } else {
        print!("{}", table(head, &rows()));
    }
    Ok(())
}

/// Prints one thing as JSON, or its `fields` one a line.
pub(super) fn record<T: Serialize>(
    format: Format,
    item: &T,
    fields: impl FnOnce() -> Vec<(&'static str, String)>,
) -> anyhow::Result<()> {
    if format.json {
        println!("{}", serde_json::to_string_pretty(item)?);
    } else {
        print!("{}", lines(&fields()));
    }
    Ok(())
}

fn lines(fields: &[(&'static str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
    fields.iter().fold(String::new(), |mut text, (name, value)| {
        text.push_str(name);
        text.push(':');
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(name)) + 1));
        // What somebody wrote over several lines stays under its name.
        text.push_str(&harmless(value.lines().collect::<Vec<_>>().join(" / ")));
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    })
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(harmless).collect())
        .collect();
    let width = |column: usize| {
        std::iter::once(&head)
            .chain(&rows)
            .filter_map(|row| row.get(column))
            .map(|cell| columns(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(cell)) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Columns on a terminal: Chinese characters and full-width forms take two.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if matches!(u32::from(c), 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0x20000..=0x3FFFD) { 2 } else { 1 }).sum()
}

/// Something or a dash.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

/// A word of the API, as it stands in JSON.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Bytes for people.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_chinese_names() {
        let rows = vec![
            vec!["1".to_owned(), "三年级".to_owned(), "x".to_owned()],
            vec!["22".into(), "ab".into(), "y".into()],
        ];
        assert_eq!(
            table(&["ID", "NAME", "Z"], &rows),
            "ID  NAME    Z\n1   三年级  x\n22  ab      y\n"
        );
    }

    #[test]
    fn a_record_has_one_line_a_field() {
        let fields = [
            ("school", "云溪小学".to_owned()),
            ("text", "一\n二".to_owned()),
            ("note", String::new()),
        ];
        assert_eq!(lines(&fields), "school: 云溪小学\ntext:   一 / 二\nnote:\n");
    }

    #[test]
    fn what_a_board_calls_itself_does_nothing_to_the_terminal() {
        let name = "\u{1b}]0;x\u{7}\u{1b}[2J\u{202e}a\r\nb\u{9b}31m".to_owned();
        let shown = table(&["ID", "NAME"], &[vec!["1".to_owned(), name.clone()]]);
        assert_eq!(shown.lines().count(), 2, "{shown:?}");
        for shown in [shown, lines(&[("name", name.clone())]), harmless(name)] {
            let hidden = |line: &str| line.contains(|c: char| c.is_control() || c == '\u{202e}');
            assert!(!shown.lines().any(hidden), "{shown:?}");
            assert!(shown.contains("]0;x") && shown.contains('a'), "{shown:?}");
        }
    }

    #[test]
    fn bytes_have_a_fitting_unit() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(4 << 30), "4.0 GiB");
    }
}
