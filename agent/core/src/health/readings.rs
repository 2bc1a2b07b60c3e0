//! The readings of a sample by name, as numbers.

use contract::health::Readings;

macro_rules! readings {
    ($($name:ident: $type:ty,)*) => {
        /// Every reading's name, in the order of the contract.
        pub const NAMES: &[&str] = &[$(stringify!($name)),*];

        /// A reading as a number.
        pub fn get(readings: &Readings, name: &str) -> Option<f64> {
            match name {
                $(stringify!($name) => readings.$name.map(|value| value as f64),)*
                _ => None,
            }
        }

        /// Sets a reading, cut to what its type can hold; nothing is `None`.
        pub fn set(readings: &mut Readings, name: &str, value: Option<f64>) {
            match name {
                $(stringify!($name) => readings.$name = value.map(|value| value as $type),)*
                _ => {}
            }
        }

        /// Does not compile once the contract has a reading that is not listed here.
        const fn all(readings: &Readings) {
            let Readings { $($name: _,)* } = readings;
        }
        const _: fn(&Readings) = all;
    };
}

readings! {
    cpu_percent: f32,
    load_1m: f32,
    memory_total_bytes: u64,
    memory_available_bytes: u64,
    memory_pressure_percent: f32,
    io_pressure_percent: f32,
    disk_total_bytes: u64,
    disk_free_bytes: u64,
    disk_free_inodes: u64,
    emmc_wear_percent: u8,
    temperature_celsius: f32,
    network_rx_bytes: u64,
    network_tx_bytes: u64,
    link_mbps: u32,
    agent_rss_bytes: u64,
    lessons_ready: u32,
    lessons_assigned: u32,
    fetched_bytes: u64,
    lan_in_bytes: u64,
    lan_out_bytes: u64,
    copied_bytes: u64,
    pack_bytes: u64,
    written_bytes: u64,
    peers: u32,
    cpu_pressure_percent: f32,
    emmc_pre_eol: u8,
    disk_wear_percent: u8,
    disk_reallocated_sectors: u32,
    screen_on_s: u32,
    speaker_on_s: u32,
    lessons_failed: u32,
    player_errors: u32,
    outbox_samples: u32,
    wifi_signal_percent: u8,
    gateway_rtt_ms: f32,
    console_rtt_ms: f32,
    console_loss_percent: f32,
    dns_ms: f32,
    telemetry_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reading_is_found_by_its_name_and_nothing_by_another() {
        for name in NAMES {
            let mut readings = Readings::default();
            assert_eq!(get(&readings, name), None);
            set(&mut readings, name, Some(7.0));
            assert_eq!(get(&readings, name), Some(7.0), "{name}");
            assert_eq!(NAMES.iter().filter(|n| get(&readings, n).is_some()).count(), 1);
            set(&mut readings, name, None);
            assert_eq!(readings, Readings::default());
        }
        assert_eq!(get(&Readings::default(), "face"), None);
    }
}
