//! `cargo xtask mcu`: builds the board controller's program, says how large it is, and shows it in QEMU.
//!
//! The compiler: rustup's target where it is installed; else Debian's own Rust, unpacked below `.bbt` without touching
//! the system; else what `rustup target add` brings. `firmware/board` is a workspace of its own, so that whoever
//! builds the rest needs none of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    setup,
    sh::{answers, cargo, root, run, target_dir},
};

const TARGET: &str = "thumbv7m-none-eabi";
/// Debian's Rust, and its linker.
const PACKAGES: [&str; 7] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "libstd-rust-web-dev",
    "libstd-rust-web-1.96",
    "libllvm22",
    "lld-22",
];

const LINKER: &str = "rust-lld";

/// Where the compiler for the controller comes from.
enum Compiler {
    Rustup,
    /// Unpacked here; it has no core for this target, and builds one.
    Debian(PathBuf),
}

/// The journey that runs it at a real agent.
pub(crate) const JOURNEY: &str = "board_controller";

pub(crate) fn run_all() -> Result<()> {
    show(&made(&compiler()?)?)
}

/// As a part of all tests: a machine that has no compiler for it, and reaches none, tests the rest and is told so. Gives the
/// program.
pub(crate) fn in_test(notes: &mut Vec<String>) -> Result<Option<PathBuf>> {
    let program = for_journeys(notes)?;
    if let Some(program) = &program {
        show(program)?;
    }
    Ok(program)
}

/// The program alone, for [`JOURNEY`]; a machine that cannot build it is told so.
pub(crate) fn for_journeys(notes: &mut Vec<String>) -> Result<Option<PathBuf>> {
    match compiler() {
        Ok(compiler) => made(&compiler).map(Some),
        Err(error) => {
            notes.push(format!(
                "the board controller's program was NOT built, and the journey {JOURNEY} will not be shown: {error:#}"
            ));
            Ok(None)
        }
    }
}

fn made(compiler: &Compiler) -> Result<PathBuf> {
    setup::for_mcu()?;
    build(compiler)
}

fn show(program: &Path) -> Result<()> {
    println!("{}", size(program)?);
    run(cargo()
        .args([
            "run",
            "--quiet",
            "-p",
            "board-link",
            "--example",
            "emulated",
            "--",
        ])
        .arg(program))
}

fn compiler() -> Result<Compiler> {
    if rustup_has_it() {
        return Ok(Compiler::Rustup);
    }
    let folder = root().join(".bbt/mcu");
    if folder.join(LINKER).exists() || unpack(&folder).is_ok() {
        return Ok(Compiler::Debian(folder));
    }
    run(Command::new("rustup").args(["target", "add", TARGET])).context(
        "No compiler for the board controller: rustup could not add its target, and Debian's packages could not be \
         fetched; see that this machine reaches one of them, then run again",
    )?;
    Ok(Compiler::Rustup)
}

fn rustup_has_it() -> bool {
    answers("rustc", &["--print", "sysroot"])
        .is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir())
}

/// Fetches Debian's Rust and unpacks it: 150 MB to fetch, 1 GB on the disk.
fn unpack(folder: &Path) -> Result<()> {
    ensure!(answers("apt-get", &["--version"]).is_some(), "this is no Debian");
    println!("-- a compiler for the board controller (150 MB from Debian, once)");
    let debs = folder.join("debs");
    fs::create_dir_all(&debs)?;
    run(Command::new("apt-get")
        .arg("download")
        .args(PACKAGES)
        .current_dir(&debs))?;
    for deb in fs::read_dir(&debs)? {
        run(Command::new("dpkg").arg("-x").arg(deb?.path()).arg(folder))?;
    }
    // By its name the linker is told which of its languages to speak.
    std::os::unix::fs::symlink("usr/lib/llvm-22/bin/lld", folder.join(LINKER))?;
    fs::remove_dir_all(&debs)?;
    Ok(())
}

fn build(compiler: &Compiler) -> Result<PathBuf> {
    let target = target_dir().join("mcu");
    let mut build = cargo();
    build
        .current_dir(root().join("firmware/board"))
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(&target)
        // Ours are for Linux.
        .env_remove("RUSTFLAGS");
    if let Compiler::Debian(folder) = compiler {
        let libraries = ["usr/lib/x86_64-linux-gnu", "usr/lib/llvm-22/lib"].map(|lib| folder.join(lib));
        build
            .args([
                "-Zbuild-std=core,alloc",
                "-Zbuild-std-features=compiler-builtins-mem",
            ])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", folder.join("usr/bin/rustc"))
            .env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?)
            .env("CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER", folder.join(LINKER));
    }
    run(&mut build)?;
    Ok(target.join(TARGET).join("release/board"))
}

/// What the program takes of the chip.
fn size(program: &Path) -> Result<String> {
    let elf = fs::read(program).with_context(|| format!("Failed to read {}", program.display()))?;
    let half = |at: usize| {
        elf.get(at..at + 2)?
            .first_chunk()
            .map(|b| usize::from(u16::from_le_bytes(*b)))
    };
    let word = |at: usize| elf.get(at..at + 4)?.first_chunk().map(|b| u32::from_le_bytes(*b));
    let sections = || -> Option<(u32, u32)> {
        let (table, each, count) = (word(32)? as usize, half(46)?, half(48)?);
        let (mut flash, mut ram) = (0, 0);
        for i in 0..count {
            let at = table + i * each;
            let (kind, flags, bytes) = (word(at + 4)?, word(at + 8)?, word(at + 20)?);
            // 2: takes memory; 1: can be written; 8: has no bytes in the file.
            if flags & 2 != 0 {
                ram += if flags & 1 != 0 { bytes } else { 0 };
                flash += if kind == 8 { 0 } else { bytes };
            }
        }
        Some((flash, ram))
    };
    let Some((flash, ram)) = sections().filter(|(flash, _)| *flash > 0) else {
        bail!("{} is no program for the controller", program.display());
    };
    Ok(format!(
        "-- {flash} bytes of flash, {ram} of RAM before the stack"
    ))
}
