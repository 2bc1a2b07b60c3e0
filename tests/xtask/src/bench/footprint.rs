//! The agent at rest: what it costs a 1 GiB board to hold 500 lessons.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use system_tests::stand::{Bins, until};

use super::{
    median,
    process::{processor_s, status_kib},
    ready_classroom,
};

pub(crate) async fn run(bins: &Bins, folder: &Path, lessons: usize, rest_s: u64) -> Result<()> {
    for name in [
        "lessons",
        "console",
        "console.unlock",
        "console.offline-root",
        "classroom",
    ] {
        let path = folder.join(name);
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
    make_lessons(&folder.join("lessons"), lessons)?;
    let (_console, mut classroom, took) = ready_classroom(bins, folder).await?;
    println!("{lessons} lessons ready in {:.1} s", took.as_secs_f64());

    let mut first_page = Vec::new();
    for _ in 0..5 {
        classroom.kill();
        let start = Instant::now();
        classroom.start()?;
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
        until("the player's page", Duration::from_secs(30), async || {
            Ok(client
                .get(classroom.url())
                .send()
                .await
                .ok()
                .filter(|a| a.status().is_success()))
        })
        .await?;
        first_page.push(start.elapsed().as_secs_f64());
    }

    // Connected, everything reported, nothing to do.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let pid = classroom.process()?.pid();
    let before = processor_s(pid)?;
    let mut resident = Vec::new();
    let rest = Instant::now();
    while rest.elapsed() < Duration::from_secs(rest_s) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        resident.push(status_kib(pid, "VmRSS:")? / 1024.0);
    }
    let spent = processor_s(pid)? - before;
    let size = fs::metadata(&bins.agent)?.len() as f64 / f64::from(1 << 20);
    println!("\nagent at rest, {lessons} lessons, {rest_s} s (release build):");
    println!(
        "  resident memory   {:6.1} MiB median, {:.1} MiB peak since start (budget 24)",
        median(&mut resident),
        status_kib(pid, "VmHWM:")? / 1024.0
    );
    println!(
        "  processor time    {:6.2} s/h (budget 10)",
        spent * 3600.0 / rest.elapsed().as_secs_f64()
    );
    println!("  binary            {size:6.1} MiB (budget 12)");
    println!(
        "  first page after  {:6.2} s median of 5 starts (budget 1.0)",
        median(&mut first_page)
    );
    Ok(())
}

/// Lessons of one picture each, no two alike.
fn make_lessons(folder: &Path, count: usize) -> Result<()> {
    let ffmpeg = system_tests::kit::find("ffmpeg", "ffmpeg")?;
    for n in 0..count {
        let lesson = folder.join(format!("lesson-{n:04}"));
        fs::create_dir_all(&lesson)?;
        let text = format!(
            "id = \"bench-{n:04}\"\n[meta]\ntitle = \"第 {n} 课\"\nstage = \"小学\"\nsubject = \"{}\"\nedition = \"人教版\"\ngrade = \"{}年级\"\nvolume = \"上册\"\nchapter = \"第{}单元\"\nperiod = \"第1课时\"\n",
            ["语文", "数学", "英语", "科学"][n % 4],
            ["一", "二", "三", "四", "五", "六"][n % 6],
            n % 8 + 1,
        );
        fs::write(lesson.join("lesson.toml"), text)?;
        let source = format!("color=c=0x{:06x}:s=320x180:d=1", (n * 7919) % 0xff_ffff);
        let done = std::process::Command::new(&ffmpeg)
            .args([
                "-y",
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                &source,
                "-frames:v",
                "1",
            ])
            .arg(lesson.join("图.png"))
            .status()?;
        anyhow::ensure!(done.success(), "ffmpeg could not make a picture");
    }
    Ok(())
}
