//! A small kit of real lessons, made on the spot: slides and PDF by a browser, video and sound by ffmpeg.
//!
//! Made once per folder; a folder with its stamp is left alone. Nothing is downloaded.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

const STAMP: &str = "kit-v1";
const CIRCUIT: [(&str, &str); 3] = [
    ("index.html", include_str!("kit/circuit/index.html")),
    ("app.js", include_str!("kit/circuit/app.js")),
    ("style.css", include_str!("kit/circuit/style.css")),
];
const SLIDES_CSS: &str = include_str!("kit/slides.css");

/// Programs the kit is made with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// ffmpeg with libx264 and aac.
    pub ffmpeg: PathBuf,
    /// A Chromium for slides and PDF.
    pub chromium: PathBuf,
}

impl Tools {
    /// Finds both on the PATH.
    ///
    /// # Errors
    /// Names what is missing and how to get it.
    pub fn find() -> Result<Self> {
        Ok(Self {
            ffmpeg: find("ffmpeg", "ffmpeg")?,
            chromium: find("chromium", "chromium")?,
        })
    }
}

/// Finds a program on the PATH.
///
/// # Errors
/// Names the Debian package that has it.
pub fn find(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
        .with_context(|| {
            format!(
                "{program} is not installed; run `cargo xtask setup`, or `apt-get install {package}` as root"
            )
        })
}

/// Makes three lesson folders under `dir` and returns them; `say` hears what is being made.
///
/// # Errors
/// A tool fails, or the disk does.
pub fn make(dir: &Path, tools: &Tools, say: &mut dyn FnMut(&str)) -> Result<Vec<PathBuf>> {
    let lessons = ["math-4b-triangle", "chinese-3a-poem", "science-4b-circuit"].map(|name| dir.join(name));
    let stamp = dir.join(STAMP);
    if stamp.exists() {
        return Ok(lessons.to_vec());
    }
    for lesson in &lessons {
        fs::create_dir_all(lesson).with_context(|| format!("Failed to create {}", lesson.display()))?;
    }
    let work = dir.join("work");
    fs::create_dir_all(&work)?;
    say("数学：三角形的内角和（幻灯、视频、字幕、学习单）");
    triangle(&lessons[0], &work, tools)?;
    say("语文：古诗（朗读音频、配图、PDF）");
    poem(&lessons[1], &work, tools)?;
    say("科学：点亮小灯泡（HTML5 练习、图片、视频）");
    circuit(&lessons[2], &work, tools)?;
    fs::remove_dir_all(&work)?;
    fs::write(&stamp, "")?;
    Ok(lessons.to_vec())
}

fn triangle(lesson: &Path, work: &Path, tools: &Tools) -> Result<()> {
    let slides = [
        (
            "三角形的内角和",
            "四年级 下册 · 第五单元",
            "<svg viewBox='0 0 400 240'><polygon points='40,210 360,210 220,30'/></svg>",
        ),
        (
            "量一量",
            "用量角器量出三个角，再相加。",
            "<svg viewBox='0 0 400 240'><polygon points='40,210 360,210 220,30'/><text x='88' y='198'>45°</text><text x='278' y='198'>52°</text><text x='196' y='98'>83°</text></svg>",
        ),
        (
            "拼一拼",
            "把三个角剪下来，拼在一起。",
            "<svg viewBox='0 0 400 240'><line x1='20' y1='200' x2='380' y2='200'/><path d='M200 200 L100 60 M200 200 L300 60'/></svg>",
        ),
        (
            "结论",
            "三角形的内角和是 180°。",
            "<svg viewBox='0 0 400 240'><text x='90' y='150' class='big'>180°</text></svg>",
        ),
    ];
    let mut images = Vec::new();
    for (n, (title, text, picture)) in slides.iter().enumerate() {
        let image = work.join(format!("triangle-{n}.png"));
        screenshot(tools, work, &slide(title, text, picture), &image)?;
        images.push(image);
    }
    video(tools, &images, 15, &lesson.join("微课.mp4"))?;
    let cues = [
        "我们来研究三角形的内角和。",
        "先量一量每个角是多少度。",
        "再把三个角拼在一起看看。",
        "三角形的内角和是一百八十度。",
    ];
    let mut vtt = String::from("WEBVTT\n\n");
    for (n, cue) in cues.iter().enumerate() {
        vtt += &format!("00:{:02}.500 --> 00:{:02}.500\n{cue}\n\n", n * 15, n * 15 + 14);
    }
    fs::write(lesson.join("微课.zh-CN.vtt"), vtt)?;
    let sheet = "<h1>学习单：三角形的内角和</h1><p>1. 画三个不同的三角形，量出每个角。</p><table><tr><th>三角形</th><th>∠1</th><th>∠2</th><th>∠3</th><th>和</th></tr><tr><td>锐角</td><td></td><td></td><td></td><td></td></tr><tr><td>直角</td><td></td><td></td><td></td><td></td></tr><tr><td>钝角</td><td></td><td></td><td></td><td></td></tr></table><p>2. 我发现：________________</p><div class='page'></div><h1>想一想</h1><p>四边形的内角和是多少度？说说你的理由。</p>";
    pdf(tools, work, sheet, &lesson.join("学习单.pdf"))?;
    meta(
        lesson,
        "math-4b-triangle",
        "三角形的内角和",
        "数学",
        "四年级",
        "下册",
        "第五单元 三角形",
        "第1课时",
        "[[items]]\nfile = \"微课.mp4\"\ntitle = \"微课：三角形的内角和\"\n\n[[items]]\nfile = \"学习单.pdf\"\ntitle = \"学习单\"\n",
    )
}

