//! Lists `boards/` for the program, so that a new board is one new file.
#![allow(clippy::expect_used)] // a build script has nobody to hand an error to

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=boards");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo names the crate's folder");
    let boards = Path::new(&root).join("boards");
    let mut files: Vec<_> = fs::read_dir(&boards)
        .expect("board-configs/boards can be listed")
        .map(|entry| entry.expect("board-configs/boards can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();

    let mut table = String::from("[\n");
    for file in &files {
        let name = file
            .file_stem()
            .expect("a listed file has a name")
            .to_string_lossy();
        writeln!(
            table,
            "    ({name:?}, include_str!({:?})),",
            file.display().to_string()
        )
        .expect("memory is writable");
    }
    table.push(']');
    let out = env::var("OUT_DIR").expect("cargo names an output folder");
    fs::write(Path::new(&out).join("builtin.rs"), table).expect("the output folder is writable");
}
