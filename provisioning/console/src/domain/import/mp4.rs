//! MP4 by its boxes: is it whole, does it hold a picture a classroom can play, how long is it.
//!
//! Walks headers and small tables by seeking, so a film of gigabytes costs kilobytes. Own code because no library was found
//! that tells a cut file from a damaged one without reading whole tables into memory.

use std::io::{Read, Seek, SeekFrom};

use super::error::Reason;

/// Deepest nesting that is looked at; real files need seven.
const MAX_DEPTH: usize = 8;
/// Most boxes looked at; a hostile file may hold millions of empty ones.
const MAX_BOXES: u32 = 100_000;
/// Codings of pictures and sound that a Chrome 61 engine plays everywhere.
const VIDEO: [&[u8; 4]; 2] = [b"avc1", b"avc3"];
const SOUND: [&[u8; 4]; 2] = [b"mp4a", b".mp3"];

/// What was learnt from a whole and playable file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mp4 {
    /// Playing time in milliseconds, where the file says it.
    pub duration_ms: Option<u64>,
    /// There is a picture, not only sound.
    pub has_video: bool,
}

#[derive(Default)]
struct Seen {
    boxes: u32,
    moov: bool,
    media: bool,
    timescale: u64,
    duration: u64,
    handler: [u8; 4],
    video: bool,
    sound: bool,
    foreign: Option<String>,
    last_offset: u64,
}

/// Checks a file of `len` bytes that starts with an `ftyp` box.
///
/// # Errors
/// [`Reason::Truncated`] when a box ends behind the file or `moov` is missing, [`Reason::Codec`] for a coding that does not
/// play, [`Reason::Damaged`] for anything that contradicts itself.
pub fn check<R: Read + Seek>(file: &mut R, len: u64) -> Result<Mp4, Reason> {
    let mut seen = Seen::default();
    walk(file, 0, len, 0, &mut seen)?;
    if !seen.moov {
        return Err(Reason::truncated("the table of contents (moov) is missing"));
    }
    if !seen.media {
        return Err(Reason::truncated("the media data (mdat) is missing"));
    }
    if seen.last_offset >= len {
        return Err(Reason::truncated(format!(
            "its table points at byte {}, the file has {len}",
            seen.last_offset
        )));
    }
    if let Some(coding) = seen.foreign {
        return Err(Reason::Codec(coding));
    }
    if !seen.video && !seen.sound {
        return Err(Reason::damaged("it holds neither a picture nor a sound track"));
    }
    let whole = seen.timescale > 0 && seen.duration > 0;
    let duration_ms = whole.then(|| {
        let ms = u128::from(seen.duration) * 1000 / u128::from(seen.timescale);
        u64::try_from(ms).unwrap_or(u64::MAX)
    });
    Ok(Mp4 {
        duration_ms,
        has_video: seen.video,
    })
}

fn walk<R: Read + Seek>(
    file: &mut R,
    from: u64,
    to: u64,
    depth: usize,
    seen: &mut Seen,
) -> Result<(), Reason> {
    let mut at = from;
    while at < to {
        seen.boxes += 1;
        if seen.boxes > MAX_BOXES {
            return Err(Reason::damaged("it has too many boxes"));
        }
        if to - at < 8 {
            // Inside `udta` some writers close with four zero bytes; at the top a rest means a cut.
            return if depth == 0 {
                Err(Reason::truncated("a box header is cut"))
            } else {
                Ok(())
            };
        }
        file.seek(SeekFrom::Start(at))?;
        let short = u64::from(read_u32(file)?);
        let name: [u8; 4] = read_array(file)?;
        let (header, size) = match short {
            0 if depth == 0 => (8, to - at),
            0 => return Ok(()),
            1 => (16, u64::from_be_bytes(read_array(file)?)),
            size => (8, size),
        };
        if size < header {
            return Err(Reason::damaged(format!(
                "box {} at byte {at} is shorter than its header",
                show(name)
            )));
        }
        let Some(end) = at.checked_add(size).filter(|end| *end <= to) else {
            let what = format!("box {} at byte {at} ends behind the file", show(name));
            return Err(if depth == 0 {
                Reason::truncated(what)
            } else {
                Reason::damaged(what)
            });
        };
        enter(file, name, at + header, end, depth, seen)?;
        at = end;
    }
    Ok(())
}

fn enter<R: Read + Seek>(
    file: &mut R,
    name: [u8; 4],
    body: u64,
    end: u64,
    depth: usize,
    seen: &mut Seen,
) -> Result<(), Reason> {
    match &name {
        b"moov" if depth == 0 => seen.moov = true,
        b"mdat" if depth == 0 => seen.media |= end > body,
        b"mvhd" => (seen.timescale, seen.duration) = movie_header(file)?,
        b"mehd" if seen.duration == 0 => seen.duration = fragment_duration(file)?,
        b"hdlr" => {
            file.seek(SeekFrom::Current(8))?;
            seen.handler = read_array(file)?;
        }
        b"stsd" => sample_description(file, end - body, seen)?,
        b"stco" => chunk_offsets(file, end - body, 4, seen)?,
        b"co64" => chunk_offsets(file, end - body, 8, seen)?,
        _ => {}
    }
    let holds_boxes = matches!(&name, b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"mvex");
    if holds_boxes && depth < MAX_DEPTH {
        walk(file, body, end, depth + 1, seen)
    } else {
        Ok(())
    }
}

