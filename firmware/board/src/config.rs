//! The board's file, as the core wants it.

use board_core::{
    BacklightRange, ButtonTimes, Cooling, FanCurve, Identity, MAX_RAILS, Parts, PowerDraw, PowerTimes, Rail,
    RailPlan, Settings, Span, ThermalLimits, WatchdogTimes,
};
use board_link::{CentiCelsius, Percent, UnixSeconds, label};
use heapless::Vec;

use crate::chip::Pin;

include!(concat!(env!("OUT_DIR"), "/board.rs"));

/// 2026-11-23T00:00:00Z: no clock is right that says an earlier time.
const BUILT: UnixSeconds = UnixSeconds(1_795_392_000);

/// The settings of this board.
pub(crate) fn settings() -> Settings {
    let [start, stop, rest] = POWER_MS;
    let [ask, reset, boot] = WATCHDOG_S;
    let [max_resets, max_cycles] = RUNGS;
    let [standby_mw, on_mw, screen_mw] = DRAW_MW;
    Settings {
        identity: Identity {
            board: label(BOARD),
            firmware: label(env!("CARGO_PKG_VERSION")),
        },
        power: PowerTimes {
            start: Span::from_ms(start),
            stop: Span::from_ms(stop),
            rest: Span::from_ms(rest),
        },
        watchdog: WatchdogTimes {
            ask: Span::from_secs(ask),
            reset: Span::from_secs(reset),
            boot: Span::from_secs(boot),
            max_resets,
            max_cycles,
        },
        cooling: cooling(),
        backlight: BACKLIGHT.map(|[min, max, initial, derated]| BacklightRange {
            min: percent(min),
            max: percent(max),
            initial: percent(initial),
            derated: percent(derated),
        }),
        amplifier: AMPLIFIER,
        rtc: CLOCK_AT.is_some(),
        report_every: Span::from_secs(10),
        parts: Parts {
            rails: rails(),
            draw: PowerDraw {
                standby_mw,
                on_mw,
                screen_mw,
            },
            button: BUTTON.map(|_| ButtonTimes::default()),
            led: LED.is_some(),
            relays: u8::from(RELAY.is_some()),
            built: BUILT,
            ..Parts::default()
        },
    }
}

/// Limits were checked when the file was read; should they not hold here, the board has no thermometer to trust,
/// and says so in its capabilities.
fn cooling() -> Option<Cooling> {
    let c = CentiCelsius::from_celsius;
    let lost = Span::from_secs(SENSOR_LOST_S);
    let limits = ThermalLimits::new(c(DERATE_C), c(SHUTDOWN_C), c(CUT_C), c(HYSTERESIS_C), lost).ok()?;
    let points: Vec<_, 8> = FAN.iter().map(|(at, duty)| (c(*at), percent(*duty))).collect();
    TEMPERATURE_AT?;
    Some(Cooling {
        limits,
        fan: FanCurve::new(&points).ok(),
    })
}

fn rails() -> RailPlan {
    let rails: Vec<Rail, MAX_RAILS> = RAILS
        .iter()
        .map(|(_, [timeout, settle, fall])| Rail {
            good_within: Span::from_ms(*timeout),
            settle: Span::from_ms(*settle),
            fall: Span::from_ms(*fall),
        })
        .collect();
    // A file without rails is one whose board has a single switch.
    RailPlan::new(&rails).unwrap_or_else(|_| RailPlan::one(Span::from_secs(1)))
}

fn percent(share: u8) -> Percent {
    Percent::new(share).unwrap_or(Percent::FULL)
}
