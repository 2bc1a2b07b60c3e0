//! Numbers as schoolbooks write them: 3, ３, 三, 十二, 一百零八, 二〇二二.

/// Most characters of a number that are read; what is longer is a row of digits, not a number of a lesson.
const MAX_CHARS: usize = 9;

/// The number that begins `text`, and how many characters it takes. `None` if none does, or if it is too long for one.
pub fn number_at(text: &[char]) -> Option<(u32, usize)> {
    let arabic = text.iter().take_while(|c| digit(**c).is_some()).count();
    if arabic > 0 {
        return (arabic <= MAX_CHARS).then(|| (row(&text[..arabic], digit), arabic));
    }
    let chinese = text
        .iter()
        .take_while(|c| numeral(**c).is_some() || unit(**c).is_some())
        .count();
    if chinese == 0 || chinese > MAX_CHARS {
        return None;
    }
    let text = &text[..chinese];
    if text.iter().all(|c| numeral(*c).is_some()) {
        return Some((row(text, numeral), chinese));
    }
    let (mut total, mut waiting) = (0u32, None);
    for c in text {
        match (numeral(*c), unit(*c)) {
            (Some(digit), _) => waiting = Some(digit),
            (None, Some(unit)) => {
                // 十二 has no digit before its unit.
                total = total.checked_add(waiting.take().unwrap_or(1).max(1).checked_mul(unit)?)?;
            }
            (None, None) => return None,
        }
    }
    Some((total.checked_add(waiting.unwrap_or(0))?, chinese))
}

/// An Arabic digit, of either width.
pub fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => c.to_digit(10),
        '０'..='９' => Some(u32::from(c) - u32::from('０')),
        _ => None,
    }
}

/// A Chinese digit.
pub fn numeral(c: char) -> Option<u32> {
    Some(match c {
        '零' | '〇' => 0,
        '一' => 1,
        '二' | '两' => 2,
        '三' => 3,
        '四' => 4,
        '五' => 5,
        '六' => 6,
        '七' => 7,
        '八' => 8,
        '九' => 9,
        _ => return None,
    })
}

fn unit(c: char) -> Option<u32> {
    Some(match c {
        '十' => 10,
        '百' => 100,
        '千' => 1000,
        _ => return None,
    })
}

fn row(text: &[char], value: fn(char) -> Option<u32>) -> u32 {
    text.iter().fold(0, |row, c| {
        row.saturating_mul(10).saturating_add(value(*c).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_are_written() {
        for (text, expected) in [
            ("3", Some((3, 1))),
            ("１２课", Some((12, 2))),
            ("三年级", Some((3, 1))),
            ("十", Some((10, 1))),
            ("十二单元", Some((12, 2))),
            ("二十", Some((20, 2))),
            ("二十三课", Some((23, 3))),
            ("一百零八将", Some((108, 4))),
            ("二〇二二年", Some((2022, 4))),
            ("两", Some((2, 1))),
            ("〇", Some((0, 1))),
            ("单元", None),
            ("", None),
            ("1234567890", None),
        ] {
            assert_eq!(number_at(&text.chars().collect::<Vec<_>>()), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[一二三十百千零0-9０-９]{0,12}") {
            let chars: Vec<char> = text.chars().collect();
            if let Some((_, taken)) = number_at(&chars) {
                proptest::prop_assert!((1..=chars.len()).contains(&taken));
            }
        }
    }
}
