//! Samples of a device condensed: least, most, sum and count of each reading in each slot, and how that is packed into a row.
//!
//! A row is an hour in slots of 5 minutes, or a day in slots of an hour; an hour's slot is always the 12 slots put together, so
//! that both tiers say the same. Packed: a version, then per reading its place in [`METRICS`], a mask of its slots, and its
//! figures column by column, all of it deflated. One row for 39 readings takes about as much room as three samples.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
};

use contract::health::Readings;
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};

use super::readings::METRICS;

const VERSION: u8 = 1;
/// No row is larger unpacked: 255 readings in 32 slots.
const MAX_BYTES: u64 = 255 * (5 + 32 * 28);

/// Figures of one reading in one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stat {
    /// Samples that had it, or of which it was known.
    pub count: u32,
    /// Least.
    pub min: f64,
    /// Most.
    pub max: f64,
    /// All together.
    pub sum: f64,
}

impl Stat {
    /// Of one value.
    pub const fn of(value: f64) -> Self {
        Self {
            count: 1,
            min: value,
            max: value,
            sum: value,
        }
    }

    /// Of both.
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            sum: self.sum + other.sum,
        }
    }

    /// The average.
    pub fn avg(&self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }
}

/// A row: readings by their place in [`METRICS`], and slots by number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slots(BTreeMap<u8, BTreeMap<u8, Stat>>);

impl Slots {
    /// Takes in one sample of a slot.
    pub fn add(&mut self, slot: u8, readings: &Readings) {
        for (place, metric) in (0..=u8::MAX).zip(METRICS) {
            if let Some(value) = metric.of(readings) {
                self.put(place, slot, Stat::of(value));
            }
        }
    }

    fn put(&mut self, place: u8, slot: u8, stat: Stat) {
        let slots = self.0.entry(place).or_default();
        let known = slots.get(&slot).copied();
        slots.insert(slot, known.map_or(stat, |known| known.and(stat)));
    }

