//! Texts of people and boards on their way into tables and pages.

/// A text without what turns the direction of reading (a name with such a mark could make "draft" out of "tfard"), and with
/// blanks for other control characters.
pub fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| {
            !matches!(c, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
        })
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The same for a cell of a table: one that a spreadsheet would reckon out is made text.
pub fn cell(text: &str) -> String {
    let text = plain(text);
    if text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    {
        format!("'{text}")
    } else {
        text
    }
}

/// The same for a page.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_marks_of_direction_and_html_are_only_text() {
        assert_eq!(cell("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(
            cell("\u{202E}=1+1"),
            "'=1+1",
            "a mark before it does not hide a formula"
        );
        assert_eq!(cell(" ＋1\r\n"), "' ＋1  ");
        assert_eq!(plain("a\u{202E}b\u{2066}c\u{200F}"), "abc");
        assert_eq!(
            html("<b onclick=\"x\">'&"),
            "&lt;b onclick=&quot;x&quot;&gt;&#39;&amp;"
        );
        assert_eq!(cell("三年级(1)班"), "三年级(1)班");
    }
}
