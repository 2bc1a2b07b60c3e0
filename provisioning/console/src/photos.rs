//! Pictures that people add to work orders: decoded within bounds, turned upright, drawn anew as JPEG without anything that a
//! camera wrote into them (place, time, serial number), and kept in files named by their hash.

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    metadata::Orientation,
};

/// Largest file that is taken.
pub const MAX_BYTES: usize = 5_000_000;
/// Longest side of what is kept, in pixels.
const KEPT_SIDE: u32 = 1_600;
/// Longest side and most pixels that are decoded: a small file can claim to be a wall.
const MAX_SIDE: u32 = 12_000;
const MAX_PIXELS: u64 = 50_000_000;
const MAX_ALLOC: u64 = 256 << 20;
const QUALITY: u8 = 82;
const FOLDER: &str = "photos";

/// Why a picture is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// Larger than [`MAX_BYTES`].
    #[error("the file has {0} bytes; at most 5 MB are taken: send a smaller photo")]
    TooLarge(usize),
    /// Neither JPEG nor PNG by its first bytes.
    #[error("neither a JPEG nor a PNG picture; take the photo again, or save it as JPEG")]
    Kind,
    /// More pixels than are decoded.
    #[error("the picture is {0} × {1} pixels; at most 12000 on a side and 50 million in all are taken")]
    Pixels(u32, u32),
    /// It cannot be decoded.
    #[error("the picture is damaged: {0}")]
    Damaged(String),
    /// It cannot be kept.
    #[error("the photo could not be kept: {0}")]
    Disk(#[from] std::io::Error),
}

/// A picture as it is kept.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// JPEG.
    pub bytes: Vec<u8>,
    /// BLAKE3 of them, hex.
    pub hash: String,
    /// Pixels.
    pub size: (u32, u32),
}

/// Draws a picture anew. Takes a second of one core at worst, and bounded memory.
///
/// # Errors
/// [`PhotoError`], all but the disk's.
pub fn draw(bytes: &[u8]) -> Result<Drawn, PhotoError> {
    if bytes.len() > MAX_BYTES {
        return Err(PhotoError::TooLarge(bytes.len()));
    }
    let format = match bytes {
        [0xff, 0xd8, 0xff, ..] => ImageFormat::Jpeg,
        [0x89, b'P', b'N', b'G', ..] => ImageFormat::Png,
        _ => return Err(PhotoError::Kind),
    };
    let damaged = |e: image::ImageError| PhotoError::Damaged(e.to_string().chars().take(200).collect());
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PhotoError::Pixels(width, height));
    }
    if decoder.total_bytes() > MAX_ALLOC {
        return Err(PhotoError::Pixels(width, height));
    }
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    if width > KEPT_SIDE || height > KEPT_SIDE {
        picture = picture.thumbnail(KEPT_SIDE, KEPT_SIDE);
    }
    picture.apply_orientation(turned);
    let flat = picture.to_rgb8();
    let mut drawn = Vec::new();
    JpegEncoder::new_with_quality(&mut drawn, QUALITY)
        .encode_image(&flat)
        .map_err(damaged)?;
    Ok(Drawn {
        hash: blake3::hash(&drawn).to_hex().to_string(),
        size: flat.dimensions(),
        bytes: drawn,
    })
}

fn place(data: &Path, hash: &str) -> Option<PathBuf> {
    let plain = hash.len() == 64
        && hash
            .bytes()
            .all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    plain.then(|| data.join(FOLDER).join(format!("{hash}.jpg")))
}

/// Keeps a picture; on the disk when this returns. Blocking.
///
/// # Errors
/// [`PhotoError::Disk`].
pub fn keep(data: &Path, drawn: &Drawn) -> Result<(), PhotoError> {
    let folder = data.join(FOLDER);
    let Some(path) = place(data, &drawn.hash) else {
        return Err(PhotoError::Damaged("its hash is none".to_owned()));
    };
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    let mut file = tempfile::Builder::new().prefix("part-").tempfile_in(&folder)?;
    file.write_all(&drawn.bytes)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|e| e.error)?;
    std::fs::File::open(&folder)?.sync_all()?;
    Ok(())
}

/// Pictures that were kept before `before`, by their hashes, and leavings of writes that were cut short are removed. Blocking.
///
/// # Errors
/// The folder cannot be listed.
pub fn old(data: &Path, before: std::time::SystemTime) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(data.join(FOLDER)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut hashes = Vec::new();
    for entry in entries {
        let entry = entry?;
        let aged = entry.metadata().and_then(|meta| meta.modified());
        if !aged.is_ok_and(|at| at < before) {
            continue;
        }
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        match name
            .strip_suffix(".jpg")
            .filter(|hash| place(data, hash).is_some())
        {
            Some(hash) => hashes.push(hash.to_owned()),
            None if name.starts_with("part-") => std::fs::remove_file(entry.path())?,
            None => {}
        }
    }
    Ok(hashes)
}

