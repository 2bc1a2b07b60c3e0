//! What health costs a line in a month, with the messages as they are really packed.

use agent_core::{
    Millis,
    health::{
        bands::Bands,
        budget::{Budget, MESSAGE_BYTES, MONTH_BYTES},
    },
};
use contract::{event::EventKind, health::Readings};
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

/// Bytes of a month (payload, all told but pings), samples, messages.
fn month(days: u64, on_hours: u64, boots: bool) -> (u64, u64, u64, u64) {
    let device = DeviceId::new("01JD2Q5Y8Z9ABCDEFGHJKMNPQR").unwrap();
    let (mut payload, mut told, mut samples, mut messages) = (0, 0, 0, 0);
    let mut dice = 7;
    let began: Timestamp = "2026-11-02T23:00:00.123456789Z".parse().unwrap();
    let (mut budget, mut bands) = (Budget::new(Millis(0)), Bands::new());
    let mut waiting: Vec<HealthSample> = Vec::new();
    let mut due = None;
    for day in 0..days {
        if boots {
            (budget, bands) = (Budget::new(Millis(0)), Bands::new());
            waiting.clear();
        }
        let mut events = 0;
        for minute in 0..on_hours * 60 {
            let second = if boots {
                minute * 60
            } else {
                day * 86_400 + minute * 60
            };
            let now = Millis(second * 1000);
            let used = (90..450).contains(&minute) && day % 7 < 5;
            let sifted = bands.sift(&look(second, used, &mut dice), now);
            let by = now + budget.patience(sifted.news, Duration::from_secs(60), now);
            due = Some(due.map_or(by, |due: Millis| due.min(by)));
            let wall = began
                .checked_add(SignedDuration::from_mins((day * 1440 + minute) as i64))
                .unwrap();
            waiting.push(HealthSample {
                boot_id: BootId::new("0a6f1c52-3f0e-4f6e-9d6b-2f6f1f0f9a11").unwrap(),
                seq: samples + 1,
                uptime_ms: now.0,
                wall_time: Some(wall),
                readings: sifted.readings,
            });
            samples += 1;
            // A dozen events a day.
            let event = minute % 50 == 1 && events < 12;
            events += u32::from(event);
            let mut batches = Vec::new();
            if due.is_some_and(|due| due <= now) {
                due = None;
                batches.push((std::mem::take(&mut waiting), Vec::new()));
            }
            if event {
                let what = EventKind::App {
                    action: contract::event::AppAction::Started,
                    app: "seewo-whiteboard".into(),
                    unlisted: false,
                };
                let event = DeviceEvent {
                    boot_id: BootId::new("0a6f1c52-3f0e-4f6e-9d6b-2f6f1f0f9a11").unwrap(),
                    seq: 1,
                    uptime_ms: now.0,
                    wall_time: Some(wall),
                    what,
                };
                batches.push((Vec::new(), vec![event]));
            }
            for (samples, events) in batches {
                let batch = TelemetryBatch {
                    device_id: device.clone(),
                    forgotten: Vec::new(),
                    dropped_total: 0,
                    samples,
                    events,
                    events_forgotten: Vec::new(),
                    events_dropped_total: 0,
                };
                let bytes = packed(serde_json::to_vec(&batch).unwrap()).len();
                budget.spend(bytes, now);
                payload += bytes as u64;
                told += bytes as u64 + MESSAGE_BYTES;
                messages += 1;
            }
        }
    }
    (payload, told, samples, messages)
}

#[test]
fn a_month_of_health_stays_below_ten_megabytes_all_told() {
    // One ping each two minutes: two packets and TCP's own answer.
    let pings = |hours: u64| hours * 30 * 204;
    for (name, days, hours, boots) in [
        ("22 school days of 10 h", 22, 10, true),
        ("31 days of 12 h", 31, 12, false),
        ("30 days without a break", 30, 24, false),
    ] {
        let (payload, told, samples, messages) = month(days, hours, boots);
        let all = told + pings(days * hours);
        let mb = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        println!(
            "{name}: {samples} samples in {messages} messages, {} B payload each; payload {:.2} MB, all told {:.2} MB with pings \
             (bound {:.0} MB)",
            payload / messages,
            mb(payload),
            mb(all),
            mb(MONTH_BYTES)
        );
        assert!(all <= MONTH_BYTES, "{name}: {:.2} MB", mb(all));
        assert!(messages * 15 >= samples, "a sample waits 15 min at most");
    }
}
