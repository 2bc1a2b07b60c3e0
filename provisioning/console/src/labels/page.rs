//! Where things stand on a sheet. All lengths are points (1/72 inch) from the upper left corner, unless they say millimetres.

use jiff::{Timestamp, tz::Offset};
use krilla::{
    Document,
    color::luma,
    geom::{Path, PathBuilder, Point, Rect},
    metadata::Metadata,
    page::PageSettings,
    paint::{Fill, Stroke},
    surface::Surface,
};
use qrcode::{EcLevel, QrCode, types::Color};

use super::{
    Label, LabelError, Sheet,
    font::{LabelFont, Metrics},
};

const MM: f32 = 72.0 / 25.4;
const PAGE: (f32, f32) = (210.0 * MM, 297.0 * MM);
pub(super) const COLUMNS: usize = 2;
pub(super) const ROWS: usize = 7;
/// Upper left corner of the first label.
pub(super) const ORIGIN: (f32, f32) = (10.0 * MM, 20.0 * MM);
pub(super) const LABEL: (f32, f32) = (95.0 * MM, 38.0 * MM);
const PADDING: f32 = 3.5 * MM;
/// The QR code with its quiet zone.
const QR: f32 = 31.0 * MM;
/// Modules of white around a QR code, as its standard asks.
const QUIET: usize = 4;
/// China has one time zone.
const BEIJING: Offset = Offset::constant(8);

/// One page under way.
struct Pen<'a, 'b> {
    surface: &'a mut Surface<'b>,
    font: &'a LabelFont,
    metrics: &'a Metrics<'a>,
}

pub(super) fn draw(sheet: &Sheet, font: &LabelFont) -> Result<Vec<u8>, LabelError> {
    let metrics = font.metrics()?;
    let mut document = Document::new();
    document.set_metadata(
        Metadata::new()
            .title(format!("{} 注册标签 批次 {}", sheet.school, sheet.batch))
            .creator("bbt-console".to_owned())
            .language("zh-CN".to_owned()),
    );
    let pages = sheet.labels.len().div_ceil(COLUMNS * ROWS).max(1);
    for (number, labels) in sheet.labels.chunks(COLUMNS * ROWS).enumerate() {
        let settings = PageSettings::from_wh(PAGE.0, PAGE.1).ok_or_else(|| failed("page size"))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        let mut pen = Pen {
            surface: &mut surface,
            font,
            metrics: &metrics,
        };
        pen.header(sheet, number + 1, pages);
        pen.cut_marks(labels.len().div_ceil(COLUMNS));
        for (at, label) in labels.iter().enumerate() {
            let x = ORIGIN.0 + (at % COLUMNS) as f32 * LABEL.0;
            let y = ORIGIN.1 + (at / COLUMNS) as f32 * LABEL.1;
            let count = number * COLUMNS * ROWS + at + 1;
            pen.label(sheet, label, count, x, y)?;
        }
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|e| failed(format!("{e:?}")))
}

fn failed(what: impl Into<String>) -> LabelError {
    LabelError::Draw(what.into())
}

fn day(at: Timestamp) -> String {
    BEIJING.to_datetime(at).strftime("%Y-%m-%d").to_string()
}

