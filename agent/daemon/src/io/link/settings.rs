//! A board's file in the words of `board-core`, for a board whose core runs inside the agent.

use anyhow::Context;
use board_configs::{Amplifier, AtShutdown, Board, Measure};
use board_core::{
    BacklightRange, Cooling, FanCurve, LightCurve, Parts, PowerDraw, PowerTimes, Rail, RailPlan, Settings,
    Span, ThermalLimits, WatchdogTimes,
};
use board_link::{CentiCelsius, Identity, Percent, UnixSeconds, label};

/// Between two reports of the state: the reader is in the same process, and each one wakes it.
const REPORT_EVERY: Span = Span::from_secs(60);

/// The board as its core must know it.
///
/// # Errors
/// A file that passed its checks has none; what `board-core` says is told all the same.
pub fn settings(board: &Board) -> anyhow::Result<Settings> {
    let celsius = |degrees: u8| CentiCelsius::from_celsius(i16::from(degrees));
    let percent = |share: u8| Percent::new(share).context("a share is above 100");
    let curve = match &board.fan {
        None => None,
        Some(fan) => {
            let points: Result<Vec<_>, anyhow::Error> = fan
                .curve
                .iter()
                .map(|point| Ok((celsius(point.at_c), percent(point.duty_percent)?)))
                .collect();
            Some(FanCurve::new(&points?).context("fan.curve")?)
        }
    };
    let thermal = board.thermal;
    let limits = ThermalLimits::new(
        celsius(thermal.derate_at_c),
        celsius(thermal.shutdown_at_c),
        celsius(thermal.cut_at_c),
        celsius(thermal.hysteresis_c),
        Span::from_secs(u32::from(thermal.sensor_lost_after_s)),
    )
    .context("thermal")?;
    let backlight = match &board.backlight {
        None => None,
        Some(light) => Some(BacklightRange {
            min: percent(light.min_percent)?,
            max: percent(light.max_percent)?,
            initial: percent(light.default_percent)?,
            derated: percent(light.derated_percent)?,
        }),
    };
    let light = match &board.backlight {
        Some(light) if !light.ambient.is_empty() => {
            let points: Result<Vec<_>, anyhow::Error> = light
                .ambient
                .iter()
                .map(|point| Ok((point.lux, percent(point.percent)?)))
                .collect();
            Some(LightCurve::new(&points?).context("backlight.ambient")?)
        }
        _ => None,
    };
    let rails: Vec<_> = board
        .rails
        .iter()
        .map(|rail| Rail {
            good_within: Span::from_ms(u32::from(rail.timeout_ms)),
            settle: Span::from_ms(u32::from(rail.settle_ms)),
            fall: Span::from_ms(u32::from(rail.fall_ms)),
        })
        .collect();
    let rails = if rails.is_empty() {
        RailPlan::one(Span::from_ms(board.power.start_ms))
    } else {
        RailPlan::new(&rails).context("rails")?
    };
    let watchdog = board.watchdog;
    let measured = |what| board.sensors.iter().any(|sensor| sensor.measures == what);
    Ok(Settings {
        identity: Identity {
            board: label(&board.name),
            firmware: label(env!("CARGO_PKG_VERSION")),
        },
        power: PowerTimes {
            start: Span::from_ms(board.power.start_ms),
            stop: Span::from_secs(u32::from(board.power.stop_s)),
            rest: Span::from_secs(u32::from(board.power.rest_s)),
        },
        watchdog: WatchdogTimes {
            ask: Span::from_secs(u32::from(watchdog.ask_s)),
            reset: Span::from_secs(u32::from(watchdog.reset_s)),
            boot: Span::from_secs(u32::from(watchdog.boot_s)),
            max_resets: watchdog.resets,
            max_cycles: watchdog.power_cycles,
        },
        cooling: Some(Cooling { limits, fan: curve }),
        backlight,
        amplifier: board.amplifier == Amplifier::Gpio,
        rtc: measured(Measure::Clock),
        report_every: REPORT_EVERY,
        parts: Parts {
            rails,
            light,
            meter: measured(Measure::Power),
            draw: PowerDraw {
                standby_mw: board.energy.standby_mw,
                on_mw: board.energy.on_mw,
                screen_mw: board.energy.screen_mw,
            },
            tachometer: false,
            button: None,
            led: false,
            relays: 0,
            image_bytes: 0,
            built: UnixSeconds(crate::clock::built().as_second()),
            ..Parts::default()
        },
    })
}

/// Whether the agent stops the machine when a board without a board controller is too hot.
pub(super) fn stops_when_hot(board: &Board) -> bool {
    board.thermal.at_shutdown == AtShutdown::Stop
}

#[cfg(test)]
mod tests {
    use board_configs::builtin_names;

    use super::*;

    #[test]
    fn every_board_that_ships_is_one_that_the_core_takes() {
        for name in builtin_names() {
            let board = Board::builtin(name).unwrap();
            let settings = settings(&board).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            assert_eq!(settings.identity.board.as_str(), name);
        }
        let hot = |name| stops_when_hot(&Board::builtin(name).unwrap());
        assert!(hot("arm-box-rev-a") && !hot("generic-box-rev-a"));
    }
}
