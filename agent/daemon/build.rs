//! The date of the build, and the player's pages on their way into the program: each one packed with gzip where that makes
//! it smaller.
//!
//! `OUT_DIR/pages/gzip` holds the packed ones, `OUT_DIR/pages/plain` the rest; `player/pages.rs` embeds both. A page that
//! changed is a reason to build again, and one that is missing is said.

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};

const PARTS: [&str; 5] = ["index.html", "css", "js", "img", "vendor"];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = |name| env::var_os(name).map(PathBuf::from).ok_or("cargo sets it");
    let pages = folder("CARGO_MANIFEST_DIR")?.join("player-ui");
    let out = folder("OUT_DIR")?.join("pages");
    match fs::remove_dir_all(&out) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    for kind in ["gzip", "plain"] {
        fs::create_dir_all(out.join(kind))?;
    }
    for name in PARTS {
        // cargo builds each time when a named path does not exist, so only those that do are named, and their folder.
        if pages.join(name).exists() {
            println!("cargo::rerun-if-changed=player-ui/{name}");
            pack(&pages, Path::new(name), &out)?;
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    build_date()?;
    println!("cargo::rerun-if-changed=messages");
    if !pages.join("vendor").exists() {
        println!("cargo::rerun-if-changed=player-ui");
        println!(
            "cargo::warning=player-ui/vendor is not set up: this player will not open PDF files; run `cargo xtask setup`"
        );
    }
    Ok(())
}

/// The moment before which no device that runs this program can be, in seconds since 1970: `SOURCE_DATE_EPOCH` for a build
/// that can be repeated, else now.
fn build_date() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let seconds = match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text
            .trim()
            .parse::<u64>()
            .map_err(|_| format!("SOURCE_DATE_EPOCH is {text:?}; it must be seconds since 1970"))?,
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("cargo::rustc-env=BBT_BUILT_AT={seconds}");
    Ok(())
}

/// Packs a file, or a folder with all that is in it.
fn pack(pages: &Path, name: &Path, out: &Path) -> io::Result<()> {
    let from = pages.join(name);
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            pack(pages, &name.join(entry?.file_name()), out)?;
        }
        return Ok(());
    }
    let plain = fs::read(from)?;
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(&plain)?;
    let packed = packer.finish()?;
    let (kind, bytes) = if packed.len() < plain.len() {
        ("gzip", packed)
    } else {
        ("plain", plain)
    };
    let to = out.join(kind).join(name);
    to.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(to, bytes)
}
