//! Texts as they are matched: each distinct character once, with its readings; each distinct text once, as a row of them.

use std::collections::HashMap;

use pinyin::ToPinyinMulti;

use super::spell::Syllable;
use crate::numerals;

/// Characters of a text that are looked at.
const MAX_CHARS: usize = 120;
/// The character that is none of ours: matches nothing and is passed over.
const OTHER: u16 = 0;

/// What a character is to a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Passed over within a match: spaces, brackets, dashes.
    Gap,
    /// A letter or digit of ASCII, in lower case.
    Latin,
    /// Anything else: Chinese, Greek, kana.
    Sign,
}

/// A distinct character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) char: char,
    pub(super) kind: Kind,
    /// Its syllables, in [`Texts::readings`].
    from: u32,
    count: u8,
}

/// A number that a text says: 三, 12, 二十三.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) text: u32,
    pub(super) at: u8,
    pub(super) len: u8,
    pub(super) value: u32,
}

/// A text: where its row begins, how long it is, and where its words begin after a "第3课".
#[derive(Debug, Clone, Copy)]
struct Row {
    from: u32,
    len: u8,
    lead: u8,
}

/// A spelling of a syllable.
#[derive(Debug, Clone)]
pub(super) struct Spelling {
    pub(super) syllable: u16,
    pub(super) fuzzy: bool,
    pub(super) letters: Box<str>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// How many syllables there are.
    pub(super) syllables: usize,
    /// How they are typed, by the first letter.
    spellings: Vec<Vec<Spelling>>,
    pub(super) glyphs: Vec<Glyph>,
    readings: Vec<u16>,
    units: Vec<u16>,
    rows: Vec<Row>,
    /// By text, then by place.
    numbers: Vec<Number>,
}

/// Finds what is there already, while an index is built.
#[derive(Debug)]
pub(super) struct Maker {
    texts: Texts,
    by_text: HashMap<String, u32>,
    by_char: HashMap<char, u16>,
    by_reading: HashMap<String, u16>,
}

/// Upper and full-width letters as the plain lower ones.
pub(super) fn fold(c: char) -> char {
    let plain = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c,
    };
    plain.to_ascii_lowercase()
}

/// Whether a character only stands between others.
pub(super) fn is_gap(c: char) -> bool {
    !c.is_alphanumeric()
}

impl Maker {
    pub(super) fn new() -> Self {
        let mut maker = Self {
            texts: Texts::default(),
            by_text: HashMap::new(),
            by_char: HashMap::new(),
            by_reading: HashMap::new(),
        };
        maker.texts.spellings = vec![Vec::new(); 26];
        // The first glyph is that of no character, the first text the empty one.
        maker.texts.glyphs.push(Glyph {
            char: '\0',
            kind: Kind::Gap,
            from: 0,
            count: 0,
        });
        maker.text("");
        maker
    }

    /// The number of a text; the same text has the same.
    pub(super) fn text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        let number = u32::try_from(self.texts.rows.len()).unwrap_or(0);
        let chars: Vec<char> = text.chars().take(MAX_CHARS).map(fold).collect();
        let from = u32::try_from(self.texts.units.len()).unwrap_or(u32::MAX);
        for c in &chars {
            let unit = self.glyph(*c);
            self.texts.units.push(unit);
        }
        let mut at = 0;
        while at < chars.len() {
            let Some((value, len)) = numerals::number_at(&chars[at..]) else {
                at += 1;
                continue;
            };
            let narrow = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
            self.texts.numbers.push(Number {
                text: number,
                at: narrow(at),
                len: narrow(len),
                value,
            });
            at += len;
        }
        self.texts.rows.push(Row {
            from,
            len: u8::try_from(chars.len()).unwrap_or(u8::MAX),
            lead: u8::try_from(lead(&chars)).unwrap_or(0),
        });
        self.by_text.insert(text.to_owned(), number);
        number
    }

    fn glyph(&mut self, c: char) -> u16 {
        if let Some(known) = self.by_char.get(&c) {
            return *known;
        }
        let Ok(number) = u16::try_from(self.texts.glyphs.len()) else {
            return OTHER;
        };
        let from = u32::try_from(self.texts.readings.len()).unwrap_or(u32::MAX);
        let mut own: Vec<u16> = Vec::new();
        for reading in readings(c) {
            let syllable = self.syllable(&reading);
            if !own.contains(&syllable) {
                own.push(syllable);
            }
        }
        let kind = match c {
            c if c.is_ascii_alphanumeric() => Kind::Latin,
            c if is_gap(c) => Kind::Gap,
            _ => Kind::Sign,
        };
        self.texts.glyphs.push(Glyph {
            char: c,
            kind,
            from,
            count: u8::try_from(own.len()).unwrap_or(0),
        });
        self.texts.readings.extend(own);
        self.by_char.insert(c, number);
        number
    }

    fn syllable(&mut self, reading: &str) -> u16 {
        if let Some(known) = self.by_reading.get(reading) {
            return *known;
        }
        // There are some four hundred.
        let number = u16::try_from(self.texts.syllables).unwrap_or(0);
        self.texts.syllables += 1;
        let syllable = Syllable::new(reading);
        let exact = syllable.exact.into_iter().map(|letters| (letters, false));
        let fuzzy = syllable.fuzzy.into_iter().map(|letters| (letters, true));
        for (letters, fuzzy) in exact.chain(fuzzy) {
            if let Some(of_letter) =
                letter_of(letters.chars().next()).and_then(|at| self.texts.spellings.get_mut(at))
            {
                of_letter.push(Spelling {
                    syllable: number,
                    fuzzy,
                    letters: letters.into(),
                });
            }
        }
        self.by_reading.insert(reading.to_owned(), number);
        number
    }

    pub(super) fn finish(self) -> Texts {
        let mut texts = self.texts;
        texts.glyphs.shrink_to_fit();
        texts.readings.shrink_to_fit();
        texts.units.shrink_to_fit();
        texts.rows.shrink_to_fit();
        texts.numbers.shrink_to_fit();
        texts
    }
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A text's characters, by number.
    pub(super) fn units(&self, text: u32) -> &[u16] {
        let Some(row) = self.rows.get(text as usize) else {
            return &[];
        };
        let from = row.from as usize;
        self.units.get(from..from + usize::from(row.len)).unwrap_or(&[])
    }

    /// Where a text's words begin: after a number and what belongs to it.
    pub(super) fn lead(&self, text: u32) -> usize {
        self.rows
            .get(text as usize)
            .map_or(0, |row| usize::from(row.lead))
    }

    /// A text's numbers, in their order.
    pub(super) fn numbers(&self, text: u32) -> &[Number] {
        let from = self.numbers.partition_point(|number| number.text < text);
        let count = self.numbers[from..].partition_point(|number| number.text == text);
        &self.numbers[from..from + count]
    }

    /// The spellings that begin with a letter.
    pub(super) fn spellings(&self, letter: char) -> &[Spelling] {
        let of_letter = letter_of(Some(letter)).and_then(|at| self.spellings.get(at));
        of_letter.map_or(&[], Vec::as_slice)
    }

    pub(super) fn glyph(&self, unit: u16) -> Glyph {
        let none = Glyph {
            char: '\0',
            kind: Kind::Gap,
            from: 0,
            count: 0,
        };
        self.glyphs.get(usize::from(unit)).copied().unwrap_or(none)
    }

    /// A character's syllables.
    pub(super) fn readings(&self, glyph: Glyph) -> &[u16] {
        let from = glyph.from as usize;
        self.readings
            .get(from..from + usize::from(glyph.count))
            .unwrap_or(&[])
    }

    /// Bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let all = self.spellings.iter().flatten();
        all.map(|s| size_of::<Spelling>() + s.letters.len())
            .sum::<usize>()
            + self.glyphs.capacity() * size_of::<Glyph>()
            + self.readings.capacity() * size_of::<u16>()
            + self.units.capacity() * size_of::<u16>()
            + self.rows.capacity() * size_of::<Row>()
            + self.numbers.capacity() * size_of::<Number>()
    }
}