/// Removes a picture that no order names. Blocking.
///
/// # Errors
/// The disk's.
pub fn remove(data: &Path, hash: &str) -> std::io::Result<()> {
    match place(data, hash) {
        Some(path) => std::fs::remove_file(path),
        None => Ok(()),
    }
}

/// Reads a picture. Blocking.
///
/// # Errors
/// It is not there, cannot be read, or is not what was kept.
pub fn read(data: &Path, hash: &str) -> Result<Vec<u8>, PhotoError> {
    let path = place(data, hash).ok_or_else(|| PhotoError::Damaged("its hash is none".to_owned()))?;
    let bytes = std::fs::read(path)?;
    if blake3::hash(&bytes).to_hex().as_str() != hash {
        return Err(PhotoError::Damaged(
            "the file on the disk is not the one that was kept".to_owned(),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG of 40 × 20 pixels, left half red, with EXIF that says "turned right" and where it was taken.
    fn with_exif() -> Vec<u8> {
        let picture = image::RgbImage::from_fn(40, 20, |x, _| {
            if x < 20 {
                image::Rgb([250, 0, 0])
            } else {
                image::Rgb([0, 0, 250])
            }
        });
        let mut plain = Vec::new();
        JpegEncoder::new_with_quality(&mut plain, 95)
            .encode_image(&picture)
            .unwrap();
        let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x02".to_vec();
        tiff.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0]);
        tiff.extend([0x01, 0x0f, 0, 2, 0, 0, 0, 12, 0, 0, 0, 0x26]);
        tiff.extend([0, 0, 0, 0]);
        tiff.extend(b"GPS-SECRET!\0");
        let mut exif = b"Exif\0\0".to_vec();
        exif.extend(tiff);
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let mut bytes = plain[..2].to_vec();
        bytes.extend([0xff, 0xe1]);
        bytes.extend(length);
        bytes.extend(exif);
        bytes.extend(&plain[2..]);
        bytes
    }

    #[test]
    fn what_a_camera_wrote_is_gone_and_the_picture_stands_upright() {
        let bytes = with_exif();
        assert!(bytes.windows(10).any(|part| part == b"GPS-SECRET"));
        let drawn = draw(&bytes).unwrap();
        assert_eq!(drawn.size, (20, 40), "turned");
        for word in [&b"GPS-SECRET"[..], b"Exif"] {
            assert!(!drawn.bytes.windows(word.len()).any(|part| part == word));
        }
        assert_eq!(draw(&bytes).unwrap().hash, drawn.hash);
        // Turned by 90°: what was left is above.
        let picture = image::load_from_memory(&drawn.bytes).unwrap().to_rgb8();
        assert!(picture.get_pixel(10, 5).0[0] > 200 && picture.get_pixel(10, 35).0[2] > 200);
    }

    #[test]
    fn a_large_picture_becomes_smaller_and_a_png_a_jpeg() {
        let picture = image::RgbaImage::from_pixel(3_000, 1_000, image::Rgba([1, 2, 3, 255]));
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).unwrap();
        let drawn = draw(png.get_ref()).unwrap();
        assert_eq!(drawn.size, (1_600, 533));
        assert!(drawn.bytes.starts_with(&[0xff, 0xd8, 0xff]));
    }

    #[test]
    fn what_is_no_picture_or_too_much_of_one_is_refused() {
        assert!(matches!(draw(b"GIF89a......"), Err(PhotoError::Kind)));
        assert!(matches!(draw(b"<svg onload=alert(1)>"), Err(PhotoError::Kind)));
        assert!(matches!(
            draw(&vec![0xff; MAX_BYTES + 1]),
            Err(PhotoError::TooLarge(_))
        ));
        let good = with_exif();
        for cut in [3, 30, good.len() / 2] {
            // A decoder may draw the half it has; it must not panic, and never give back what it got.
            let _ = draw(&good[..cut]);
        }
        assert!(matches!(draw(&good[..30]), Err(PhotoError::Damaged(_))));
        // The header of a PNG of 100,000 × 100,000 pixels.
        let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        bomb.extend([0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0, 8, 2, 0, 0, 0]);
        let crc = crc32fast::hash(&bomb[12..29]).to_be_bytes();
        bomb.extend(crc);
        bomb.extend(b"\0\0\0\0IDAT");
        assert!(draw(&bomb).is_err());
    }

    #[test]
    fn what_is_kept_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let drawn = draw(&with_exif()).unwrap();
        keep(folder.path(), &drawn).unwrap();
        keep(folder.path(), &drawn).unwrap();
        assert_eq!(read(folder.path(), &drawn.hash).unwrap(), drawn.bytes);
        let path = folder.path().join(FOLDER).join(format!("{}.jpg", drawn.hash));
        std::fs::write(path, b"other").unwrap();
        assert!(matches!(
            read(folder.path(), &drawn.hash),
            Err(PhotoError::Damaged(_))
        ));
        assert!(read(folder.path(), "../console").is_err());
    }
}
