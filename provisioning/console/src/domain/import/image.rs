//! PNG and JPEG by their structure: whole, sane, and small enough for a classroom device to show.

use std::io::{BufRead, Read};

use super::error::Reason;

/// Most pixels of a picture. At four bytes each this is 256 MB, what a 1 GiB board can just decode.
pub const MAX_PIXELS: u64 = 64_000_000;

const PNG_SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// Checks a PNG: every chunk inside the file, every checksum right, `IEND` there.
///
/// # Errors
/// [`Reason::Truncated`], [`Reason::Damaged`] or [`Reason::TooManyPixels`].
pub fn check_png<R: Read>(file: &mut R) -> Result<(), Reason> {
    if &read_array::<8, _>(file)? != PNG_SIGNATURE {
        return Err(Reason::damaged("it does not start like a PNG"));
    }
    let mut first = true;
    loop {
        let len = u32::from_be_bytes(read_array(file).map_err(png_end)?);
        let name: [u8; 4] = read_array(file).map_err(png_end)?;
        if first != (&name == b"IHDR") || (first && len != 13) {
            return Err(Reason::damaged("IHDR is not its first chunk"));
        }
        let mut sum = crc32fast::Hasher::new();
        sum.update(&name);
        if first {
            let header: [u8; 13] = read_array(file).map_err(png_end)?;
            sum.update(&header);
            let [w0, w1, w2, w3, h0, h1, h2, h3, ..] = header;
            let (width, height) = (
                u32::from_be_bytes([w0, w1, w2, w3]),
                u32::from_be_bytes([h0, h1, h2, h3]),
            );
            check_pixels(width.into(), height.into())?;
        } else {
            sum_bytes(file, len.into(), &mut sum)?;
        }
        if u32::from_be_bytes(read_array(file).map_err(png_end)?) != sum.finalize() {
            return Err(Reason::damaged(format!(
                "the checksum of chunk {} is wrong",
                name.escape_ascii()
            )));
        }
        if &name == b"IEND" {
            return Ok(());
        }
        first = false;
    }
}

fn png_end(_: Reason) -> Reason {
    Reason::truncated("its end mark (IEND) is missing")
}

fn sum_bytes<R: Read>(file: &mut R, mut left: u64, sum: &mut crc32fast::Hasher) -> Result<(), Reason> {
    let mut buffer = [0; 16 * 1024];
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = file.read(&mut buffer[..most])?;
        if got == 0 {
            return Err(Reason::truncated("a chunk ends behind the file"));
        }
        sum.update(&buffer[..got]);
        left -= got as u64;
    }
    Ok(())
}

/// Checks a JPEG: its segments, a frame header, scan data and the end mark. Bytes behind the end mark are allowed; phones put
/// films and depth maps there.
///
/// # Errors
/// [`Reason::Truncated`], [`Reason::Damaged`] or [`Reason::TooManyPixels`].
pub fn check_jpeg<R: BufRead>(file: &mut R) -> Result<(), Reason> {
    if read_array(file)? != [0xff, 0xd8] {
        return Err(Reason::damaged("it does not start like a JPEG"));
    }
    let (mut frame, mut scan) = (false, false);
    let mut marker = next_marker(file, false)?;
    loop {
        match marker {
            0xd9 if frame && scan => return Ok(()),
            0xd9 => return Err(Reason::damaged("it holds no picture")),
            // Markers without a body.
            0x01 | 0xd0..=0xd7 => marker = next_marker(file, scan)?,
            0xd8 => return Err(Reason::damaged("it starts twice")),
            _ => {
                segment(file, marker, &mut frame)?;
                scan |= marker == 0xda;
                marker = next_marker(file, marker == 0xda)?;
            }
        }
    }
}

fn segment<R: BufRead>(file: &mut R, marker: u8, frame: &mut bool) -> Result<(), Reason> {
    let len = u64::from(u16::from_be_bytes(read_array(file).map_err(jpeg_end)?));
    let mut left = len
        .checked_sub(2)
        .ok_or_else(|| Reason::damaged("a segment is shorter than its header"))?;
    // Start of frame, all kinds; C4, C8 and CC are tables.
    if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
        if left < 6 {
            return Err(Reason::damaged("its frame header is too short"));
        }
        let [_, h0, h1, w0, w1, _] = read_array(file).map_err(jpeg_end)?;
        check_pixels(
            u16::from_be_bytes([w0, w1]).into(),
            u16::from_be_bytes([h0, h1]).into(),
        )?;
        *frame = true;
        left -= 6;
    }
    if std::io::copy(&mut file.by_ref().take(left), &mut std::io::sink())? < left {
        return Err(Reason::truncated("a segment ends behind the file"));
    }
    Ok(())
}

