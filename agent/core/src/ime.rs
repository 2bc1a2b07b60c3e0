//! Pinyin to characters, for a keyboard on the page: what is offered for the letters that were typed.
//!
//! Owns the index of a dictionary that it is handed, sorted by reading: a line is the reading with `'` between its syllables, a
//! tab, and the words so read, each with a letter for how often it occurs (`z` most often). Keeps no record of what is typed and
//! learns nothing: a board is everybody's.

use std::{cmp::Ordering, collections::HashSet};

/// Most letters that are looked at.
pub const MAX_LETTERS: usize = 40;
/// Longest reading of the dictionary.
const LONGEST: usize = 36;
/// Each further word of a sentence must be worth it.
const WORD_COSTS: i32 = 26;
/// A last word that is not typed to its end.
const GUESS_COSTS: i32 = 6;
/// Words offered for initials, and for readings that only begin so.
const MAX_INITIALS: usize = 8;
const MAX_BEGUN: usize = 10;

/// One that is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What it writes.
    pub text: String,
    /// How many of the letters it stands for.
    pub used: usize,
}

/// The dictionary and where its lines are.
#[derive(Debug)]
pub struct Ime<'a> {
    text: &'a str,
    /// Where each line begins, by reading.
    lines: Vec<u32>,
    /// The same by initials; only words of several characters.
    initials: Vec<u32>,
}

impl<'a> Ime<'a> {
    /// Indexes a dictionary; lines that are none are left out.
    pub fn new(text: &'a str) -> Self {
        let mut ime = Self {
            text,
            lines: Vec::new(),
            initials: Vec::new(),
        };
        let mut at = 0usize;
        for line in text.split_inclusive('\n') {
            if line.contains('\t')
                && let Ok(begin) = u32::try_from(at)
            {
                ime.lines.push(begin);
            }
            at += line.len();
        }
        ime.lines
            .sort_by(|a, b| letters(line(text, *a).0).cmp(letters(line(text, *b).0)));
        ime.initials = ime.lines.clone();
        ime.initials.retain(|at| line(text, *at).0.contains('\''));
        ime.initials
            .sort_by(|a, b| firsts(line(text, *a).0).cmp(firsts(line(text, *b).0)));
        ime
    }

    /// What is offered for `typed`, best first, at most `most`. Everything but letters is ignored.
    pub fn candidates(&self, typed: &str, most: usize) -> Vec<Candidate> {
        let typed: String = typed
            .chars()
            .filter(char::is_ascii_alphabetic)
            .take(MAX_LETTERS)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let mut offered = Offered::new(most);
        if typed.is_empty() {
            return offered.list;
        }
        let whole = self.by_weight(self.exact(&typed), usize::MAX);
        if !whole.iter().any(|(word, _)| word.chars().count() > 1)
            && let Some(sentence) = self.sentence(&typed)
        {
            offered.add(&sentence, typed.len());
        }
        offered.all(&whole, typed.len());
        offered.all(&self.by_weight(self.short(&typed), MAX_INITIALS), typed.len());
        offered.all(&self.by_weight(self.begun(&typed), MAX_BEGUN), typed.len());
        for end in (1..typed.len()).rev() {
            let part = typed.get(..end).unwrap_or_default();
            offered.all(&self.by_weight(self.exact(part), usize::MAX), end);
        }
        offered.list
    }

    /// The words of these lines, those that occur more often first.
    fn by_weight(&self, lines: &[u32], most: usize) -> Vec<(&'a str, i32)> {
        let words = lines.iter().flat_map(|at| line(self.text, *at).1.split(' '));
        let mut all: Vec<_> = words.filter_map(weighed).collect();
        all.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        all.truncate(most);
        all
    }

    fn exact(&self, typed: &str) -> &[u32] {
        range(&self.lines, |at| {
            letters(line(self.text, at).0).cmp(typed.bytes())
        })
    }

    fn begun(&self, typed: &str) -> &[u32] {
        range(&self.lines, |at| {
            let reading = line(self.text, at).0;
            match letters(reading).take(typed.len()).cmp(typed.bytes()) {
                // Only what goes on.
                Ordering::Equal if letters(reading).count() == typed.len() => Ordering::Less,
                order => order,
            }
        })
    }

    fn short(&self, typed: &str) -> &[u32] {
        range(&self.initials, |at| {
            firsts(line(self.text, at).0).cmp(typed.bytes())
        })
    }

