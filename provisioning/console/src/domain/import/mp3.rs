//! MP3 by its frames: is there sound from the start on, and how long.

use std::io::{Read, Seek, SeekFrom};

use super::error::Reason;

/// How far behind the tags the first frame may stand; some writers pad.
const SEARCH_BYTES: usize = 64 * 1024;
/// Frames in a row before it is believed; one match of eleven bits is chance.
const FRAMES_NEEDED: usize = 3;

const BITRATES_V1: [u32; 16] = [
    0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0,
];
const BITRATES_V2: [u32; 16] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0];

#[derive(Debug, Clone, Copy)]
struct Frame {
    bytes: u64,
    samples: u64,
    rate: u64,
    kbps: u64,
    /// Where an encoder's Xing header stands in the first frame.
    xing_at: usize,
}

impl Frame {
    /// Reads the four bytes of a layer III frame header.
    fn parse(header: [u8; 4]) -> Option<Self> {
        let [b0, b1, b2, b3] = header;
        if b0 != 0xff || b1 & 0xe6 != 0xe2 {
            return None;
        }
        let version = (b1 >> 3) & 3;
        let v1 = version == 3;
        let base: u32 = [44_100, 48_000, 32_000]
            .get(usize::from((b2 >> 2) & 3))
            .copied()?;
        let rate = match version {
            3 => base,
            2 => base / 2,
            0 => base / 4,
            _ => return None,
        };
        let table = if v1 { BITRATES_V1 } else { BITRATES_V2 };
        let kbps = table.get(usize::from(b2 >> 4)).copied().filter(|k| *k > 0)?;
        let samples: u32 = if v1 { 1152 } else { 576 };
        let padding = u32::from((b2 >> 1) & 1);
        let mono = b3 >> 6 == 3;
        let xing_at = match (v1, mono) {
            (true, false) => 36,
            (true, true) | (false, false) => 21,
            (false, true) => 13,
        };
        let bytes = samples / 8 * kbps * 1000 / rate + padding;
        Some(Self {
            bytes: bytes.into(),
            samples: samples.into(),
            rate: rate.into(),
            kbps: kbps.into(),
            xing_at,
        })
    }
}

/// Checks a file of `len` bytes and answers its playing time in milliseconds.
///
/// # Errors
/// [`Reason::Truncated`] when it ends behind its tags or far before the length its encoder wrote; [`Reason::Damaged`] when
/// there is no run of frames.
pub fn check<R: Read + Seek>(file: &mut R, len: u64) -> Result<Option<u64>, Reason> {
    let start = behind_id3(file)?;
    if start >= len {
        return Err(Reason::truncated("it ends inside its title tags"));
    }
    file.seek(SeekFrom::Start(start))?;
    let mut head = Vec::new();
    file.take((SEARCH_BYTES + 8 * 1024) as u64)
        .read_to_end(&mut head)?;
    let (offset, first) = (0..head.len().min(SEARCH_BYTES))
        .find_map(|at| run_of_frames(&head, at).map(|frame| (at, frame)))
        .ok_or_else(|| Reason::damaged("no sound frames follow each other"))?;
    let sound = len - start - offset as u64;
    if let Some((frames, bytes)) = xing(head.get(offset..).unwrap_or_default(), first) {
        // A tag or two may be missing at the end; a tenth of the sound may not.
        if bytes > 0 && sound < bytes - bytes / 10 {
            return Err(Reason::truncated(format!(
                "it should hold {bytes} bytes of sound, it holds {sound}"
            )));
        }
        return Ok(Some(frames * first.samples * 1000 / first.rate));
    }
    Ok(Some(sound * 8 / first.kbps))
}

/// Where the sound starts: behind the ID3v2 tags, of which there may be several.
fn behind_id3<R: Read + Seek>(file: &mut R) -> Result<u64, Reason> {
    let mut at = 0;
    for _ in 0..8 {
        file.seek(SeekFrom::Start(at))?;
        let mut header = [0; 10];
        if file.read_exact(&mut header).is_err() || !header.starts_with(b"ID3") {
            break;
        }
        let size = header
            .iter()
            .skip(6)
            .fold(0_u64, |sum, b| (sum << 7) | u64::from(b & 0x7f));
        let footer = if header[5] & 0x10 == 0 { 0 } else { 10 };
        at += 10 + size + footer;
    }
    Ok(at)
}

fn run_of_frames(head: &[u8], at: usize) -> Option<Frame> {
    let first = frame_at(head, at)?;
    let mut next = at;
    for count in 0..FRAMES_NEEDED {
        // A file shorter than three frames ends on a frame boundary.
        if count > 0 && next == head.len() {
            return Some(first);
        }
        next += usize::try_from(frame_at(head, next)?.bytes).ok()?;
    }
    Some(first)
}

fn frame_at(head: &[u8], at: usize) -> Option<Frame> {
    Frame::parse(*head.get(at..)?.first_chunk()?)
}

/// Frames and bytes that the encoder wrote into the first frame.
fn xing(frame: &[u8], first: Frame) -> Option<(u64, u64)> {
    let tag = frame.get(first.xing_at..)?;
    if !tag.starts_with(b"Xing") && !tag.starts_with(b"Info") {
        return None;
    }
    let word = |at: usize| Some(u32::from_be_bytes(*tag.get(at..)?.first_chunk()?));
    let flags = word(4)?;
    if flags & 1 == 0 {
        return None;
    }
    let bytes = if flags & 2 == 0 { 0 } else { word(12)? };
    Some((word(8)?.into(), bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use std::io::Cursor;

    fn run(bytes: &[u8]) -> Result<Option<u64>, Reason> {
        check(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn constant_rate_gives_its_length() {
        // 100 frames of 1152 samples at 44.1 kHz are 2.612 s; 128 kbit/s frames are 417 bytes, a hair under the exact 417.96.
        let ms = run(&fixtures::mp3(100)).unwrap().unwrap();
        assert!((2_600..2_620).contains(&ms), "{ms}");
    }

    #[test]
    fn tags_are_stepped_over() {
        let mut tagged = b"ID3\x04\0\0\0\0\x02\x00".to_vec();
        tagged.extend([0; 256]);
        tagged.extend(fixtures::mp3(10));
        assert!(run(&tagged).is_ok());
        assert!(matches!(run(&tagged[..100]).unwrap_err(), Reason::Truncated(_)));
    }

    #[test]
    fn a_cut_file_is_noticed_where_the_encoder_said_its_length() {
        let whole = fixtures::mp3_with_xing(100);
        let ms = run(&whole).unwrap().unwrap();
        assert!((2_600..2_640).contains(&ms), "{ms}");
        assert!(matches!(
            run(&whole[..whole.len() / 2]).unwrap_err(),
            Reason::Truncated(_)
        ));
    }

    #[test]
    fn noise_is_not_sound() {
        assert!(matches!(run(&[0xff; 4000]).unwrap_err(), Reason::Damaged(_)));
        assert!(matches!(run(b"ID3").unwrap_err(), Reason::Damaged(_)));
    }
}
