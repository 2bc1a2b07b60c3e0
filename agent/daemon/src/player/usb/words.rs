//! Subtitles and names in whatever encoding a teacher's computer wrote them.

use std::fmt::Write;

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

/// Longest subtitle file that is read.
pub(super) const MOST_BYTES: u64 = 4 * 1024 * 1024;
/// Most cues that are taken over.
const MOST_CUES: usize = 20_000;

/// A text: by its mark, as UTF-8, as UTF-16 without a mark, else as GB 18030, which holds GBK and GB 2312.
pub(super) fn text(bytes: &[u8]) -> String {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => UTF_8,
        None => {
            // In UTF-16 every digit and line end of a subtitle has a zero beside it, on one side only.
            let zeros = |side: usize| {
                let places = bytes.iter().skip(side).step_by(2).take(2_000);
                places.filter(|b| **b == 0).count()
            };
            let (even, odd) = (zeros(0), zeros(1));
            if odd > 4 && odd > 4 * even {
                UTF_16LE
            } else if even > 4 && even > 4 * odd {
                UTF_16BE
            } else {
                GB18030
            }
        }
    };
    encoding.decode(bytes).0.into_owned()
}

/// A file's name as people read it.
pub(super) fn name(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(name) => name.to_owned(),
        Err(_) => match GB18030.decode_without_bom_handling_and_without_replacement(bytes) {
            Some(name) => name.into_owned(),
            None => String::from_utf8_lossy(bytes).into_owned(),
        },
    }
}

/// SubRip or WebVTT as plain WebVTT: times and words, no styles, no markup. `None` if there is not one cue.
pub(super) fn vtt(text: &str) -> Option<String> {
    let mut out = "WEBVTT\n".to_owned();
    let mut cues = 0;
    let mut lines = text.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        let Some((begin, end)) = times(line) else { continue };
        let mut said = Vec::new();
        while let Some(line) = lines.peek() {
            if line.trim().is_empty() || times(line).is_some() {
                break;
            }
            said.push(plain(line));
            lines.next();
        }
        // Without an empty line between them, the next cue's number was read as words.
        if lines.peek().is_some_and(|line| times(line).is_some())
            && said
                .last()
                .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
        {
            said.pop();
        }
        said.retain(|line| !line.is_empty());
        if said.is_empty() || end <= begin {
            continue;
        }
        let _ = write!(
            out,
            "\n{} --> {}\n{}\n",
            stamp(begin),
            stamp(end),
            said.join("\n")
        );
        cues += 1;
        if cues >= MOST_CUES {
            break;
        }
    }
    (cues > 0).then_some(out)
}

/// `00:01:02,500 --> 00:01:04,000`, in milliseconds; hours may be left out, the comma may be a point.
fn times(line: &str) -> Option<(u64, u64)> {
    let (begin, end) = line.split_once("-->")?;
    Some((time(begin.trim())?, time(end.split_whitespace().next()?)?))
}

fn time(text: &str) -> Option<u64> {
    let (whole, part) = match text.split_once([',', '.']) {
        Some((whole, part)) => (whole, part),
        None => (text, "0"),
    };
    let mut seconds = 0_u64;
    let mut parts = 0;
    for part in whole.split(':') {
        let number: u64 = part.trim().parse().ok().filter(|n| *n < 100_000)?;
        seconds = seconds * 60 + number;
        parts += 1;
    }
    let part: String = part.trim().chars().chain("000".chars()).take(3).collect();
    ((2..=3).contains(&parts)).then_some(seconds * 1000 + part.parse::<u64>().ok()?)
}

fn stamp(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!(
        "{:02}:{:02}:{:02}.{ms:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// A line without `<i>`, `{\an8}` and the like; what is left means itself.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['<', '{']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (close, known) = match from.as_bytes() {
            [b'{', b'\\', ..] => ('}', true),
            [b'<', next, ..] => ('>', next.is_ascii_alphanumeric() || *next == b'/'),
            _ => ('>', false),
        };
        match from.find(close).filter(|_| known) {
            Some(end) => rest = from.get(end + 1..).unwrap_or(""),
            None => {
                out.push_str(from.get(..1).unwrap_or(""));
                rest = from.get(1..).unwrap_or("");
            }
        }
    }
    out.push_str(rest);
    let out = out
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", " ");
    let out = out.replace("&amp;", "&").replace('&', "&amp;");
    out.replace('<', "&lt;").replace('>', "&gt;").trim().to_owned()
}

