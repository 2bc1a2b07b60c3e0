//! Real media, and small edits of it: made once by ffmpeg, then left where they lie.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use system_tests::kit::find;
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

use super::Pair;

const STAMP: &str = "made-v1";
/// Bits a second of the videos.
const RATE: u32 = 10_000_000;

/// Makes the files that are not there yet.
/// Another `seed`: other pictures and sounds, another place of the cut.
pub(super) fn pairs(folder: &Path, mb: u32, seed: u32) -> Result<Vec<Pair>> {
    let pair = |edit, name: &'static str, what: &str| {
        let extension = name.rsplit('.').next().unwrap_or_default();
        Pair {
            edit,
            name,
            before: folder.join(format!("{what}-before.{extension}")),
            after: folder.join(format!("{what}-after.{extension}")),
        }
    };
    let pairs = vec![
        pair(
            "packed anew with today's times, one page and one picture changed",
            "练习.zip",
            "zip",
        ),
        pair("words changed on every fourth of its slides", "课件.pptx", "pptx"),
        pair(
            "a title in its metadata, moov at the front again",
            "微课.mp4",
            "meta",
        ),
        pair(
            "three seconds cut from the middle, streams copied",
            "实录.mp4",
            "cut",
        ),
    ];
    if folder.join(STAMP).exists() {
        return Ok(pairs);
    }
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    println!("making {} versions of {mb} MB", pairs.len() * 2);
    let ffmpeg = find("ffmpeg", "ffmpeg")?;
    let work = folder.join("work");
    fs::create_dir_all(&work)?;
    let media = media(&ffmpeg, &work, mb, seed)?;
    pack(&media, &pairs[0].before, 0)?;
    pack(&media, &pairs[0].after, 1)?;
    slides(&media, &pairs[1].before, 0)?;
    slides(&media, &pairs[1].after, 1)?;
    let seconds = mb * 8_000_000 / RATE;
    video(&ffmpeg, &pairs[2].before, seconds, 1 + seed * 100)?;
    let copy = |more: &[&str], from: &Path, to: &Path| {
        run(Command::new(&ffmpeg)
            .args(["-y", "-v", "error", "-i"])
            .arg(from)
            .args(["-c", "copy", "-movflags", "+faststart"])
            .args(more)
            .arg(to))
    };
    copy(
        &[
            "-metadata",
            "title=三角形的内角和（修订）",
            "-metadata",
            "comment=2024 年修订",
        ],
        &pairs[2].before,
        &pairs[2].after,
    )?;
    fs::copy(&pairs[2].before, &pairs[3].before)?;
    let (first, second, list) = (work.join("a.mp4"), work.join("b.mp4"), work.join("list.txt"));
    let cut = seconds / 2 + seed * 7 % (seconds / 3).max(1);
    let half = cut.to_string();
    copy(&["-t", &half], &pairs[3].before, &first)?;
    run(Command::new(&ffmpeg)
        .args(["-y", "-v", "error", "-ss", &(cut + 3).to_string(), "-i"])
        .arg(&pairs[3].before)
        .args(["-c", "copy"])
        .arg(&second))?;
    fs::write(&list, "file 'a.mp4'\nfile 'b.mp4'\n")?;
    run(Command::new(&ffmpeg)
        .args(["-y", "-v", "error", "-f", "concat", "-i"])
        .arg(&list)
        .args(["-c", "copy", "-movflags", "+faststart"])
        .arg(&pairs[3].after))?;
    fs::remove_dir_all(&work)?;
    fs::write(folder.join(STAMP), "")?;
    Ok(pairs)
}

/// Half of the bytes pictures, half of them clips.
struct Media {
    pictures: Vec<PathBuf>,
    clips: Vec<PathBuf>,
}

fn media(ffmpeg: &Path, work: &Path, mb: u32, seed: u32) -> Result<Media> {
    run(Command::new(ffmpeg)
        .args(["-y", "-v", "error", "-f", "lavfi", "-i"])
        .arg(format!(
            "testsrc2=s=2048x1152:r=1,noise=all_seed={seed}:alls=50:allf=t+u"
        ))
        .args(["-frames:v", "80", "-q:v", "4"])
        .arg(work.join("p%03d.jpg")))?;
    let mut pictures = Vec::new();
    let mut bytes = 0;
    for n in 1..=80 {
        let picture = work.join(format!("p{n:03}.jpg"));
        bytes += fs::metadata(&picture)?.len();
        pictures.push(picture);
        if bytes > u64::from(mb) * 500_000 {
            break;
        }
    }
    let left = u64::from(mb) * 1_000_000 - bytes.min(u64::from(mb) * 1_000_000);
    let seconds = u32::try_from(left * 8 / u64::from(RATE) / 5)?.max(2);
    let clips: Vec<_> = (0..5).map(|n| work.join(format!("clip{n}.mp4"))).collect();
    for (n, clip) in (10 + seed * 100..).zip(&clips) {
        video(ffmpeg, clip, seconds, n)?;
    }
    Ok(Media { pictures, clips })
}

