//! Which allowed words come near to one that is not.

use super::Vocabulary;

/// Up to `most` words, nearest first: by the characters that one would have to change; none if all are quite different and
/// the list is too long to be told whole.
pub fn nearest<'a>(vocabulary: &'a Vocabulary, word: &str, most: usize) -> Vec<&'a str> {
    let mut ranked: Vec<(usize, usize, &str)> = vocabulary
        .words
        .iter()
        .enumerate()
        .map(|(place, allowed)| {
            let spellings = std::iter::once(&allowed.word).chain(&allowed.also);
            let cost = spellings.map(|s| cost(word, s)).min().unwrap_or(usize::MAX);
            (cost, place, allowed.shown())
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(most).map(|(_, _, shown)| shown).collect()
}

/// Edits between the two, with a rebate where one stands inside the other (数学课 for 数学).
fn cost(a: &str, b: &str) -> usize {
    let (a, b) = (super::folded(a), super::folded(b));
    let edits = distance(&a, &b) * 2;
    let inside = !a.is_empty() && !b.is_empty() && (a.contains(&b) || b.contains(&a));
    if inside { edits.div_ceil(2) } else { edits }
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        for (place, y) in row.iter_mut().skip(1).zip(&b) {
            let here = (before + usize::from(x != *y)).min(left + 1).min(*place + 1);
            before = *place;
            *place = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Field, of},
        *,
    };

    #[test]
    fn a_slip_finds_its_word_first() {
        for (field, slip, meant) in [
            (Field::Subject, "数学课", "数学"),
            (Field::Subject, "数 学 ", "数学"),
            (Field::Subject, "道德与法制", "道德与法治"),
            (Field::Grade, "四年纪", "四年级"),
            (Field::Edition, "北师大", "北师大版"),
            (Field::Volume, "上冊", "上册"),
            (Field::LicenceScope, "县里", "县（区）内"),
        ] {
            let near = nearest(of(field).unwrap(), slip, 3);
            assert_eq!(near.first(), Some(&meant), "{slip}: {near:?}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
    }
}
