//! What health costs a line in a month, with the messages as they are really packed.

use agent_core::{
    Millis,
    health::{
        bands::Bands,
        budget::{Budget, MONTH_BYTES, Traffic},
    },
};
use contract::health::Readings;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use contract::id::BootId;

use super::*;

/// A board that is used: lessons in six hours of the day, its processor and memory restless all the time.
fn look(second: u64, used: bool, dice: &mut u64) -> Readings {
    let mut random = |most: u64| {
        *dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*dice >> 33) % most
    };
    let busy = if used { 35 } else { 4 };
    Readings {
        cpu_percent: Some((busy + random(if used { 40 } else { 5 })) as f32 + 0.37),
        load_1m: Some((busy as f32 / 20.0) + random(100) as f32 / 100.0),
        memory_total_bytes: Some(2_068_312_064),
        memory_available_bytes: Some(1_100_000_000 + random(if used { 300_000_000 } else { 20_000_000 })),
        memory_pressure_percent: Some(random(300) as f32 / 100.0),
        io_pressure_percent: Some(random(400) as f32 / 100.0),
        cpu_pressure_percent: Some(random(if used { 1500 } else { 200 }) as f32 / 100.0),
        disk_total_bytes: Some(61_000_000_000),
        disk_free_bytes: Some(40_000_000_000 - second * 1000),
        disk_free_inodes: Some(3_700_000 - second / 100),
        emmc_wear_percent: Some(10),
        emmc_pre_eol: Some(1),
        temperature_celsius: Some(48.0 + random(if used { 9 } else { 3 }) as f32 + 0.25),
        network_rx_bytes: Some(4000 + random(if used { 400_000 } else { 3000 })),
        network_tx_bytes: Some(4000 + random(8000)),
        link_mbps: Some(100),
        agent_rss_bytes: Some(48_000_000 + random(3_000_000)),
        lessons_ready: Some(120),
        lessons_assigned: Some(120),
        lessons_failed: Some(0),
        fetched_bytes: Some(0),
        lan_in_bytes: Some(0),
        lan_out_bytes: Some(0),
        copied_bytes: Some(0),
        pack_bytes: Some(0),
        written_bytes: Some(8192 + random(100_000)),
        peers: Some(7),
        screen_on_s: Some(if used { 60 } else { 0 }),
        speaker_on_s: Some(if used { random(60) as u32 } else { 0 }),
        player_errors: Some(0),
        outbox_samples: Some(0),
        gateway_rtt_ms: Some(0.4 + random(300) as f32 / 100.0),
        console_rtt_ms: Some(12.0 + random(2500) as f32 / 100.0),
        console_loss_percent: Some(0.0),
        dns_ms: Some(3.0 + random(2000) as f32 / 100.0),
        telemetry_bytes: Some(800),
        ..Readings::default()
    }
}

/// What a month comes to.
#[derive(Debug, Default)]
struct Month {
    /// Bytes, all told.
    bytes: u64,
    samples: u64,
    messages: u64,
    /// Bytes of their payload.
    payload: u64,
    /// Minutes that a sample waited at most.
    waited: u64,
}

const DEVICE: &str = "01JD2Q5Y8Z9ABCDEFGHJKMNPQR";