fn poem(lesson: &Path, work: &Path, tools: &Tools) -> Result<()> {
    let body = slide(
        "望庐山瀑布",
        "日照香炉生紫烟，遥看瀑布挂前川。<br>飞流直下三千尺，疑是银河落九天。",
        "<svg viewBox='0 0 400 240'><path d='M20 220 L120 60 L170 130 L250 20 L380 220 Z'/><line x1='225' y1='60' x2='225' y2='215' class='water'/></svg>",
    );
    screenshot(tools, work, &body, &lesson.join("插图.png"))?;
    let jpeg = lesson.join("板书.jpg");
    run(Command::new(&tools.ffmpeg)
        .args(["-y", "-v", "error", "-i"])
        .arg(lesson.join("插图.png"))
        .args(["-q:v", "3"])
        .arg(&jpeg))?;
    // A guqin-like line of plucked tones: enough for sound, seeking and sentence repeat.
    let tone =
        "aevalsrc='0.5*exp(-3*mod(t,0.5))*sin(2*PI*t*(220*pow(2,floor(mod(t*2,5))*2/12)))':s=44100:d=40";
    run(Command::new(&tools.ffmpeg)
        .args([
            "-y",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            tone,
            "-c:a",
            "libmp3lame",
            "-b:a",
            "96k",
        ])
        .arg(lesson.join("配乐.mp3")))?;
    pdf(
        tools,
        work,
        "<h1>望庐山瀑布</h1><p class='poem'>〔唐〕李白</p><p class='poem'>日照香炉生紫烟，<br>遥看瀑布挂前川。<br>飞流直下三千尺，<br>疑是银河落九天。</p><h2>注释</h2><p>香炉：指香炉峰。遥看：从远处看。川：河流。</p>",
        &lesson.join("课文.pdf"),
    )?;
    meta(
        lesson,
        "chinese-3a-poem",
        "望庐山瀑布",
        "语文",
        "三年级",
        "上册",
        "第六单元 古诗",
        "第2课时",
        "",
    )
}

fn circuit(lesson: &Path, work: &Path, tools: &Tools) -> Result<()> {
    let file = fs::File::create(lesson.join("点亮小灯泡.zip"))?;
    let mut zip = zip::ZipWriter::new(file);
    for (name, text) in CIRCUIT {
        zip.start_file(name, zip::write::SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish()?.sync_all()?;
    let body = slide(
        "点亮小灯泡",
        "电流从电池正极出发，经过灯泡，回到负极。",
        "<svg viewBox='0 0 400 240'><rect x='60' y='60' width='280' height='140' class='wire'/><circle cx='200' cy='60' r='32' class='bulb'/></svg>",
    );
    let image = lesson.join("电路图.png");
    screenshot(tools, work, &body, &image)?;
    video(tools, std::slice::from_ref(&image), 20, &lesson.join("演示.mp4"))?;
    meta(
        lesson,
        "science-4b-circuit",
        "点亮小灯泡",
        "科学",
        "四年级",
        "下册",
        "第二单元 电路",
        "第1课时",
        "",
    )
}

#[expect(
    clippy::too_many_arguments,
    reason = "the fields of the national model, in its order"
)]
fn meta(
    lesson: &Path,
    id: &str,
    title: &str,
    subject: &str,
    grade: &str,
    volume: &str,
    chapter: &str,
    period: &str,
    items: &str,
) -> Result<()> {
    let text = format!(
        "id = \"{id}\"\n\n[meta]\ntitle = \"{title}\"\nstage = \"小学\"\nsubject = \"{subject}\"\nedition = \"人教版\"\ngrade = \"{grade}\"\nvolume = \"{volume}\"\nchapter = \"{chapter}\"\nperiod = \"{period}\"\n\n{items}"
    );
    fs::write(lesson.join("lesson.toml"), text)?;
    Ok(())
}

