//! Turns the board's file into constants, and tells the linker where memory is.
#![allow(missing_docs)]

use std::{env, fmt::Write as _, fs, path::PathBuf, process::ExitCode};

use board_configs::{Amplifier, Board, Measure, Pin, SensorAt};

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-env-changed=BBT_BOARD");
    let name = env::var("BBT_BOARD").unwrap_or_else(|_| "lm3s6965evb-rev-a".to_owned());
    match generate(&name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(name: &str) -> Result<(), String> {
    let board = Board::builtin(name).map_err(|error| error.to_string())?;
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|error| error.to_string())?);
    let mut text = String::new();
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    let thermal = board.thermal;
    line(format!("pub(crate) const BOARD: &str = {:?};", board.name));
    line(format!(
        "pub(crate) const DERATE_C: i16 = {};",
        thermal.derate_at_c
    ));
    line(format!(
        "pub(crate) const SHUTDOWN_C: i16 = {};",
        thermal.shutdown_at_c
    ));
    line(format!("pub(crate) const CUT_C: i16 = {};", thermal.cut_at_c));
    line(format!(
        "pub(crate) const HYSTERESIS_C: i16 = {};",
        thermal.hysteresis_c
    ));
    line(format!(
        "pub(crate) const SENSOR_LOST_S: u32 = {};",
        thermal.sensor_lost_after_s
    ));
    let points = board.fan.iter().flat_map(|fan| &fan.curve);
    let points: Vec<String> = points
        .map(|point| format!("({}, {})", point.at_c, point.duty_percent))
        .collect();
    line(format!(
        "pub(crate) const FAN: &[(i16, u8)] = &[{}];",
        points.join(", ")
    ));
    let light = board.backlight.map_or_else(
        || "None".to_owned(),
        |b| {
            format!(
                "Some([{}, {}, {}, {}])",
                b.min_percent, b.max_percent, b.default_percent, b.derated_percent
            )
        },
    );
    line(format!("pub(crate) const BACKLIGHT: Option<[u8; 4]> = {light};"));
    for (what, measure) in [("TEMPERATURE", Measure::Temperature), ("CLOCK", Measure::Clock)] {
        let found = board.sensors.iter().find(|sensor| sensor.measures == measure);
        let address = match found.map(|sensor| &sensor.at) {
            Some(SensorAt::I2c { address, .. }) => format!("Some({address:#04x})"),
            _ => "None".to_owned(),
        };
        line(format!("pub(crate) const {what}_AT: Option<u8> = {address};"));
    }
    let (power, dog, energy) = (board.power, board.watchdog, board.energy);
    let [start, stop, rest] = [
        power.start_ms,
        u32::from(power.stop_s) * 1_000,
        u32::from(power.rest_s) * 1_000,
    ];
    line(format!(
        "pub(crate) const POWER_MS: [u32; 3] = [{start}, {stop}, {rest}];"
    ));
    line(format!(
        "pub(crate) const WATCHDOG_S: [u32; 3] = [{}, {}, {}];",
        dog.ask_s, dog.reset_s, dog.boot_s
    ));
    line(format!(
        "pub(crate) const RUNGS: [u8; 2] = [{}, {}];",
        dog.resets, dog.power_cycles
    ));
    let [standby, on, screen] = [energy.standby_mw, energy.on_mw, energy.screen_mw];
    line(format!(
        "pub(crate) const DRAW_MW: [u32; 3] = [{standby}, {on}, {screen}];"
    ));
    line(format!(
        "pub(crate) const AMPLIFIER: bool = {};",
        board.amplifier == Amplifier::Gpio
    ));
    let mut rails = Vec::new();
    for rail in &board.rails {
        let times = [rail.timeout_ms, rail.settle_ms, rail.fall_ms];
        rails.push(format!("({}, {times:?})", pin("rails", rail.pin)?));
    }
    line(format!(
        "pub(crate) const RAILS: &[(Pin, [u32; 3])] = &[{}];",
        rails.join(", ")
    ));
    let pins = board.pins;
    for (what, at) in [
        ("BUTTON", pins.button),
        ("LED", pins.led),
        ("RELAY", pins.relay),
        ("MUTE", pins.mute),
        ("SOC_RESET", pins.soc_reset),
        ("SOC_HALTED", pins.soc_halted),
    ] {
        let at = at.map(|at| pin(what, at)).transpose()?;
        let at = at.map_or_else(|| "None".to_owned(), |at| format!("Some({at})"));
        line(format!("pub(crate) const {what}: Option<Pin> = {at};"));
    }
    fs::write(out.join("board.rs"), text).map_err(|error| error.to_string())?;
    fs::copy("memory.x", out.join("memory.x")).map_err(|error| error.to_string())?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}

/// A pin as `chip.rs` makes it.
fn pin(what: &str, pin: Pin) -> Result<String, String> {
    match pin {
        Pin::Mcu {
            port: port @ 'A'..='G',
            number: number @ 0..=7,
        } => Ok(format!("Pin::new('{port}', {number})")),
        other => Err(format!(
            "{what}: {other} is no pin of this chip; its ports are A to G, its pins 0 to 7"
        )),
    }
}
