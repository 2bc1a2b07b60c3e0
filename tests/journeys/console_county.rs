//! Journey: a county of twelve schools and 300 boards by the pages of the console, one block for each part of the work: overview
//! and wall, devices, schools, lessons, incidents and orders, reports, rules and notification, exams and calendars, people and
//! system. Then every page is looked at in light and dark: axe-core, faults on the browser's console, nothing wider than its
//! window. At the end the console's disk dies, and the backup that was made by the page is put back and decided about by the page.
//!
//! Pictures of what was seen stay in the build folder (`tmp/console-county`); `BBT_SHOTS=1` takes one of every page at 1280 and
//! 1920, light and dark.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use system_tests::{
    county_day::{Size, prepare},
    stand::Bins,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_county_by_the_page() -> Result<()> {
    let size = Size {
        boards: 300,
        away: 12,
        every: Duration::from_secs(15),
        ramp: Duration::from_secs(3),
        shards: 1,
    };
    let bins = Bins::beside_the_test()?;
    let dir = tempfile::Builder::new().prefix("bbt-county-").tempdir()?;
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console-county");
    let _ = fs::remove_dir_all(&out);
    let mut county = prepare(&bins, dir.path(), &size).await?;
    let seen = county.by_the_page("day", &out).await?;
    county.judge(&seen).await?;
    let copy = out.join(seen["backup"].as_str().context("no backup was made")?);
    county.put_back(&copy).await?;
    county.by_the_page("restored", &out).await?;
    county.stand.process()?.check_alive()
}