fn slide(title: &str, text: &str, picture: &str) -> String {
    format!("<section><div><h1>{title}</h1><p>{text}</p></div>{picture}</section>")
}

fn page(work: &Path, body: &str) -> Result<PathBuf> {
    let file = work.join("page.html");
    let html = format!(
        "<!doctype html><html lang=zh-CN><meta charset=utf-8><style>{SLIDES_CSS}</style><body>{body}</body></html>"
    );
    fs::write(&file, html)?;
    Ok(file)
}

/// Flags without which a browser started here would look for the outside world.
pub const CHROMIUM_FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

fn chromium(tools: &Tools, work: &Path) -> Command {
    let mut command = Command::new(&tools.chromium);
    command
        .args(CHROMIUM_FLAGS)
        .arg(format!("--user-data-dir={}", work.join("profile").display()));
    command
}

fn screenshot(tools: &Tools, work: &Path, body: &str, to: &Path) -> Result<()> {
    let page = page(work, body)?;
    let mut command = chromium(tools, work);
    command.args(["--window-size=1280,720", "--hide-scrollbars"]);
    command.arg(format!("--screenshot={}", to.display())).arg(page);
    run_for(&mut command, to)
}

fn pdf(tools: &Tools, work: &Path, body: &str, to: &Path) -> Result<()> {
    let page = page(work, &format!("<article>{body}</article>"))?;
    let mut command = chromium(tools, work);
    command
        .arg("--no-pdf-header-footer")
        .arg(format!("--print-to-pdf={}", to.display()))
        .arg(page);
    run_for(&mut command, to)
}

/// Slides of `seconds` each with a slow zoom and a soft tone, H.264 High / AAC, 1280×720, 25 frames a second.
fn video(tools: &Tools, images: &[PathBuf], seconds: u32, to: &Path) -> Result<()> {
    let frames = seconds * 25;
    let mut command = Command::new(&tools.ffmpeg);
    command.args(["-y", "-v", "error"]);
    for image in images {
        command.arg("-i").arg(image);
    }
    let tone = format!(
        "sine=frequency=392:duration={}:sample_rate=44100,volume=0.2",
        seconds as usize * images.len()
    );
    command.args(["-f", "lavfi", "-i", &tone]);
    let mut filter = String::new();
    for n in 0..images.len() {
        filter += &format!("[{n}:v]zoompan=z='1+0.0002*on':d={frames}:s=1280x720:fps=25[v{n}];");
    }
    for n in 0..images.len() {
        filter += &format!("[v{n}]");
    }
    filter += &format!("concat=n={}:v=1:a=0,format=yuv420p[v]", images.len());
    let sound = format!("{}:a", images.len());
    command.args(["-filter_complex", &filter, "-map", "[v]", "-map", &sound]);
    command.args([
        "-c:v",
        "libx264",
        "-profile:v",
        "high",
        "-level",
        "4.1",
        "-preset",
        "veryfast",
        "-crf",
        "20",
    ]);
    command.args([
        "-g",
        "50",
        "-c:a",
        "aac",
        "-b:a",
        "96k",
        "-shortest",
        "-movflags",
        "+faststart",
    ]);
    run(command.arg(to))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command
        .output()
        .with_context(|| format!("Failed to start {name}"))?;
    if !done.status.success() {
        bail!(
            "{name} failed ({}): {}",
            done.status,
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    Ok(())
}

fn run_for(command: &mut Command, made: &Path) -> Result<()> {
    run(command)?;
    let size = fs::metadata(made).map(|m| m.len()).unwrap_or(0);
    if size == 0 {
        bail!("the browser did not make {}", made.display());
    }
    Ok(())
}

/// Copies `from` to `to` and lengthens it by a `free` box of random bytes: a valid MP4 of any size.
///
/// # Errors
/// The disk fails, or `extra_bytes` is over 4 GiB.
pub fn lengthen_mp4(from: &Path, to: &Path, extra_bytes: u32, seed: u64) -> Result<()> {
    fs::copy(from, to)?;
    let mut file = fs::OpenOptions::new().append(true).open(to)?;
    let size = extra_bytes.checked_add(8).context("extra_bytes is over 4 GiB")?;
    file.write_all(&size.to_be_bytes())?;
    file.write_all(b"free")?;
    let mut state = seed | 1;
    let mut left = extra_bytes as usize;
    while left > 0 {
        let block: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .take(left.min(1 << 20))
        .collect();
        file.write_all(&block)?;
        left -= block.len();
    }
    file.sync_all()?;
    Ok(())
}