fn minute(at: Timestamp) -> String {
    BEIJING.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

impl Pen<'_, '_> {
    /// Sets a line whose baseline is at `y`; one that is wider than `room` is set smaller, down to half, then cut.
    fn text(&mut self, text: &str, x: f32, y: f32, size: f32, room: f32) {
        let mut text = text.to_owned();
        let (mut glyphs, mut width) = self.metrics.line(&text);
        let size = size.min((room / width.max(0.001)).max(size / 2.0));
        while width * size > room && text.chars().count() > 1 {
            text.pop();
            if text.ends_with('…') {
                text.pop();
            }
            text.push('…');
            (glyphs, width) = self.metrics.line(&text);
        }
        self.ink(0);
        let font = self.font.font.clone();
        self.surface
            .draw_glyphs(Point::from_xy(x, y), &glyphs, font, &text, size, false);
    }

    fn width(&self, text: &str, size: f32) -> f32 {
        self.metrics.line(text).1 * size
    }

    fn ink(&mut self, grey: u8) {
        self.surface.set_stroke(None);
        self.surface.set_fill(Some(Fill {
            paint: luma::Color::new(grey).into(),
            ..Fill::default()
        }));
    }

    fn lines(&mut self, path: Option<Path>, grey: u8, width: f32) {
        self.surface.set_fill(None);
        self.surface.set_stroke(Some(Stroke {
            paint: luma::Color::new(grey).into(),
            width,
            ..Stroke::default()
        }));
        if let Some(path) = path {
            self.surface.draw_path(&path);
        }
        self.surface.set_stroke(None);
    }

    fn header(&mut self, sheet: &Sheet, page: usize, pages: usize) {
        let right = PAGE.0 - ORIGIN.0;
        let facts = format!(
            "批次 {} · 签发 {} · 打印 {} · 共 {} 张 · 第 {page}/{pages} 页",
            sheet.batch,
            day(sheet.issued_at),
            day(sheet.printed_at),
            sheet.labels.len()
        );
        let wide = self.width(&facts, 8.0);
        self.text(&facts, right - wide, 15.0 * MM, 8.0, wide + 1.0);
        let title = format!("班班通终端注册标签　{} {}", sheet.region, sheet.school);
        self.text(&title, ORIGIN.0, 10.0 * MM, 12.0, right - ORIGIN.0);
        self.text(
            "一张标签注册一台终端，贴在对应教室的终端上；作废请在控制台撤销本批次",
            ORIGIN.0,
            15.0 * MM,
            8.0,
            right - ORIGIN.0 - wide - 4.0 * MM,
        );
    }

    /// Small crosses where the knife turns, and faint lines between.
    fn cut_marks(&mut self, rows: usize) {
        let (mut crosses, mut between) = (PathBuilder::new(), PathBuilder::new());
        let arm = 2.0 * MM;
        for row in 0..=rows {
            let y = ORIGIN.1 + row as f32 * LABEL.1;
            between.move_to(ORIGIN.0, y);
            between.line_to(ORIGIN.0 + COLUMNS as f32 * LABEL.0, y);
            for column in 0..=COLUMNS {
                let x = ORIGIN.0 + column as f32 * LABEL.0;
                crosses.move_to(x - arm, y);
                crosses.line_to(x + arm, y);
                crosses.move_to(x, y - arm);
                crosses.line_to(x, y + arm);
            }
        }
        for column in 0..=COLUMNS {
            let x = ORIGIN.0 + column as f32 * LABEL.0;
            between.move_to(x, ORIGIN.1);
            between.line_to(x, ORIGIN.1 + rows as f32 * LABEL.1);
        }
        self.lines(between.finish(), 215, 0.3);
        self.lines(crosses.finish(), 90, 0.5);
    }

    fn label(
        &mut self,
        sheet: &Sheet,
        label: &Label,
        count: usize,
        x: f32,
        y: f32,
    ) -> Result<(), LabelError> {
        self.qr(&label.qr, x + PADDING, y + (LABEL.1 - QR) / 2.0)?;
        let left = x + PADDING + QR + 2.0 * MM;
        let room = x + LABEL.0 - PADDING - left;
        self.text(&label.school, left, y + 7.5 * MM, 10.0, room);
        self.text(&label.classroom, left, y + 14.0 * MM, 14.0, room);
        self.typed(&label.typed_code, left, y + 22.5 * MM, room);
        let expiry = format!("有效期至 {}（北京时间）", minute(label.expires_at));
        self.text(&expiry, left, y + 28.0 * MM, 7.5, room);
        self.text(
            "用法：扫码认领，或在终端屏幕上输入 9 位码",
            left,
            y + 31.7 * MM,
            7.5,
            room,
        );
        let number = format!("批次 {} · {count}/{}", sheet.batch, sheet.labels.len());
        self.text(&number, left, y + 35.2 * MM, 6.5, room);
        Ok(())
    }

    /// The code in cells of one width, as large as there is room.
    fn typed(&mut self, code: &str, x: f32, y: f32, room: f32) {
        let (glyphs, width) = self.metrics.typed(code);
        let size = (room / width.max(0.001)).min(20.0);
        self.ink(0);
        let font = self.font.font.clone();
        self.surface
            .draw_glyphs(Point::from_xy(x, y), &glyphs, font, code, size, false);
    }

    /// As vectors, one rectangle for each run of dark modules.
    fn qr(&mut self, text: &str, x: f32, y: f32) -> Result<(), LabelError> {
        let code =
            QrCode::with_error_correction_level(text, EcLevel::M).map_err(|e| failed(e.to_string()))?;
        let modules = code.width();
        let module = QR / (modules + 2 * QUIET) as f32;
        let place = |n: usize| (n + QUIET) as f32 * module;
        let mut path = PathBuilder::new();
        for (row, colors) in code.to_colors().chunks(modules).enumerate() {
            let mut at = 0;
            while at < modules {
                let run = colors.iter().skip(at).take_while(|c| **c == Color::Dark).count();
                if run > 0 {
                    let (left, top) = (x + place(at), y + place(row));
                    let rect = Rect::from_xywh(left, top, run as f32 * module, module);
                    path.push_rect(rect.ok_or_else(|| failed("a module of a QR code"))?);
                }
                at += run.max(1);
            }
        }
        self.ink(0);
        if let Some(path) = path.finish() {
            self.surface.draw_path(&path);
        }
        Ok(())
    }
}
