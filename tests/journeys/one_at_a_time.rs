//! Journey: what must not run twice does not, and says why and what to do.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;

use anyhow::{Result, ensure};
use common::County;
use system_tests::stand::{Classroom, ConsoleStand, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn second_console_second_agent_and_taken_port() -> Result<()> {
    let mut county = County::start(None).await?;
    county.add_classroom("").await?;

    let second = county.stand.admin(&["serve"]).unwrap_err().to_string();
    println!("second console: {second}");
    ensure!(
        second.contains(county.stand.data.to_str().unwrap()),
        "the folder is not named: {second}"
    );
    ensure!(
        second.contains(&county.stand.process()?.pid().to_string()),
        "the holder is not named: {second}"
    );

    let taken = [county.stand.web, free_port()?, free_port()?];
    let other = ConsoleStand::prepare(
        &county.bins,
        &county.dir.path().join("other"),
        Some(taken),
        "another 4242",
    )?;
    let error = other.admin(&["serve"]).unwrap_err().to_string();
    println!("taken port: {error}");
    ensure!(
        error.contains(&county.stand.web.to_string()) && error.contains("listen_web"),
        "{error}"
    );
    let taken = [free_port()?, free_port()?, county.stand.mqtt];
    let other = ConsoleStand::prepare(
        &county.bins,
        &county.dir.path().join("third"),
        Some(taken),
        "another 4242",
    )?;
    let error = other.admin(&["serve"]).unwrap_err().to_string();
    println!("taken MQTT port: {error}");
    ensure!(
        error.contains(&county.stand.mqtt.to_string()) && error.contains("listen_mqtt"),
        "{error}"
    );

    let first = &county.classrooms[0];
    let twin = Classroom::prepare(
        &county.bins,
        &county.dir.path().join("twin"),
        free_port()?,
        "TWIN",
        "",
    )?;
    let config = fs::read_to_string(twin.dir.join("agent.toml"))?;
    let mine = format!("{:?}", first.dir.join("data"));
    fs::write(
        twin.dir.join("agent.toml"),
        config.replace(&format!("{:?}", twin.dir.join("data")), &mine),
    )?;
    let (code, out, err) = twin.once(&["run"], &[])?;
    println!("second agent: {out}{err}");
    ensure!(code != 0, "two agents run on one folder");
    ensure!(
        err.contains(first.dir.join("data").to_str().unwrap()),
        "the folder is not named: {err}"
    );
    county.classrooms[0].process()?.check_alive()
}