/// The next marker. Inside scan data, stuffed zeros and restart marks are part of the data; elsewhere anything else is damage.
fn next_marker<R: BufRead>(file: &mut R, in_scan: bool) -> Result<u8, Reason> {
    let mut after_ff = false;
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Err(jpeg_end(Reason::Empty));
        }
        let mut used = 0;
        let mut found = None;
        for &byte in buffer {
            used += 1;
            match (after_ff, byte) {
                (_, 0xff) => after_ff = true,
                (true, 0x00 | 0xd0..=0xd7) if in_scan => after_ff = false,
                (true, marker) => {
                    found = Some(marker);
                    break;
                }
                (false, _) if in_scan => {}
                (false, _) => return Err(Reason::damaged("bytes stand between its segments")),
            }
        }
        file.consume(used);
        if let Some(marker) = found {
            return Ok(marker);
        }
    }
}

fn jpeg_end(_: Reason) -> Reason {
    Reason::truncated("its end mark (EOI) is missing")
}

fn check_pixels(width: u64, height: u64) -> Result<(), Reason> {
    match width * height {
        0 => Err(Reason::damaged("the picture is 0 pixels wide or high")),
        pixels if pixels > MAX_PIXELS => Err(Reason::TooManyPixels {
            pixels,
            limit: MAX_PIXELS,
        }),
        _ => Ok(()),
    }
}

fn read_array<const N: usize, R: Read>(file: &mut R) -> Result<[u8; N], Reason> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn whole_pictures_pass_and_every_cut_is_noticed() {
        let png = fixtures::png(40, 30);
        check_png(&mut png.as_slice()).unwrap();
        for len in 8..png.len() {
            assert!(
                matches!(check_png(&mut &png[..len]).unwrap_err(), Reason::Truncated(_)),
                "png cut at {len}"
            );
        }
        let jpeg = fixtures::jpeg(40, 30);
        check_jpeg(&mut jpeg.as_slice()).unwrap();
        for len in 2..jpeg.len() {
            assert!(
                matches!(check_jpeg(&mut &jpeg[..len]).unwrap_err(), Reason::Truncated(_)),
                "jpeg cut at {len}"
            );
        }
    }

    #[test]
    fn a_flipped_bit_in_a_png_is_noticed() {
        let png = fixtures::png(40, 30);
        for at in 8..png.len() {
            let mut bad = png.clone();
            bad[at] ^= 1;
            assert!(check_png(&mut bad.as_slice()).is_err(), "bit flipped at {at}");
        }
    }

    #[test]
    fn a_thumbnail_is_not_taken_for_the_end() {
        let inner = fixtures::jpeg(4, 4);
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe1];
        jpeg.extend(u16::try_from(inner.len() + 2).unwrap().to_be_bytes());
        jpeg.extend(&inner);
        assert!(matches!(
            check_jpeg(&mut jpeg.as_slice()).unwrap_err(),
            Reason::Truncated(_)
        ));
        jpeg.extend(&fixtures::jpeg(40, 30)[2..]);
        jpeg.extend(b"a film behind the picture");
        check_jpeg(&mut jpeg.as_slice()).unwrap();
    }

    #[test]
    fn a_picture_no_device_can_hold_is_refused() {
        let png = fixtures::png(60_000, 60_000);
        assert!(matches!(
            check_png(&mut png.as_slice()).unwrap_err(),
            Reason::TooManyPixels { .. }
        ));
        let jpeg = fixtures::jpeg(60_000, 60_000);
        assert!(matches!(
            check_jpeg(&mut jpeg.as_slice()).unwrap_err(),
            Reason::TooManyPixels { .. }
        ));
        assert!(matches!(
            check_png(&mut fixtures::png(0, 9).as_slice()).unwrap_err(),
            Reason::Damaged(_)
        ));
    }
}