    /// The likeliest words that are read so, one after the other; the last may be typed only in part.
    fn sentence(&self, typed: &str) -> Option<String> {
        let mut best: Vec<Option<(i32, usize, &str)>> = vec![None; typed.len() + 1];
        *best.first_mut()? = Some((0, 0, ""));
        for from in 0..typed.len() {
            let Some((before, ..)) = best.get(from).copied().flatten() else {
                continue;
            };
            let mut reach = |to: usize, lines: &[u32], costs: i32| {
                let Some((word, weight)) = self.by_weight(lines, 1).first().copied() else {
                    return;
                };
                let score = before + weight - WORD_COSTS - costs;
                if let Some(held) = best.get_mut(to)
                    && held.is_none_or(|(known, ..)| known < score)
                {
                    *held = Some((score, from, word));
                }
            };
            let last = typed.len().min(from + LONGEST);
            for to in from + 1..=last {
                reach(to, self.exact(typed.get(from..to)?), 0);
            }
            if last == typed.len() {
                reach(last, self.begun(typed.get(from..)?), GUESS_COSTS);
            }
        }
        let (mut words, mut at) = (Vec::new(), typed.len());
        while at > 0 {
            let (_, from, word) = best.get(at).copied().flatten()?;
            words.push(word);
            at = from;
        }
        words.reverse();
        Some(words.concat())
    }
}

/// What is offered, each once.
struct Offered {
    list: Vec<Candidate>,
    known: HashSet<String>,
    most: usize,
}

impl Offered {
    fn new(most: usize) -> Self {
        Self {
            list: Vec::new(),
            known: HashSet::new(),
            most,
        }
    }

    fn add(&mut self, text: &str, used: usize) {
        if self.list.len() < self.most && self.known.insert(text.to_owned()) {
            self.list.push(Candidate {
                text: text.to_owned(),
                used,
            });
        }
    }

    fn all(&mut self, words: &[(&str, i32)], used: usize) {
        for (word, _) in words {
            self.add(word, used);
        }
    }
}

/// Reading and words of the line at `at`.
fn line(text: &str, at: u32) -> (&str, &str) {
    let rest = text.get(at as usize..).unwrap_or_default();
    let line = rest.split('\n').next().unwrap_or_default();
    line.split_once('\t').unwrap_or((line, ""))
}

fn letters(reading: &str) -> impl Iterator<Item = u8> {
    reading.bytes().filter(|byte| *byte != b'\'')
}

fn firsts(reading: &str) -> impl Iterator<Item = u8> {
    reading.split('\'').filter_map(|syllable| syllable.bytes().next())
}

/// A word and how often it occurs, 0 to 25.
fn weighed(word: &str) -> Option<(&str, i32)> {
    let at = word.len().checked_sub(1)?;
    let weight = word.as_bytes().get(at).copied()?.checked_sub(b'a')?;
    Some((word.get(..at)?, i32::from(weight)))
}

fn range(lines: &[u32], order: impl Fn(u32) -> Ordering) -> &[u32] {
    let begin = lines.partition_point(|at| order(*at) == Ordering::Less);
    let end = lines.partition_point(|at| order(*at) != Ordering::Greater);
    lines.get(begin..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "a\t啊m\nan\t安n\nde\t的w 得v\nji\t几q\nmian\t面q\nmian'ji\t面积s\nsan\t三r\nsan'jiao\t三角m\n\
                         san'jiao'xing\t三角形l\nxi\t西o\nxi'an\t西安o\nxian\t先s\nshu'xue\t数学p 输血j\n";

    fn offered(typed: &str) -> Vec<String> {
        let list = Ime::new(SMALL).candidates(typed, 9);
        list.iter()
            .map(|one| format!("{}{}", one.text, one.used))
            .collect()
    }

    #[test]
    fn whole_readings_come_first_then_initials_then_what_begins_so_then_parts() {
        assert_eq!(offered("shuxue"), ["数学6", "输血6"]);
        assert_eq!(offered("sjx"), ["三角形3"]);
        assert_eq!(offered("sanjiao")[..3], ["三角7", "三角形7", "三3"]);
        assert_eq!(offered("xian"), ["先4", "西安4", "西2"]);
        assert_eq!(offered("sx"), ["数学2", "输血2"]);
        assert_eq!(offered("shu"), ["数学3", "输血3"]);
    }

    #[test]
    fn several_words_at_once_and_one_that_is_begun() {
        assert_eq!(offered("sanjiaoxingdemianji")[0], "三角形的面积19");
        assert_eq!(offered("sanjiaoxingdemia")[0], "三角形的面积16");
        assert_eq!(offered("SanJiaoXing'de")[0], "三角形的13");
    }

    #[test]
    fn nonsense_and_too_much_are_borne() {
        let none: [&str; 0] = [];
        assert_eq!(offered(""), none);
        assert_eq!(offered("三 '!1"), none);
        assert_eq!(offered("zzz"), none);
        assert_eq!(offered(&"xian".repeat(100)).len(), 4);
        assert!(Ime::new("\nx\n\t\n").candidates("x", 9).is_empty());
    }
}
