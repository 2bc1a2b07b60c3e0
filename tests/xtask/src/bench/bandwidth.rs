//! What boards say of a line beside what iperf3 says of it, over shaped lines; and what ports of 100 Mbit/s prove of one of 200.

use anyhow::Result;
use serde_json::Value;
use system_tests::{
    bandwidth::{Measured, Rates, SECONDS, iperf, line, payload, shape_port},
    stand::Bins,
};

use super::school::in_school;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Lines in Mbit/s.
    #[arg(long, value_delimiter = ',', default_value = "20,50,100,200")]
    lines: Vec<u32>,
}

pub(crate) fn run(bins: &Bins, options: &Options) -> Result<()> {
    in_school(3, line(20_000), async |school, folder| {
        for slow in [1, 2] {
            shape_port(school, slow, 100)?;
        }
        let measured = Measured::prepare(school, bins, folder, &[1_000, 100, 100]).await?;
        println!(
            "line      iperf3 down/up      ours down/up       error down/up   verdict against 200/40 Mbit/s"
        );
        for mbps in &options.lines {
            school.shape(line(mbps * 1_000))?;
            let peer = iperf(school, 0, SECONDS).await?;
            let test = measured.test(&[0], SECONDS).await?;
            row(*mbps, peer, payload(&test)?, &test);
        }
        school.shape(line(200_000))?;
        for (what, boards) in [
            ("one port of 100", &[1][..]),
            ("the other", &[2][..]),
            ("both together", &[1, 2][..]),
        ] {
            let test = measured.test(boards, SECONDS).await?;
            println!(
                "200 Mbit/s, {what}: {} (counted {} down, {} up kbit/s; ports {} Mbit/s; doubts {})",
                test["decision"]["verdict"],
                test["decision"]["down"]["counted_kbps"],
                test["decision"]["up"]["counted_kbps"],
                test["decision"]["ports_mbps"],
                test["decision"]["doubts"],
            );
        }
        Ok(())
    })
}

fn row(mbps: u32, peer: Rates, ours: Rates, test: &Value) {
    let error = |ours: f64, peer: f64| (ours - peer) / peer * 100.0;
    println!(
        "{mbps:>3} Mbit/s  {:>8.0} /{:>8.0}  {:>8.0} /{:>8.0}  {:>+5.1} % /{:>+5.1} %  {}",
        peer.down_kbps,
        peer.up_kbps,
        ours.down_kbps,
        ours.up_kbps,
        error(ours.down_kbps, peer.down_kbps),
        error(ours.up_kbps, peer.up_kbps),
        test["decision"]["verdict"]
    );
}
