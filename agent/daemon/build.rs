//! The player's pages are embedded: a page that changed is a reason to build again, and one that is missing is said.

use std::{env, path::PathBuf};

fn main() {
    let pages = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("player-ui");
    for name in ["index.html", "css", "js", "img", "vendor"] {
        // cargo builds each time when a named path does not exist, so only those that do are named, and their folder.
        if pages.join(name).exists() {
            println!("cargo::rerun-if-changed=player-ui/{name}");
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=messages");
    if !pages.join("vendor").exists() {
        println!("cargo::rerun-if-changed=player-ui");
        println!(
            "cargo::warning=player-ui/vendor is not set up: this player will not open PDF files; run `cargo xtask setup`"
        );
    }
}
