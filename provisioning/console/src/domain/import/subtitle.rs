//! Subtitles to WebVTT: UTF-8 or GB 18030, `.vtt` as it is, `.srt` rewritten.

use super::error::Reason;

/// Largest subtitle file; a film's are under 200 KiB.
pub const MAX_BYTES: u64 = 2 << 20;

/// The bytes of a WebVTT file for the subtitles in `bytes`.
///
/// # Errors
/// [`Reason::Subtitle`] without one readable cue.
pub fn to_webvtt(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    let text = decode(bytes)?;
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let is_vtt = text
        .strip_prefix("WEBVTT")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['\n', ' ', '\t']));
    if !text.lines().any(is_timing) {
        return Err(Reason::Subtitle("no line tells when a text is shown".into()));
    }
    if is_vtt {
        return Ok(text.into_bytes());
    }
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str("WEBVTT\n\n");
    for line in text.lines() {
        // SubRip writes a comma before the milliseconds, WebVTT a full stop.
        if is_timing(line) {
            out.push_str(&line.replace(',', "."))
        } else {
            out.push_str(line)
        }
        out.push('\n');
    }
    Ok(out.into_bytes())
}

fn decode(bytes: &[u8]) -> Result<String, Reason> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    // `decode` also reads UTF-16 by its mark, which some Windows editors save.
    let (text, _, broken) = encoding_rs::GB18030.decode(bytes);
    if broken {
        Err(Reason::Subtitle(
            "the letters are neither UTF-8 nor GB 18030".into(),
        ))
    } else {
        Ok(text.into_owned())
    }
}

/// `00:01:02,500 --> 00:01:04.000`, hours optional.
fn is_timing(line: &str) -> bool {
    line.split_once("-->").is_some_and(|(from, to)| {
        let to = to.trim_start().split(' ').next().unwrap_or_default();
        is_time(from.trim()) && is_time(to)
    })
}

fn is_time(text: &str) -> bool {
    let Some((clock, ms)) = text.split_once([',', '.']) else {
        return false;
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<_> = clock.split(':').collect();
    (2..=3).contains(&parts.len()) && parts.into_iter().all(digits) && digits(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subrip_becomes_webvtt() {
        let srt = "\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\n三角形, 内角和\r\n";
        let vtt = String::from_utf8(to_webvtt(srt.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            vtt,
            "WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.500\n三角形, 内角和\n"
        );
        assert_eq!(to_webvtt(vtt.as_bytes()).unwrap(), vtt.as_bytes());
    }

    #[test]
    fn gbk_is_read() {
        let (gbk, ..) = encoding_rs::GBK.encode("1\n00:00:01,000 --> 00:00:02,500\n三角形\n");
        assert!(
            String::from_utf8(to_webvtt(&gbk).unwrap())
                .unwrap()
                .contains("三角形")
        );
    }

    #[test]
    fn other_files_are_refused() {
        for bad in [&b""[..], b"WEBVTT\n", b"MZ\x90\0", b"a --> b", &[0xff; 40]] {
            assert!(
                matches!(to_webvtt(bad).unwrap_err(), Reason::Subtitle(_)),
                "{bad:?}"
            );
        }
    }
}
