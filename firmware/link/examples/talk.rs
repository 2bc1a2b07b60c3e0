//! Talks to a board controller at a TCP port, such as one in QEMU, and prints what it says:
//! `cargo run -p board-link --example talk -- 127.0.0.1:5555 20`, the last being seconds.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use board_link::{
    Decoder, LinkEvent, Patience, Request, Seq, SocSide, UnixSeconds, VersionRange, WakePlan, WakeWindow,
    encode, label,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:5555".to_owned());
    let seconds: u64 = args.next().and_then(|s| s.parse().ok()).unwrap_or(10);
    let mut port = TcpStream::connect(&address)?;
    port.set_read_timeout(Some(Duration::from_millis(20)))?;
    let begun = Instant::now();
    let now = || begun.elapsed().as_millis() as u64;
    let unix = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let hello = Seq((unix as u16) ^ (std::process::id() as u16));
    let mut soc = SocSide::new(label("talk"), VersionRange::OURS, hello, Patience::default(), 0);
    let window = WakeWindow {
        from: UnixSeconds(unix as i64 + 3_600),
        minutes: 60,
    };
    let plan = WakePlan {
        windows: [window].into_iter().collect(),
        weekly: None,
    };
    let mut asks = vec![
        Request::FeedWatchdog,
        Request::GetFaults { after: 0 },
        Request::GetImages,
        Request::GetDetails,
        Request::SetWakePlan(plan),
        Request::GetRtc,
        Request::SetRtc(UnixSeconds(unix as i64)),
        Request::GetCapabilities,
        Request::GetReport,
    ];
    let mut decoder = Decoder::new();
    let mut bytes = [0; 512];
    while now() < seconds * 1_000 {
        match port.read(&mut bytes) {
            Ok(0) => return Err("the board hung up".into()),
            Ok(n) => {
                for frame in decoder.feed(&bytes[..n]) {
                    match frame {
                        Ok(frame) => soc.receive(frame, now()),
                        Err(error) => println!("{:>6} noise: {error}", now()),
                    }
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        soc.handle_timeout(now());
        while let Some(event) = soc.next_event() {
            println!("{:>6} {event:?}", now());
            let next = matches!(
                event,
                LinkEvent::Up(_) | LinkEvent::Answered(..) | LinkEvent::Lost(_)
            );
            if next && let Some(request) = asks.pop() {
                let _ = soc.request(request, now());
            }
        }
        while let Some(frame) = soc.next_frame(now()) {
            port.write_all(&encode(&frame)?)?;
        }
    }
    Ok(())
}