/// Its place in the alphabet.
fn letter_of(letter: Option<char>) -> Option<usize> {
    let letter = letter.filter(char::is_ascii_lowercase)?;
    usize::try_from(u32::from(letter) - u32::from('a')).ok()
}

/// How a character is read; every reading, since a word's right one needs a dictionary of words. Digits are read, too.
fn readings(c: char) -> Vec<String> {
    if let Some(digit) = numerals::digit(c) {
        let read = ["ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu"];
        return read
            .get(digit as usize)
            .map(|read| (*read).to_owned())
            .into_iter()
            .collect();
    }
    let mut all: Vec<String> = c
        .to_pinyin_multi()
        .into_iter()
        .flatten()
        .map(|reading| reading.plain().to_owned())
        .collect();
    if c == '儿' {
        // 花儿 is typed huar.
        all.push("r".to_owned());
    }
    all
}

/// How many characters of a title are its number: 第3课, 12, Unit 1, 《.
fn lead(chars: &[char]) -> usize {
    let gaps = |from: usize| from + chars[from..].iter().take_while(|c| is_gap(**c)).count();
    let start = gaps(0);
    let mut at = start;
    let counted = ["unit", "module", "lesson", "第"];
    let word = counted.iter().find(|word| {
        let mut letters = chars[start..].iter();
        word.chars().all(|c| letters.next() == Some(&c))
    });
    if let Some(word) = word {
        at = gaps(start + word.chars().count());
    }
    let Some((_, len)) = numerals::number_at(&chars[at..]) else {
        return start;
    };
    let mut end = at + len;
    let unit = chars[end..].first().is_some_and(|c| "课节章篇单回".contains(*c));
    match word {
        Some(&"第") if !unit => return start,
        // 三角形 begins with no number; 12 观潮 does.
        None if chars.get(end).is_none_or(|c| !is_gap(*c)) => return start,
        _ => {}
    }
    if word == Some(&"第") {
        end += 1 + usize::from(chars[end..].starts_with(&['单', '元']));
    }
    let end = gaps(end);
    if end >= chars.len() { start } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_titles_number_is_no_part_of_its_words() {
        for (title, words) in [
            ("第3课 观潮", "观潮"),
            ("第十二单元 总复习", "总复习"),
            ("unit 1 my school", "my school"),
            ("12 爬山虎的脚", "爬山虎的脚"),
            ("《观潮》", "观潮》"),
            ("三角形的内角和", "三角形的内角和"),
            ("3的倍数", "3的倍数"),
            ("第3课", "第3课"),
            ("第一次抱母亲", "第一次抱母亲"),
            ("一个小村庄的故事", "一个小村庄的故事"),
            ("unit", "unit"),
            ("", ""),
        ] {
            let chars: Vec<char> = title.chars().collect();
            let rest: String = chars[lead(&chars)..].iter().collect();
            assert_eq!(rest, words, "{title}");
        }
    }
}
