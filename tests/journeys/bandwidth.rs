//! Journey: the line of a school is measured by its boards. What they say is what iperf3 says; a port of 100 Mbit/s never proves a
//! line of 200, two of them together do; a line that is too slow is found to be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "common.rs"]
mod common;
mod netschool;

use anyhow::{Result, ensure};
use netschool::{at_console, network, scratch};
use system_tests::{
    bandwidth::{Measured, iperf, line, payload, shape_port},
    netns::School,
    stand::Bins,
};

/// Each way; one of them is not counted.
const SECONDS: u32 = 5;
/// Of figures of two measurements of one line.
const MOST_ERROR: f64 = 0.05;

#[test]
fn boards_measure_the_line_and_their_ports_bound_what_they_prove() -> Result<()> {
    // Board 0 has a fast port, 1 and 2 have slow ones.
    let school = match network(|| School::build(3, line(50_000))) {
        Ok(school) => school,
        Err(why) => {
            println!("NOT SHOWN: what a school's line carries; {why}");
            return Ok(());
        }
    };
    for slow in [1, 2] {
        shape_port(&school, slow, 100)?;
    }
    let dir = scratch()?;
    at_console(&school, async || {
        let bins = Bins::beside_the_test()?;
        let measured = Measured::prepare(&school, &bins, dir.path(), &[1_000, 100, 100]).await?;

        // 50 Mbit/s of 200: the fast port would have carried it, and so would the slow one.
        let peer = iperf(&school, 0, SECONDS).await?;
        let test = measured.test(&[0], SECONDS).await?;
        let ours = payload(&test)?;
        println!("50 Mbit/s: iperf3 {peer:?}, ours {ours:?}");
        for (ours, peer) in [(ours.down_kbps, peer.down_kbps), (ours.up_kbps, peer.up_kbps)] {
            let error = (ours - peer).abs() / peer;
            ensure!(
                error <= MOST_ERROR,
                "{ours} beside {peer}: {error:.3}\n{}",
                measured.logs()
            );
        }
        ensure!(test["decision"]["verdict"] == "not_met", "{test:#}");

        // A line of 200 that only slow ports look at.
        school.shape(line(200_000))?;
        let alone = measured.test(&[1], SECONDS).await?;
        println!("one port of 100: {}", alone["decision"]);
        ensure!(
            alone["decision"]["down"]["verdict"] == "port_cannot_prove",
            "{alone:#}"
        );
        ensure!(alone["decision"]["verdict"] != "met", "{alone:#}");
        let pair = measured.test(&[1, 2], SECONDS).await?;
        println!("two ports of 100: {}", pair["decision"]);
        ensure!(
            pair["decision"]["down"]["verdict"] == "met",
            "{pair:#}\n{}",
            measured.logs()
        );
        let boards = pair["boards"].as_array().map_or(0, Vec::len);
        ensure!(boards == 2 && pair["decision"]["ports_mbps"] == 200, "{pair:#}");
        Ok(())
    })
}