fn movie_header<R: Read + Seek>(file: &mut R) -> Result<(u64, u64), Reason> {
    let [version, ..] = read_array::<4, _>(file)?;
    if version == 1 {
        file.seek(SeekFrom::Current(16))?;
        let timescale = read_u32(file)?;
        let duration = u64::from_be_bytes(read_array(file)?);
        return Ok((timescale.into(), if duration == u64::MAX { 0 } else { duration }));
    }
    file.seek(SeekFrom::Current(8))?;
    let timescale = read_u32(file)?;
    let duration = read_u32(file)?;
    Ok((
        timescale.into(),
        if duration == u32::MAX { 0 } else { duration.into() },
    ))
}

fn fragment_duration<R: Read>(file: &mut R) -> Result<u64, Reason> {
    let [version, ..] = read_array::<4, _>(file)?;
    Ok(if version == 1 {
        u64::from_be_bytes(read_array(file)?)
    } else {
        read_u32(file)?.into()
    })
}

fn sample_description<R: Read + Seek>(file: &mut R, len: u64, seen: &mut Seen) -> Result<(), Reason> {
    if len < 16 {
        return Err(Reason::damaged("a track does not describe its samples"));
    }
    file.seek(SeekFrom::Current(12))?;
    let coding: [u8; 4] = read_array(file)?;
    match &seen.handler {
        b"vide" if VIDEO.contains(&&coding) => seen.video = true,
        b"soun" if SOUND.contains(&&coding) => seen.sound = true,
        // Text, time code and metadata tracks are not played; whatever they are does no harm.
        b"vide" | b"soun" => seen.foreign = Some(show(coding)),
        _ => {}
    }
    Ok(())
}

/// Remembers the furthest chunk: a file cut inside an open-ended `mdat` betrays itself there.
fn chunk_offsets<R: Read + Seek>(file: &mut R, len: u64, width: u64, seen: &mut Seen) -> Result<(), Reason> {
    file.seek(SeekFrom::Current(4))?;
    let count = u64::from(read_u32(file)?);
    if count * width + 8 > len {
        return Err(Reason::damaged("a table of chunks is longer than its box"));
    }
    if count == 0 {
        return Ok(());
    }
    // Offsets rise within a track, so the last one is the furthest.
    file.seek(SeekFrom::Current(
        i64::try_from((count - 1) * width).unwrap_or(i64::MAX),
    ))?;
    let last = if width == 4 {
        read_u32(file)?.into()
    } else {
        u64::from_be_bytes(read_array(file)?)
    };
    seen.last_offset = seen.last_offset.max(last);
    Ok(())
}

fn read_array<const N: usize, R: Read>(file: &mut R) -> Result<[u8; N], Reason> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_u32<R: Read>(file: &mut R) -> Result<u32, Reason> {
    Ok(u32::from_be_bytes(read_array(file)?))
}

fn show(name: [u8; 4]) -> String {
    name.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{self, atom};
    use super::*;
    use std::io::Cursor;

    fn run(bytes: &[u8]) -> Result<Mp4, Reason> {
        check(&mut Cursor::new(bytes), bytes.len() as u64)
    }

    #[test]
    fn reads_codings_and_duration() {
        assert_eq!(
            run(&fixtures::mp4(5000)).unwrap(),
            Mp4 {
                duration_ms: Some(12_500),
                has_video: true
            }
        );
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = fixtures::mp4(400);
        for len in 8..whole.len() {
            let error = run(&whole[..len]).unwrap_err();
            assert!(matches!(error, Reason::Truncated(_)), "cut at {len}: {error:?}");
        }
    }

    #[test]
    fn an_open_ended_mdat_is_held_against_the_table() {
        let mut open = fixtures::mp4_parts(b"avc1", b"mp4a", 9_000);
        open.extend([0, 0, 0, 0]);
        open.extend(b"mdat");
        open.extend([7; 100]);
        assert!(matches!(run(&open).unwrap_err(), Reason::Truncated(_)));
    }

    #[test]
    fn another_coding_is_named() {
        let mut hevc = fixtures::mp4_parts(b"hvc1", b"mp4a", 30);
        hevc.extend(atom(b"mdat", &[1; 64]));
        assert!(matches!(run(&hevc).unwrap_err(), Reason::Codec(c) if c == "hvc1"));
    }

    #[test]
    fn nonsense_never_loops() {
        let mut bytes = fixtures::mp4(100);
        bytes.splice(40..44, [0, 0, 0, 1]);
        assert!(run(&bytes).is_err());
        let many: Vec<u8> = atom(b"free", &[]).repeat(MAX_BOXES as usize + 1);
        assert!(matches!(run(&many).unwrap_err(), Reason::Damaged(_)));
    }
}
