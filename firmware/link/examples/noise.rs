//! Feeds generated strings of bytes to the decoder: `cargo run --release -p board-link --example noise -- 100000000`.
//!
//! Three kinds in turn: plain noise; frames of ours with a few bytes changed; packets with right stuffing and CRC
//! around senseless words. After each a whole frame must come through, at once. Prints the rate; a panic or a frame
//! that is lost ends it.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::time::Instant;

use board_link::{
    Decoder, Frame, ImageChunk, Message, Payload, Request, Seq, UnixSeconds, WakePlan, WakeWindow, crc32,
    encode,
};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

fn frames() -> Vec<Vec<u8>> {
    let window = WakeWindow {
        from: UnixSeconds(1_793_500_000),
        minutes: 600,
    };
    let requests = [
        Request::GetReport,
        Request::SetRtc(UnixSeconds(1_793_500_000)),
        Request::SetWakePlan(WakePlan {
            windows: [window; 3].into_iter().collect(),
            weekly: None,
        }),
        Request::PutImage(ImageChunk {
            offset: 192,
            data: (0..128).collect(),
        }),
    ];
    let frame = |request| Frame {
        seq: Seq(258),
        payload: Payload::Session {
            version: 2,
            message: Message::Request(request),
        },
    };
    requests
        .map(|request| encode(&frame(request)).expect("it fits").to_vec())
        .to_vec()
}

fn main() {
    let strings: u64 = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1_000_000);
    let seed: u64 = std::env::args()
        .nth(2)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0x9e37_79b9_7f4a_7c15);
    let (frames, mut random, mut decoder) = (frames(), Random(seed | 1), Decoder::new());
    let whole = &frames[0];
    let (mut bytes, mut decoded, mut errors) = (0u64, 0u64, 0u64);
    let begun = Instant::now();
    let (mut noise, mut stuffed) = ([0u8; 256], [0u8; 300]);
    for n in 0..strings {
        let len = match n % 3 {
            0 => {
                let len = random.below(64);
                random.fill(&mut noise[..len]);
                len
            }
            1 => {
                let frame = &frames[random.below(frames.len())];
                noise[..frame.len()].copy_from_slice(frame);
                for _ in 0..=random.below(3) {
                    let at = random.below(frame.len());
                    noise[at] = random.next() as u8;
                }
                frame.len()
            }
            _ => {
                let len = 3 + random.below(40);
                random.fill(&mut noise[..len]);
                noise[0] %= 3;
                // The first words decide what the rest is read as: most of them should exist.
                noise[3] %= 3;
                noise[4] %= 24;
                let crc = crc32(&noise[..len]).to_le_bytes();
                noise[len..len + 4].copy_from_slice(&crc);
                let out = cobs::encode(&noise[..len + 4], &mut stuffed);
                noise[..out].copy_from_slice(&stuffed[..out]);
                noise[out] = 0;
                out + 1
            }
        };
        for found in decoder.feed(&noise[..len]) {
            match found {
                Ok(_) => decoded += 1,
                Err(_) => errors += 1,
            }
        }
        let last = decoder.feed(whole).last();
        assert!(
            matches!(last, Some(Ok(_))),
            "string {n} of seed {seed:#x} cost the frame after it"
        );
        bytes += (len + whole.len()) as u64;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{strings} strings, {bytes} bytes in {seconds:.1} s: {:.2} million strings a second; {decoded} made sense, \
         {errors} did not, no panic, in step after each",
        strings as f64 / seconds / 1e6
    );
}
