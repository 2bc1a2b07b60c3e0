//! What a board's decoder has to know of an MP4: profile, level, pixels, rates. Reads `moov` alone, whatever the film weighs.

use std::io::{Read, Seek, SeekFrom};

use h264_reader::{avcc::AvcDecoderConfigurationRecord, nal::sps::SeqParameterSet};

/// Largest table of contents that is read; two hours of film have about 4 MiB.
const MOST_MOOV: u64 = 64 * 1024 * 1024;
/// Most boxes of one level.
const MOST_BOXES: usize = 10_000;

/// What was learnt.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// `moov` stands before `mdat`.
    pub(super) faststart: bool,
    /// Its samples are told in fragments.
    pub(super) fragmented: bool,
    /// By the longest track.
    pub(super) duration_ms: Option<u64>,
    /// The first picture track.
    pub(super) video: Option<Video>,
    /// The first sound track.
    pub(super) sound: Option<Sound>,
}

/// A picture track.
#[derive(Debug)]
pub(super) struct Video {
    /// H.264 `profile_idc`.
    pub(super) profile: u8,
    /// H.264 `level_idc`.
    pub(super) level: u8,
    /// `4:2:0` and the like.
    pub(super) chroma: &'static str,
    /// Bits of one sample.
    pub(super) depth: u8,
    /// Width and height in pixels.
    pub(super) size: (u32, u32),
    /// Pictures a second, on average.
    pub(super) rate: f64,
}

/// A sound track.
#[derive(Debug)]
pub(super) struct Sound {
    /// Its name for people.
    pub(super) coding: String,
    /// Boards play it.
    pub(super) plays: bool,
    /// Samples a second.
    pub(super) rate: u32,
    /// Channels.
    pub(super) channels: u16,
}

/// The name of a profile (ITU-T H.264 Annex A).
pub(super) fn profile_name(profile: u8) -> String {
    let name = match profile {
        66 => "Baseline",
        77 => "Main",
        88 => "Extended",
        100 => "High",
        110 => "High 10",
        122 => "High 4:2:2",
        244 => "High 4:4:4 Predictive",
        44 => "CAVLC 4:4:4 Intra",
        other => return format!("H.264 profile {other}"),
    };
    name.to_owned()
}

/// Looks at a file of `len` bytes.
///
/// # Errors
/// What kept it from being understood.
pub(super) fn probe<R: Read + Seek>(file: &mut R, len: u64) -> Result<Probe, String> {
    let mut probe = Probe::default();
    let (mut at, mut media_at, mut moov) = (0, None, None);
    for _ in 0..MOST_BOXES {
        if at + 8 > len {
            break;
        }
        let head = read_at(file, at, 16.min(len - at))?;
        let name = head.get(4..8).unwrap_or_default();
        let size = match u32_at(&head, 0) {
            Some(1) => head
                .get(8..16)
                .and_then(|b| b.try_into().ok())
                .map_or(0, u64::from_be_bytes),
            Some(0) => len - at,
            Some(size) => u64::from(size),
            None => 0,
        };
        if size < 8 || at + size > len {
            return Err("its boxes do not fit into the file".into());
        }
        match name {
            b"mdat" => media_at = media_at.or(Some(at)),
            b"moof" => probe.fragmented = true,
            b"moov" if moov.is_none() => {
                if size > MOST_MOOV {
                    return Err(format!("its table of contents has {size} bytes"));
                }
                let header = if u32_at(&head, 0) == Some(1) { 16 } else { 8 };
                moov = Some((at, read_at(file, at + header, size - header)?));
            }
            _ => {}
        }
        at += size;
    }
    let Some((moov_at, moov)) = moov else {
        return Err("it has no table of contents (moov)".into());
    };
    probe.faststart = media_at.is_none_or(|media| moov_at < media);
    for (name, body) in boxes(&moov) {
        match name {
            b"trak" => track(body, &mut probe),
            b"mvex" => probe.fragmented = true,
            _ => {}
        }
    }
    Ok(probe)
}

fn track(trak: &[u8], probe: &mut Probe) {
    let Some(mdia) = child(trak, b"mdia") else { return };
    let (timescale, duration) = child(mdia, b"mdhd").and_then(media_header).unwrap_or_default();
    let ms = duration.saturating_mul(1000).checked_div(timescale);
    if let Some(ms) = ms {
        probe.duration_ms = Some(ms.max(probe.duration_ms.unwrap_or(0)));
    }
    let handler = child(mdia, b"hdlr")
        .and_then(|hdlr| hdlr.get(8..12))
        .unwrap_or_default();
    let Some(stbl) = child(mdia, b"minf").and_then(|minf| child(minf, b"stbl")) else {
        return;
    };
    let Some(stsd) = child(stbl, b"stsd").and_then(|stsd| stsd.get(8..)) else {
        return;
    };
    let Some((coding, entry)) = boxes(stsd).next() else {
        return;
    };
    match handler {
        b"vide" if probe.video.is_none() => {
            let samples = child(stbl, b"stts").map_or(0, sample_count);
            let seconds = ms.unwrap_or(0) as f64 / 1000.0;
            let rate = if seconds > 0.0 {
                samples as f64 / seconds
            } else {
                0.0
            };
            probe.video = video(entry, rate);
        }
        b"soun" if probe.sound.is_none() => {
            let mut sound = sound(coding, entry);
            // The entry's rate has 16 bits; above that the track's own clock tells.
            sound.rate = sound.rate.max(u32::try_from(timescale).unwrap_or(u32::MAX));
            probe.sound = Some(sound);
        }
        _ => {}
    }
}

