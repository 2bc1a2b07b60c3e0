//! The sheet as a printer would have it: rendered, looked at by a QR reader, its text taken out again.

use std::process::Command;

use super::*;

fn sheet(labels: usize) -> Sheet {
    let at: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let label = |n: usize| {
        let code =
            contract::code::TicketCode::from_values([7, 9, 1, 4, 0, 2, (n / 32) as u8, (n % 32) as u8]);
        Label {
            qr: format!(
                "https://bbt.example.edu.cn/claim#code={}",
                code.typed().replace('-', "")
            ),
            typed_code: code.typed(),
            school: if n == 2 {
                "雾峰县清水镇民族中心完全小学附属长岭教学点（寄宿部）".to_owned()
            } else {
                "清水镇中心小学".to_owned()
            },
            classroom: format!("三年级({})班", n + 1),
            expires_at: at,
        }
    };
    Sheet {
        region: "雾峰县 清水镇".into(),
        school: "清水镇中心小学".into(),
        batch: 12,
        issued_at: at,
        printed_at: at,
        labels: (0..labels).map(label).collect(),
    }
}

/// Grey pixels of one page of a PDF at 200 dpi, as poppler renders it.
fn rendered(pdf: &Path, page: usize) -> (usize, usize, Vec<u8>) {
    let number = page.to_string();
    let out = Command::new("pdftoppm")
        .args(["-gray", "-r", "200", "-f", &number, "-l", &number])
        .arg(pdf)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // "P5\n<width> <height>\n255\n" and the pixels.
    let mut head = out.stdout.splitn(4, |b| b.is_ascii_whitespace());
    assert_eq!(head.next(), Some(&b"P5"[..]));
    let mut number = || {
        std::str::from_utf8(head.next().unwrap())
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    let (width, height) = (number(), number());
    let pixels = out.stdout[out.stdout.len() - width * height..].to_vec();
    (width, height, pixels)
}

#[test]
fn every_label_can_be_scanned_and_read() {
    let sheet = sheet(17);
    let bytes = pdf(&sheet, None).unwrap();
    assert!(
        bytes.len() < 200_000,
        "the font is cut down: {} bytes",
        bytes.len()
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sheet.pdf");
    std::fs::write(&file, &bytes).unwrap();
    let mut scanned = Vec::new();
    for page in 1..=2 {
        let (width, height, pixels) = rendered(&file, page);
        // One label at a time, as a telephone is held before one.
        let pixel = |points: f32| (points * 200.0 / 72.0) as usize;
        let (label_width, label_height) = (pixel(page::LABEL.0), pixel(page::LABEL.1));
        for at in 0..page::COLUMNS * page::ROWS {
            let left = pixel(page::ORIGIN.0) + at % page::COLUMNS * label_width;
            let top = pixel(page::ORIGIN.1) + at / page::COLUMNS * label_height;
            assert!(
                left + label_width < width && top + label_height < height,
                "it fits on the page"
            );
            let mut image = rqrr::PreparedImage::prepare_from_greyscale(label_width, label_height, |x, y| {
                pixels[(top + y) * width + left + x]
            });
            for grid in image.detect_grids() {
                scanned.push(grid.decode().unwrap().1);
            }
        }
    }
    let mut wanted: Vec<_> = sheet.labels.iter().map(|l| l.qr.clone()).collect();
    wanted.sort();
    scanned.sort();
    assert_eq!(scanned, wanted);
    let text = Command::new("pdftotext")
        .args(["-layout"])
        .arg(&file)
        .arg("-")
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap().replace(' ', "");
    for name in [
        "班班通终端注册标签",
        "清水镇中心小学",
        "三年级(17)班",
        "共 17 张",
        "第 2/2 页",
        "2026-11-22 20:00",
    ] {
        assert!(text.contains(&name.replace(' ', "")), "{name} is not in:\n{text}");
    }
    for label in &sheet.labels {
        assert!(text.contains(&label.typed_code), "{}", label.typed_code);
    }
}

#[test]
fn a_font_that_is_not_there_or_knows_no_chinese_is_named_with_the_way_out() {
    let sheet = sheet(1);
    let error = pdf(&sheet, Some(Path::new("/nowhere/font.ttf")))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/nowhere/font.ttf") && error.contains("label_font"),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    let junk = folder.path().join("junk.ttf");
    std::fs::write(&junk, b"no font").unwrap();
    let error = pdf(&sheet, Some(&junk)).unwrap_err().to_string();
    assert!(error.contains("Chinese"), "{error}");
    assert!(LabelError::NoFont.to_string().contains("fonts-noto-cjk"));
}