/// A board that is on for `hours` of each day in so many stretches, each of them begun by a power-up.
fn month(days: u64, hours: u64, power_ups: u64) -> Month {
    let device = DeviceId::new(DEVICE).unwrap();
    let boot = BootId::new("0a6f1c52-3f0e-4f6e-9d6b-2f6f1f0f9a11").unwrap();
    let mut month = Month::default();
    let mut dice = 7;
    let began: Timestamp = "2026-11-02T23:00:00.123Z".parse().unwrap();
    let mut left = None;
    let stretch = hours * 60 / power_ups.max(1);
    for day in 0..days {
        let mut on = 0;
        for _ in 0..power_ups.max(1) {
            let continued = power_ups == 0 && day > 0;
            let (mut budget, mut bands) = (Budget::resume(left, Millis(0)), Bands::new());
            let mut spend = |traffic: Traffic, budget: &mut Budget, now| {
                month.bytes += traffic.bytes();
                budget.spend(traffic, now);
            };
            if !continued {
                let off = 24 * 60 - hours * 60;
                budget.was_off(Duration::from_secs(off * 60 / power_ups.max(1)));
                spend(Traffic::Connected, &mut budget, Millis(0));
                // Documents that the broker kept, the report, time and records over HTTPS.
                spend(Traffic::Confirmed(6_000), &mut budget, Millis(0));
                spend(Traffic::Asked(1_000), &mut budget, Millis(0));
                spend(Traffic::Asked(1_000), &mut budget, Millis(0));
            }
            let mut waiting: Vec<(u64, HealthSample)> = Vec::new();
            let (mut due, mut said, mut acked, mut looked) = (None, 0, None, 0);
            for minute in 0..stretch {
                let now = Millis(minute * 60_000);
                let used = (90..450).contains(&on) && day % 7 < 5;
                on += 1;
                let sifted = bands.sift(&look(on * 60, used, &mut dice), now);
                let by = now + budget.patience(sifted.news, Duration::from_secs(60), now);
                due = Some(due.map_or(by, |due: Millis| due.min(by)));
                let wall = began.checked_add(SignedDuration::from_mins((day * 1440 + on) as i64));
                month.samples += 1;
                waiting.push((
                    minute,
                    HealthSample {
                        boot_id: boot.clone(),
                        seq: month.samples,
                        uptime_ms: now.0,
                        wall_time: wall.ok(),
                        readings: sifted.readings,
                    },
                ));
                if minute >= looked + if budget.is_ample() { 10 } else { 30 } {
                    looked = minute;
                    spend(Traffic::Looked, &mut budget, now);
                }
                let ack = Traffic::Told(160);
                // A dozen events a day, each with an ack of its own.
                if on % 50 == 1 && on <= 600 {
                    spend(Traffic::Told(330), &mut budget, now);
                    spend(ack, &mut budget, now);
                    said = minute;
                }
                // What was used is told each half an hour, or each second hour.
                if used && on % (if budget.is_ample() { 30 } else { 120 }) == 0 {
                    spend(Traffic::Asked(1_500), &mut budget, now);
                }
                if due.is_some_and(|due| due <= now) {
                    due = None;
                    let first = waiting.first().map_or(minute, |(taken, _)| *taken);
                    month.waited = month.waited.max(minute - first);
                    let batch = TelemetryBatch {
                        device_id: device.clone(),
                        forgotten: Vec::new(),
                        dropped_total: 0,
                        samples: waiting.drain(..).map(|(_, sample)| sample).collect(),
                        events: Vec::new(),
                        events_forgotten: Vec::new(),
                        events_dropped_total: 0,
                        quiet: true,
                    };
                    let bytes = packed(serde_json::to_vec(&batch).unwrap()).len();
                    spend(Traffic::Told(bytes), &mut budget, now);
                    if acked.is_none_or(|at| minute >= at + 30) {
                        acked = Some(minute);
                        spend(ack, &mut budget, now);
                    }
                    month.messages += 1;
                    month.payload += bytes as u64;
                    // Each 145 s of silence before it.
                    for _ in 0..(minute - said) * 60 / 145 {
                        spend(Traffic::Ping, &mut budget, now);
                    }
                    said = minute;
                }
            }
            // The note of five minutes ago.
            left = Some(budget.left());
        }
    }
    month
}

#[test]
fn a_month_stays_below_ten_megabytes_all_told() {
    for (name, days, hours, power_ups) in [
        ("22 school days of 8 h", 22, 8, 1),
        ("22 school days of 12 h", 22, 12, 1),
        ("30 days of 12 h", 30, 12, 1),
        ("30 days without a break", 30, 24, 0),
        // Each lesson begins with one. Twenty a day take 14.5 MB: each costs 28 kB before anything is said.
        ("22 school days of 8 h, 8 power-ups each", 22, 8, 8),
    ] {
        let month = month(days, hours, power_ups);
        let mb = |bytes: u64| bytes as f64 / 1e6;
        println!(
            "{name}: {} samples in {} messages of {} B payload, none waits longer than {} min: {:.2} MB all told (bound {:.0} MB)",
            month.samples,
            month.messages,
            month.payload / month.messages,
            month.waited,
            mb(month.bytes),
            mb(MONTH_BYTES)
        );
        assert!(month.bytes <= MONTH_BYTES, "{name}: {:.2} MB", mb(month.bytes));
        assert!(month.waited <= 15, "{name}: {} min", month.waited);
    }
}