/// VisualSampleEntry (ISO/IEC 14496-12, 12.1.3): 78 bytes, then boxes, `avcC` among them.
fn video(entry: &[u8], rate: f64) -> Option<Video> {
    let (wide, high) = (u16_at(entry, 24)?, u16_at(entry, 26)?);
    let avcc = child(entry.get(78..)?, b"avcC")?;
    let record = AvcDecoderConfigurationRecord::try_from(avcc).ok()?;
    let mut video = Video {
        profile: u8::from(record.avc_profile_indication()),
        level: record.avc_level_indication().level_idc(),
        chroma: "4:2:0",
        depth: 8,
        size: (wide.into(), high.into()),
        rate,
    };
    let context = record.create_context().ok();
    if let Some(sps) = context.as_ref().and_then(|context| context.sps().next()) {
        refine(&mut video, sps);
    }
    Some(video)
}

fn refine(video: &mut Video, sps: &SeqParameterSet) {
    use h264_reader::nal::sps::ChromaFormat;
    video.profile = sps.profile().profile_idc();
    video.level = sps.level().level_idc();
    video.chroma = match sps.chroma_info.chroma_format {
        ChromaFormat::Monochrome | ChromaFormat::YUV420 => "4:2:0",
        ChromaFormat::YUV422 => "4:2:2",
        _ => "4:4:4",
    };
    video.depth = 8 + sps
        .chroma_info
        .bit_depth_luma_minus8
        .max(sps.chroma_info.bit_depth_chroma_minus8);
    if let Ok(size) = sps.pixel_dimensions() {
        video.size = size;
    }
}

/// AudioSampleEntry (ISO/IEC 14496-12, 12.2.3): 28 bytes, then boxes, `esds` among them.
fn sound(coding: &[u8; 4], entry: &[u8]) -> Sound {
    let channels = u16_at(entry, 16).unwrap_or(0);
    let rate = u32_at(entry, 24).map_or(0, |fixed| fixed >> 16);
    let kind = match coding {
        b".mp3" => Some(0x6b),
        b"mp4a" => entry
            .get(28..)
            .and_then(|rest| child(rest, b"esds"))
            .and_then(object_type),
        _ => None,
    };
    // ISO/IEC 14496-1 table 5; 0x40 AAC, 0x66–0x68 MPEG-2 AAC, 0x69 and 0x6b MPEG-1/2 layer 3 (and 2).
    let (name, plays) = match kind {
        Some(0x40 | 0x66..=0x68) => ("AAC".to_owned(), true),
        Some(0x69 | 0x6b) => ("MP3".to_owned(), true),
        Some(other) => (format!("mp4a 0x{other:02x}"), false),
        // A writer that leaves `esds` out means AAC.
        None if coding == b"mp4a" => ("AAC".to_owned(), true),
        None => (coding.escape_ascii().to_string(), false),
    };
    Sound {
        coding: name,
        plays,
        rate,
        channels,
    }
}

/// The object type in an ES descriptor: tag 3 → tag 4, lengths of one to four bytes.
fn object_type(esds: &[u8]) -> Option<u8> {
    let mut rest = esds.get(4..)?;
    let mut tagged = |wanted: u8| -> Option<()> {
        let (tag, after) = rest.split_first()?;
        let long = after.iter().take(3).take_while(|b| **b & 0x80 != 0).count();
        rest = after.get(long + 1..)?;
        (*tag == wanted).then_some(())
    };
    tagged(3)?;
    // ES_ID and flags; the optional parts are not used by files.
    rest = rest.get(3..)?;
    let mut tagged = |wanted: u8| -> Option<()> {
        let (tag, after) = rest.split_first()?;
        let long = after.iter().take(3).take_while(|b| **b & 0x80 != 0).count();
        rest = after.get(long + 1..)?;
        (*tag == wanted).then_some(())
    };
    tagged(4)?;
    rest.first().copied()
}

fn media_header(mdhd: &[u8]) -> Option<(u64, u64)> {
    if mdhd.first() == Some(&1) {
        let duration = mdhd.get(24..32)?.try_into().ok().map(u64::from_be_bytes)?;
        return Some((u32_at(mdhd, 20)?.into(), duration));
    }
    Some((u32_at(mdhd, 12)?.into(), u32_at(mdhd, 16)?.into()))
}

fn sample_count(stts: &[u8]) -> u64 {
    let runs = stts.get(8..).unwrap_or_default().chunks_exact(8);
    runs.filter_map(|run| u32_at(run, 0))
        .fold(0, |sum, n| sum.saturating_add(n.into()))
}

/// The boxes of one level; ends quietly where they stop making sense.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let size = u32_at(bytes, 0)? as usize;
        let name: &[u8; 4] = bytes.get(4..8)?.try_into().ok()?;
        let body = bytes.get(8..size)?;
        bytes = bytes.get(size..)?;
        Some((name, body))
    })
    .take(MOST_BOXES)
}

fn child<'a>(bytes: &'a [u8], wanted: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes)
        .find(|(name, _)| *name == wanted)
        .map(|(_, body)| body)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn read_at<R: Read + Seek>(file: &mut R, at: u64, len: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.take(len).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err("the file ends too soon".into())
    }
}