/// H.264 with sound whose bytes nobody can press further, as a filmed lesson's.
fn video(ffmpeg: &Path, to: &Path, seconds: u32, seed: u32) -> Result<()> {
    let picture = format!(
        "testsrc2=s=1280x720:r=25:d={seconds},noise=all_seed={seed}:alls=30:allf=t,hue=h={}",
        seed * 17
    );
    let sound = format!("anoisesrc=d={seconds}:a=0.1:seed={seed}");
    let rate = RATE.to_string();
    run(Command::new(ffmpeg)
        .args([
            "-y", "-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound,
        ])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "50",
        ])
        .args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate])
        .args(["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart"])
        .arg(to))
}

/// An HTML5 exercise; the second version is packed on another day, with another page and another first picture.
fn pack(media: &Media, to: &Path, version: u8) -> Result<()> {
    let mut zip = Zip::new(to, DateTime::from_date_and_time(2024, 9, 1 + version, 8, 30, 10)?)?;
    zip.text("index.html", &page(0, 0))?;
    for n in 1..=40 {
        zip.text(
            &format!("pages/{n}.html"),
            &page(n, if n == 20 { version } else { 0 }),
        )?;
    }
    for (n, picture) in media.pictures.iter().enumerate() {
        let from = if n == 5 && version == 1 {
            &media.pictures[6]
        } else {
            picture
        };
        zip.file(&format!("img/{n}.jpg"), from)?;
    }
    for (n, clip) in media.clips.iter().enumerate() {
        zip.file(&format!("video/{n}.mp4"), clip)?;
    }
    zip.finish()
}

/// A presentation with each slide's media after it, as writers that walk the relations order it; its times are the fixed ones
/// that office programs write.
fn slides(media: &Media, to: &Path, version: u8) -> Result<()> {
    let mut zip = Zip::new(to, DateTime::default())?;
    let count = media.pictures.len();
    let parts: String = (1..=count)
        .map(|n| format!("<Override PartName=\"/ppt/slides/slide{n}.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.presentationml.slide+xml\"/>"))
        .collect();
    zip.text("[Content_Types].xml", &format!("<?xml version=\"1.0\"?><Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">{parts}</Types>"))?;
    zip.text("docProps/core.xml", &format!("<cp:coreProperties><cp:revision>{}</cp:revision><dcterms:modified>2024-09-0{}T08:30:10Z</dcterms:modified></cp:coreProperties>", 7 + version, 1 + version))?;
    zip.text("ppt/presentation.xml", "<p:presentation/>")?;
    for (n, picture) in (1..).zip(&media.pictures) {
        let edited = if n % 4 == 0 { version } else { 0 };
        zip.text(&format!("ppt/slides/slide{n}.xml"), &page(n, edited))?;
        zip.file(&format!("ppt/media/image{n}.jpg"), picture)?;
    }
    for (n, clip) in (1..).zip(&media.clips) {
        zip.file(&format!("ppt/media/media{n}.mp4"), clip)?;
    }
    zip.finish()
}

/// Text that packs as a page of text does.
fn page(number: usize, version: u8) -> String {
    let mut text = format!("<html><body><h1>第 {number} 页</h1>");
    for n in 0..60 {
        let word = (number * 7919 + n * 104_729) % 65_521;
        let edit = if n == 30 && version > 0 {
            "（已修改）"
        } else {
            ""
        };
        text += &format!("<p id=\"p{word}\">三角形的内角和是一百八十度，第 {word} 题{edit}。</p>");
    }
    text + "</body></html>"
}

struct Zip {
    zip: ZipWriter<File>,
    options: SimpleFileOptions,
}

impl Zip {
    fn new(to: &Path, time: DateTime) -> Result<Self> {
        Ok(Self {
            zip: ZipWriter::new(File::create(to)?),
            options: SimpleFileOptions::default().last_modified_time(time),
        })
    }

    fn text(&mut self, name: &str, text: &str) -> Result<()> {
        self.zip.start_file(name, self.options)?;
        Ok(self.zip.write_all(text.as_bytes())?)
    }

    fn file(&mut self, name: &str, from: &Path) -> Result<()> {
        self.zip
            .start_file(name, self.options.compression_method(CompressionMethod::Deflated))?;
        std::io::copy(&mut File::open(from)?, &mut self.zip)
            .with_context(|| format!("Failed to pack {}", from.display()))?;
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.zip.finish()?.sync_all()?;
        Ok(())
    }
}

fn run(command: &mut Command) -> Result<()> {
    let done = command.output().context("Failed to run ffmpeg")?;
    ensure!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(())
}
