//! The font of labels: one that knows Chinese is a dozen megabytes, so the machine's is taken, and cut down in the PDF to the
//! characters that stand there.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use krilla::text::{Font, GlyphId, KrillaGlyph};
use ttf_parser::{Face, name_id};

use super::LabelError;

/// Where Debian's packages fonts-noto-cjk, fonts-wqy-zenhei and fonts-wqy-microhei put theirs, and other systems.
pub const PLACES: [&str; 8] = [
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/source-han-sans/SourceHanSansSC-Regular.otf",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/wqy-zenhei/wqy-zenhei.ttc",
];
/// A font without these is none for a label.
const NEEDED: &str = "注册标签学校班级教室有效期扫码认领输入屏幕0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Largest font file read, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A font, and what is needed to set text in it.
pub(super) struct LabelFont {
    pub(super) font: Font,
    data: Arc<Vec<u8>>,
    index: u32,
}

/// The font's metrics, borrowed from its bytes.
pub(super) struct Metrics<'a>(Face<'a>);

impl LabelFont {
    /// Reads the configured font, or the first of [`PLACES`] that is there.
    pub(super) fn find(configured: Option<&Path>) -> Result<Self, LabelError> {
        let path = match configured {
            Some(path) => path.to_owned(),
            None => PLACES
                .iter()
                .map(PathBuf::from)
                .find(|path| path.is_file())
                .ok_or(LabelError::NoFont)?,
        };
        let refuse = |reason: String| LabelError::Font {
            path: path.clone(),
            reason,
        };
        let size = std::fs::metadata(&path).map_err(|e| refuse(e.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(refuse(format!(
                "it has {size} bytes, at most {MAX_BYTES} are read"
            )));
        }
        let data = Arc::new(std::fs::read(&path).map_err(|e| refuse(e.to_string()))?);
        let index = simplified(&data).ok_or_else(|| {
            refuse("it is no TrueType or OpenType font with Chinese characters and Latin capitals".to_owned())
        })?;
        let font =
            Font::new(data.clone().into(), index).ok_or_else(|| refuse("it cannot be used".to_owned()))?;
        Ok(Self { font, data, index })
    }

    pub(super) fn metrics(&self) -> Result<Metrics<'_>, LabelError> {
        Face::parse(&self.data, self.index)
            .map(Metrics)
            .map_err(|e| LabelError::Draw(e.to_string()))
    }
}

/// The face with simplified forms, where a collection has one for each country; else the first that knows enough.
fn simplified(data: &[u8]) -> Option<u32> {
    let count = ttf_parser::fonts_in_collection(data).unwrap_or(1).min(64);
    let able: Vec<(u32, Face<'_>)> = (0..count)
        .filter_map(|index| Some((index, Face::parse(data, index).ok()?)))
        .filter(|(_, face)| NEEDED.chars().all(|c| face.glyph_index(c).is_some()))
        .collect();
    let is_simplified = |face: &Face<'_>| {
        let family = face
            .names()
            .into_iter()
            .filter(|name| name.name_id == name_id::FAMILY)
            .find_map(|name| name.to_string());
        family.is_some_and(|family| family.ends_with(" SC") && !family.contains("Mono"))
    };
    able.iter()
        .find(|(_, face)| is_simplified(face))
        .or_else(|| able.first())
        .map(|(index, _)| *index)
}

impl Metrics<'_> {
    fn advance(&self, c: char) -> (u32, f32) {
        let glyph = self.0.glyph_index(c).unwrap_or_default();
        let advance = f32::from(self.0.glyph_hor_advance(glyph).unwrap_or_default());
        (u32::from(glyph.0), advance / f32::from(self.0.units_per_em()))
    }

    /// Glyphs of a line and its width at size 1. Chinese, digits and capitals stand side by side and need no shaping.
    pub(super) fn line(&self, text: &str) -> (Vec<KrillaGlyph>, f32) {
        self.spaced(text, |_, advance| advance)
    }

    /// The same with every character in a cell of the same width, as on a typewriter: what is read out is counted.
    pub(super) fn typed(&self, text: &str) -> (Vec<KrillaGlyph>, f32) {
        // Wide enough for an M, and a W only nudges its neighbours.
        let cell = self.advance('M').1 * 0.92;
        self.spaced(text, |c, _| if c == '-' { cell * 0.7 } else { cell })
    }

    fn spaced(&self, text: &str, cell: impl Fn(char, f32) -> f32) -> (Vec<KrillaGlyph>, f32) {
        let mut width = 0.0;
        let glyphs = text
            .char_indices()
            .map(|(at, c)| {
                let (glyph, advance) = self.advance(c);
                let cell = cell(c, advance);
                width += cell;
                KrillaGlyph::new(
                    GlyphId::new(glyph),
                    cell,
                    (cell - advance) / 2.0,
                    0.0,
                    0.0,
                    at..at + c.len_utf8(),
                    None,
                )
            })
            .collect();
        (glyphs, width)
    }
}