    /// A reading's slots.
    pub fn of(&self, place: u8) -> impl Iterator<Item = (u8, Stat)> + '_ {
        self.0
            .get(&place)
            .into_iter()
            .flatten()
            .map(|(slot, stat)| (*slot, *stat))
    }

    /// All slots put together into one slot of a larger row.
    pub fn together(&self, into: u8) -> Self {
        let mut all = Self::default();
        for (place, slots) in &self.0 {
            for stat in slots.values() {
                all.put(*place, into, *stat);
            }
        }
        all
    }

    /// Takes a slot over from `other`, with all its readings.
    pub fn replace(&mut self, slot: u8, other: &Self) {
        for slots in self.0.values_mut() {
            slots.remove(&slot);
        }
        for (place, slots) in &other.0 {
            if let Some(stat) = slots.get(&slot) {
                self.0.entry(*place).or_default().insert(slot, *stat);
            }
        }
        self.0.retain(|_, slots| !slots.is_empty());
    }

    /// Most samples that any reading of a slot has.
    pub fn count(&self, slot: u8) -> u32 {
        self.0
            .values()
            .filter_map(|slots| slots.get(&slot))
            .map(|stat| stat.count)
            .max()
            .unwrap_or(0)
    }

    /// Slots that have anything.
    pub fn slots(&self) -> Vec<u8> {
        let mut slots: Vec<u8> = self.0.values().flat_map(|slots| slots.keys().copied()).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// For a row whose samples may have been taken away in part: of each slot what knows of more samples.
    pub fn fullest(mut self, before: &Self) -> Self {
        for slot in before.slots() {
            if before.count(slot) > self.count(slot) {
                self.replace(slot, before);
            }
        }
        self
    }

    /// As it is kept.
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub fn pack(&self) -> std::io::Result<Vec<u8>> {
        let mut plain = vec![VERSION];
        for (place, slots) in &self.0 {
            let mask = slots
                .keys()
                .filter(|slot| **slot < 32)
                .fold(0u32, |mask, slot| mask | 1 << slot);
            let stats: Vec<&Stat> = slots
                .iter()
                .filter(|(slot, _)| **slot < 32)
                .map(|(_, stat)| stat)
                .collect();
            plain.push(*place);
            plain.extend(mask.to_le_bytes());
            plain.extend(stats.iter().flat_map(|stat| stat.count.to_le_bytes()));
            // What does not change within a slot, as most things do not, is said once.
            let flat = stats
                .iter()
                .all(|s| s.min == s.max && s.sum == s.min * f64::from(s.count));
            plain.push(u8::from(flat));
            plain.extend(stats.iter().flat_map(|stat| stat.min.to_le_bytes()));
            if !flat {
                plain.extend(stats.iter().flat_map(|stat| stat.max.to_le_bytes()));
                plain.extend(stats.iter().flat_map(|stat| stat.sum.to_le_bytes()));
            }
        }
        let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&plain)?;
        packed.finish()
    }

    /// The same back; nothing for a row that is torn or of a newer version.
    pub fn unpack(packed: &[u8]) -> Option<Self> {
        let mut plain = Vec::new();
        DeflateDecoder::new(packed)
            .take(MAX_BYTES)
            .read_to_end(&mut plain)
            .ok()?;
        let mut rest = Rest(&plain);
        if rest.take::<1>()? != [VERSION] {
            return None;
        }
        let mut slots = Self::default();
        while let Some([place]) = rest.take::<1>() {
            let mask = u32::from_le_bytes(rest.take()?);
            let numbers: Vec<u8> = (0..32).filter(|slot| mask & (1 << slot) != 0).collect();
            let mut counts = Vec::with_capacity(numbers.len());
            for _ in &numbers {
                counts.push(u32::from_le_bytes(rest.take()?));
            }
            let [flat] = rest.take::<1>()?;
            let mut columns = Vec::with_capacity(3);
            for _ in 0..if flat == 1 { 1 } else { 3 } {
                let mut column = Vec::with_capacity(numbers.len());
                for _ in &numbers {
                    column.push(f64::from_le_bytes(rest.take()?));
                }
                columns.push(column);
            }
            for (n, (slot, count)) in numbers.iter().zip(&counts).enumerate() {
                let at = |column: usize| columns.get(column).and_then(|c| c.get(n)).copied();
                let min = at(0)?;
                let stat = Stat {
                    count: *count,
                    min,
                    max: at(1).unwrap_or(min),
                    sum: at(2).unwrap_or(min * f64::from(*count)),
                };
                slots.0.entry(place).or_default().insert(*slot, stat);
            }
        }
        Some(slots)
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpu(value: f32) -> Readings {
        Readings {
            cpu_percent: Some(value),
            peers: Some(4),
            ..Readings::default()
        }
    }

    #[test]
    fn slots_hold_least_most_sum_and_count_and_come_together() {
        let mut hour = Slots::default();
        for (slot, value) in [(0, 10.0), (0, 30.0), (11, 20.0)] {
            hour.add(slot, &cpu(value));
        }
        let slots: Vec<(u8, Stat)> = hour.of(0).collect();
        let first = Stat {
            count: 2,
            min: 10.0,
            max: 30.0,
            sum: 40.0,
        };
        assert_eq!(slots, [(0, first), (11, Stat::of(20.0))]);
        assert_eq!(slots[0].1.avg(), 20.0);
        let day = hour.together(23);
        let all: Vec<(u8, Stat)> = day.of(0).collect();
        assert_eq!((all[0].0, all[0].1.count, all[0].1.sum), (23, 3, 60.0));
        assert_eq!(Slots::unpack(&hour.pack().unwrap()), Some(hour));
    }

    #[test]
    fn a_row_whose_samples_went_keeps_what_it_knew() {
        let mut before = Slots::default();
        for _ in 0..5 {
            before.add(3, &cpu(1.0));
        }
        let mut late = Slots::default();
        late.add(3, &cpu(9.0));
        late.add(4, &cpu(9.0));
        let both = late.clone().fullest(&before);
        assert_eq!((both.count(3), both.count(4)), (5, 1));
        assert_eq!(both.clone().fullest(&before), both, "said twice, it is the same");
    }

    #[test]
    fn torn_and_newer_rows_are_told_from_good_ones() {
        let mut hour = Slots::default();
        hour.add(1, &cpu(1.0));
        let good = hour.pack().unwrap();
        assert_eq!(Slots::unpack(&good[..good.len() - 3]), None);
        assert_eq!(Slots::unpack(b"nonsense"), None);
        let mut newer = DeflateEncoder::new(Vec::new(), Compression::default());
        newer.write_all(&[9, 0]).unwrap();
        assert_eq!(Slots::unpack(&newer.finish().unwrap()), None);
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(samples in prop::collection::vec((0u8..12, 0f32..100.0, prop::option::of(0u32..9)), 0..80)) {
            let mut slots = Slots::default();
            for (slot, cpu_percent, peers) in samples {
                slots.add(slot, &Readings { cpu_percent: Some(cpu_percent), peers, ..Readings::default() });
            }
            prop_assert_eq!(Slots::unpack(&slots.pack().unwrap()), Some(slots));
        }
    }

    /// Room of a row for a board as they are: what changes slowly, what changes always, what does not change.
    #[test]
    fn an_hour_of_a_board_takes_little_room() {
        let mut hour = Slots::default();
        let mut noise = 12_345u64;
        let mut random = |span: u64| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (noise >> 33) % span
        };
        for minute in 0..60u8 {
            let readings = Readings {
                cpu_percent: Some(random(1_000) as f32 / 10.0),
                load_1m: Some(random(300) as f32 / 100.0),
                memory_total_bytes: Some(4 << 30),
                memory_available_bytes: Some((2 << 30) + random(1 << 28)),
                memory_pressure_percent: Some(0.0),
                io_pressure_percent: Some(random(10) as f32 / 10.0),
                disk_total_bytes: Some(64 << 30),
                disk_free_bytes: Some((20 << 30) - u64::from(minute) * 4_096),
                disk_free_inodes: Some(3_000_000),
                emmc_wear_percent: Some(10),
                temperature_celsius: Some(50.0 + random(30) as f32 / 10.0),
                network_rx_bytes: Some(random(1 << 20)),
                network_tx_bytes: Some(random(1 << 18)),
                link_mbps: Some(1000),
                agent_rss_bytes: Some((60 << 20) + random(1 << 20)),
                lessons_ready: Some(120),
                lessons_assigned: Some(120),
                peers: Some(11),
                screen_on_s: Some(60),
                speaker_on_s: Some(random(60) as u32),
                gateway_rtt_ms: Some(random(30) as f32 / 10.0),
                console_rtt_ms: Some(20.0 + random(100) as f32 / 10.0),
                dns_ms: Some(random(80) as f32 / 10.0),
                telemetry_bytes: Some(300 + random(500)),
                ..Readings::default()
            };
            hour.add(minute / 5, &readings);
        }
        let bytes = hour.pack().unwrap().len();
        let mut day = Slots::default();
        for slot in 0..24 {
            day.replace(slot, &hour.together(slot));
        }
        let day_bytes = day.pack().unwrap().len();
        assert!(bytes < 2_600, "an hour in 5-minute slots: {bytes} bytes");
        assert!(
            day_bytes < 1_600,
            "a day in hours that are alike: {day_bytes} bytes"
        );
    }
}
