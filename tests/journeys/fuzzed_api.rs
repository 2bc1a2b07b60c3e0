//! Journey: schemathesis as everybody against a console with two counties, with few cases for each operation and always the
//! same ones. `cargo xtask schemathesis` is the long run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;

use anyhow::{Result, ensure};
use system_tests::{
    fuzz::{self, Options},
    stand::Bins,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_keeps_its_word_to_everybody() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let dir = tempfile::Builder::new().prefix("bbt-fuzz-").tempdir()?;
    let options = Options {
        roles: Vec::new(),
        examples: 2,
        coverage: false,
        seed: None,
        at_once: 2,
    };
    let turns = fuzz::run(&Bins::beside_the_test()?, &root, dir.path(), &options).await?;
    fuzz::print(&turns);
    ensure!(turns.len() == fuzz::everybody().len());
    ensure!(
        turns.iter().all(|turn| turn.clean),
        "schemathesis found something, see above"
    );
    // That they came in at all, and that foreign ids were tried.
    for turn in turns.iter().filter(|turn| turn.role != "nobody") {
        let of = |name: &str| turn.counts.get(name).copied().unwrap_or(0);
        ensure!(of("2xx") > 50, "{} came in {} times only", turn.role, of("2xx"));
        ensure!(
            turn.role == "install" || of("with a foreign id") > 50,
            "{}",
            turn.role
        );
    }
    Ok(())
}