/// The language that the middle of `观潮.zh-CN.srt` names, as BCP 47.
pub(super) fn language(middle: &str) -> &'static str {
    match middle
        .trim_start_matches(['.', '_', '-', ' '])
        .to_lowercase()
        .as_str()
    {
        "en" | "eng" | "english" | "英文" | "英语" => "en",
        "zh-tw" | "cht" | "tc" | "繁体" | "繁體" => "zh-TW",
        "" | "zh" | "zh-cn" | "chs" | "chi" | "sc" | "简体" | "中文" => "zh-CN",
        _ => "und",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRT: &str = "1\r\n00:00:01,000 --> 00:00:03,500\r\n<i>同学们</i>，看这里 <b>& 想一想</b>\r\n\r\n2\r\n\
                       00:00:04,000 --> 00:00:06,000\r\n{\\an8}1 < 2\r\n第二行\r\n3\r\n01:00:07.5 --> 01:00:09\r\n末句\r\n";

    #[test]
    fn every_encoding_that_teachers_have_gives_the_same_words() {
        let expected = vtt(SRT).unwrap();
        assert_eq!(
            expected,
            "WEBVTT\n\n00:00:01.000 --> 00:00:03.500\n同学们，看这里 &amp; 想一想\n\n\
             00:00:04.000 --> 00:00:06.000\n1 &lt; 2\n第二行\n\n01:00:07.500 --> 01:00:09.000\n末句\n"
        );
        let (gbk, _, lost) = encoding_rs::GBK.encode(SRT);
        assert!(!lost);
        let wide = |bytes: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
            let units = mark.then_some(0xfeff).into_iter().chain(SRT.encode_utf16());
            units.flat_map(bytes).collect()
        };
        for (name, bytes) in [
            ("utf-8", SRT.as_bytes().to_vec()),
            ("utf-8 with a mark", [b"\xef\xbb\xbf", SRT.as_bytes()].concat()),
            ("gbk", gbk.into_owned()),
            ("utf-16 little", wide(u16::to_le_bytes, true)),
            ("utf-16 big", wide(u16::to_be_bytes, true)),
            ("utf-16 little, no mark", wide(u16::to_le_bytes, false)),
            ("utf-16 big, no mark", wide(u16::to_be_bytes, false)),
        ] {
            assert_eq!(vtt(&text(&bytes)).as_ref(), Some(&expected), "{name}");
        }
        // And it is its own fixed point, so WebVTT goes the same way.
        assert_eq!(vtt(&expected), Some(expected.clone()));
    }

    #[test]
    fn what_is_no_subtitle_gives_none_and_nothing_breaks() {
        for text in [
            "",
            "WEBVTT",
            "hello",
            "00:00:02,000 --> 00:00:01,000\nback\n",
            "--> -->",
            "99999999999999999999:00 --> 1:00\nx",
            "00:01 --> ",
        ] {
            assert_eq!(vtt(text), None, "{text:?}");
        }
        let long = "x".repeat(100_000);
        let cue = vtt(&format!("1:02 --> 1:03\n<{long}\n")).unwrap();
        assert!(cue.contains("00:01:02.000"));
        assert!(vtt(&text(&[0xff; 1000])).is_none());
    }

    #[test]
    fn names_in_gbk_are_read() {
        assert_eq!(name("观潮.mp4".as_bytes()), "观潮.mp4");
        assert_eq!(name(&encoding_rs::GBK.encode("观潮.mp4").0), "观潮.mp4");
        assert!(name(&[0xff, 0x80, 0x80]).contains('\u{fffd}'));
        assert_eq!(
            (language(".zh-CN"), language("_eng"), language("")),
            ("zh-CN", "en", "zh-CN")
        );
    }
}
