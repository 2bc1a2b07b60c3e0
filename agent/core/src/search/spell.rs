//! How a syllable of Pinyin is typed: in full, by its initial, cut short at the end, and as it is spoken where zh and z, n
//! and l, ing and in sound alike.

/// A syllable as it is written without tones, and as people type it.
#[derive(Debug, Clone, Default)]
pub(super) struct Syllable {
    /// Right spellings, e.g. `lv`, `lyu`, `lu` for lü.
    pub(super) exact: Vec<String>,
    /// Spellings by ear that are none of the right ones.
    pub(super) fuzzy: Vec<String>,
}

/// Initials of two letters, and the one letter that sounds alike.
const LONG_INITIALS: [(&str, &str); 3] = [("zh", "z"), ("ch", "c"), ("sh", "s")];
/// Initials that sound alike in much of the south.
const INITIALS: [(&str, &str); 2] = [("n", "l"), ("l", "n")];
/// Endings that sound alike.
const ENDINGS: [(&str, &str); 3] = [("ang", "an"), ("eng", "en"), ("ing", "in")];

impl Syllable {
    /// From a reading as the dictionary writes it, e.g. `lüe`.
    pub(super) fn new(reading: &str) -> Self {
        let exact = if reading.contains('ü') {
            ["v", "yu", "u"].map(|u| reading.replace('ü', u)).to_vec()
        } else {
            vec![reading.replace('ê', "e")]
        };
        let mut fuzzy: Vec<String> = Vec::new();
        for spelling in &exact {
            for initial in alike_at_start(spelling) {
                for whole in alike_at_end(&initial) {
                    if !exact.contains(&whole) && !fuzzy.contains(&whole) {
                        fuzzy.push(whole);
                    }
                }
            }
        }
        Self { exact, fuzzy }
    }
}

/// A spelling, and those that begin alike.
fn alike_at_start(spelling: &str) -> Vec<String> {
    let mut all = vec![spelling.to_owned()];
    let swap = |from: &str, to: &str| spelling.strip_prefix(from).map(|rest| format!("{to}{rest}"));
    for (long, short) in LONG_INITIALS {
        all.extend(swap(long, short).or_else(|| swap(short, long)));
    }
    // One letter alone (嗯 is n) has no initial.
    if spelling.len() > 1 {
        all.extend(INITIALS.iter().find_map(|(from, to)| swap(from, to)));
    }
    all
}

/// A spelling, and the one that ends alike.
fn alike_at_end(spelling: &str) -> Vec<String> {
    let mut all = vec![spelling.to_owned()];
    let swap = |from: &str, to: &str| spelling.strip_suffix(from).map(|rest| format!("{rest}{to}"));
    all.extend(
        ENDINGS
            .iter()
            .find_map(|(long, short)| swap(long, short).or_else(|| swap(short, long))),
    );
    all
}

/// How many letters its initial has when it is typed alone: 1, and 2 as well for zh, ch, sh.
pub(super) fn long_initial(spelling: &str) -> bool {
    LONG_INITIALS.iter().any(|(long, _)| spelling.starts_with(long))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_typed_in_several_ways() {
        assert_eq!(Syllable::new("lüe").exact, ["lve", "lyue", "lue"]);
        assert_eq!(Syllable::new("shu").exact, ["shu"]);
        assert_eq!(Syllable::new("shu").fuzzy, ["su"]);
        let zhang = Syllable::new("zhang").fuzzy;
        for spelling in ["zhan", "zang", "zan"] {
            assert!(zhang.iter().any(|s| s == spelling), "{spelling}");
        }
        assert!(Syllable::new("ling").fuzzy.contains(&"nin".to_owned()));
        assert!(Syllable::new("san").fuzzy.contains(&"shan".to_owned()));
        assert_eq!(Syllable::new("n").fuzzy, Vec::<String>::new());
        assert!(long_initial("shu") && !long_initial("su"));
    }
}
