//! Readings as columns of `samples`.

use contract::health::Readings;
use sqlx::{FromRow, Sqlite};

macro_rules! reading_columns {
    ($($name:ident: $via:ty),* $(,)?) => {
        pub(in crate::db) const READING_COLUMNS: &str = concat!("0 AS none" $(, ", s.", stringify!($name))*);
        pub(super) const INSERT: &str = concat!(
            "INSERT OR IGNORE INTO samples (device_no, boot_no, seq, at, at_from, received_at, uptime_ms, wall_time"
            $(, ", ", stringify!($name))*, ") "
        );

        #[derive(Debug, FromRow)]
        pub(in crate::db) struct ReadingsRow { $($name: Option<$via>,)* }

        impl ReadingsRow {
            pub(in crate::db) fn readings(self) -> Readings {
                Readings { $($name: self.$name.and_then(Column::read),)* }
            }
        }

        pub(super) fn bind_readings(row: &mut sqlx::query_builder::Separated<'_, Sqlite, &'static str>, readings: &Readings) {
            $(row.push_bind(readings.$name.map(Column::written::<$via>));)*
        }
    };
}

/// A reading's type and the column's.
trait Column: Sized {
    fn written<C>(self) -> C
    where
        C: From<Cell>;
    fn read<C: Into<Cell>>(cell: C) -> Option<Self>;
}

/// What a column holds.
enum Cell {
    Int(i64),
    Real(f64),
}

impl From<Cell> for i64 {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Int(value) => value,
            // Only reached if a macro line names a column type that does not fit its reading.
            Cell::Real(value) => value as Self,
        }
    }
}

impl From<Cell> for f64 {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Int(value) => value as Self,
            Cell::Real(value) => value,
        }
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

macro_rules! int_column {
    ($($ty:ty),*) => {$(
        impl Column for $ty {
            fn written<C: From<Cell>>(self) -> C {
                Cell::Int(i64::try_from(self).unwrap_or(i64::MAX)).into()
            }
            fn read<C: Into<Cell>>(cell: C) -> Option<Self> {
                Self::try_from(i64::from(cell.into())).ok()
            }
        }
    )*};
}
int_column!(u8, u32, u64);

impl Column for f32 {
    fn written<C: From<Cell>>(self) -> C {
        Cell::Real(f64::from(self)).into()
    }
    fn read<C: Into<Cell>>(cell: C) -> Option<Self> {
        Some(f64::from(cell.into()) as Self)
    }
}

reading_columns! {
    cpu_percent: f64,
    load_1m: f64,
    memory_total_bytes: i64,
    memory_available_bytes: i64,
    memory_pressure_percent: f64,
    io_pressure_percent: f64,
    disk_total_bytes: i64,
    disk_free_bytes: i64,
    disk_free_inodes: i64,
    emmc_wear_percent: i64,
    temperature_celsius: f64,
    network_rx_bytes: i64,
    network_tx_bytes: i64,
    link_mbps: i64,
    agent_rss_bytes: i64,
    lessons_ready: i64,
    lessons_assigned: i64,
    fetched_bytes: i64,
    lan_in_bytes: i64,
    lan_out_bytes: i64,
    copied_bytes: i64,
    pack_bytes: i64,
    written_bytes: i64,
    peers: i64,
    cpu_pressure_percent: f64,
    emmc_pre_eol: i64,
    disk_wear_percent: i64,
    disk_reallocated_sectors: i64,
    screen_on_s: i64,
    speaker_on_s: i64,
    lessons_failed: i64,
    player_errors: i64,
    outbox_samples: i64,
    wifi_signal_percent: i64,
    gateway_rtt_ms: f64,
    console_rtt_ms: f64,
    console_loss_percent: f64,
    dns_ms: f64,
    telemetry_bytes: i64,
}
