//! `cargo run -p system-tests --example kit -- FOLDER`: makes the demo's lessons in a folder, to try an import by hand.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result};
use system_tests::kit;

fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .context("name the folder to make the lessons in")?;
    let made = kit::make(folder.as_ref(), &kit::Tools::find()?, &mut |what| {
        println!("{what}")
    })?;
    made.iter().for_each(|lesson| println!("{}", lesson.display()));
    Ok(())
}
