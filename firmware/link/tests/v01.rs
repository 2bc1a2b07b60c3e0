//! Link version 1, byte for byte.
//!
//! NEVER EDIT A LITERAL IN THIS FILE. Boards in classrooms speak these bytes, and each must be understood
//! until version 4 is the newest. If a change turns a line here red, the change makes a new version: leave
//! this file alone, raise `NEWEST` and add `v02.rs` beside it. Lines for words added to the end of an enum
//! may be appended.
//!
//! Between the outer zeros is COBS over: version, sequence number (LE), postcard payload, CRC-32/ISO-HDLC (LE).
#![allow(clippy::unwrap_used)] // helpers of tests

use board_link::{
    BoardReport, BootReason, CentiCelsius, Decoder, FanReport, Frame, Handshake, Hello, Message, Payload,
    Percent, PowerAction, PowerState, Refusal, Report, Request, Response, RtcReading, Seq, StopReason,
    ThermalLevel, UnixSeconds, VersionRange, WatchdogStage, Welcome, encode, label,
};

/// The words must become exactly these bytes, and the bytes exactly these words.
#[track_caller]
fn exact(seq: u16, payload: Payload, bytes: &str) {
    let frame = Frame {
        seq: Seq(seq),
        payload,
    };
    let encoded = encode(&frame).unwrap();
    assert_eq!(hex::encode(&encoded), bytes, "encoding {frame:?}");

    let bytes = hex::decode(bytes).unwrap();
    let decoded: Vec<_> = Decoder::new().feed(&bytes).collect();
    assert_eq!(decoded, [Ok(frame)]);
}

fn session(message: Message) -> Payload {
    Payload::Session { version: 1, message }
}

fn request(request: Request) -> Payload {
    session(Message::Request(request))
}

fn response(response: Response) -> Payload {
    session(Message::Response(response))
}

fn percent(share: u8) -> Percent {
    Percent::new(share).unwrap()
}

fn versions(oldest: u8, newest: u8) -> VersionRange {
    VersionRange::new(oldest, newest).unwrap()
}

#[test]
fn handshake() {
    exact(
        0,
        Payload::Handshake(Handshake::Hello(Hello {
            versions: versions(1, 1),
            software: label("0.1.0"),
        })),
        "00010101010d010105302e312e305a8a7ea800",
    );
    exact(
        0,
        Payload::Handshake(Handshake::Welcome(Welcome {
            version: 1,
            versions: versions(1, 3),
            board: label("lm3s6965evb-rev-a"),
            firmware: label("0.1.0"),
        })),
        "000101012101010103116c6d3373363936356576622d7265762d6105302e312e307415a50300",
    );
    exact(
        7,
        Payload::Handshake(Handshake::NoCommonVersion(versions(4, 6))),
        "0001020708020406ecc9698d00",
    );
}

#[test]
fn a_hello_from_the_future_is_still_read() {
    // A version 9 agent appended two bytes that version 1 does not know.
    let bytes = hex::decode("00010201010d070903392e30aabbc6fe7e6300").unwrap();
    let decoded: Vec<_> = Decoder::new().feed(&bytes).collect();
    let hello = Handshake::Hello(Hello {
        versions: versions(7, 9),
        software: label("9.0"),
    });
    assert_eq!(
        decoded,
        [Ok(Frame {
            seq: Seq(1),
            payload: Payload::Handshake(hello)
        })]
    );
}

#[test]
fn requests() {
    exact(1, request(Request::GetReport), "00030101010105c8b9fe4300");
    exact(0x0102, request(Request::FeedWatchdog), "00040102010601874c8e2700");
    exact(
        3,
        request(Request::SetPower(PowerAction::On)),
        "0003010301020205546a080f00",
    );
    exact(
        4,
        request(Request::SetPower(PowerAction::Off)),
        "0003010401070201d2862fca00",
    );
    exact(
        5,
        request(Request::SetPower(PowerAction::Reboot)),
        "0003010501070202d8fe466e00",
    );
    exact(
        6,
        request(Request::SetBacklight(percent(80))),
        "0003010601070350918598b500",
    );
    exact(7, request(Request::SetMute(true)), "0003010701070401845bd5db00");
    exact(8, request(Request::SetMute(false)), "0003010801020405c3fc822e00");
    exact(9, request(Request::GetRtc), "00030109010605a86520f600");
    exact(
        0xffff,
        request(Request::SetRtc(UnixSeconds(1_793_500_000))),
        "000401ffff0b06c08db5ae0de4bd93ce00",
    );
}

#[test]
fn responses() {
    exact(1, response(Response::Done), "000301010201058988e55a00");
    exact(
        2,
        response(Response::Board(busy())),
        "000301020e010180b899290301010201bc3708012301c80b015006014376e77f00",
    );
    exact(
        3,
        response(Response::Board(bare())),
        "000301030301010101010501b310030102010556aa42a700",
    );
    exact(
        4,
        response(Response::Rtc(RtcReading {
            time: UnixSeconds(1_793_500_000),
            trusted: true,
        })),
        "000301040d0102c08db5ae0d016f35aa9b00",
    );
    exact(
        5,
        response(Response::Rtc(RtcReading {
            time: UnixSeconds(-1),
            trusted: false,
        })),
        "00030105040102010533c7f5c900",
    );
    exact(
        6,
        response(Response::Refused(Refusal::NoSession)),
        "000301060301030552be31df00",
    );
    exact(
        7,
        response(Response::Refused(Refusal::NotFitted)),
        "000301070801030174a7569500",
    );
    exact(
        8,
        response(Response::Refused(Refusal::OutOfRange)),
        "00030108080103021f610f8e00",
    );
    exact(
        9,
        response(Response::Refused(Refusal::WrongState)),
        "0003010908010303397868c400",
    );
    exact(
        10,
        response(Response::Refused(Refusal::TooHot)),
        "0003010a080103044a97ac1d00",
    );
    exact(
        11,
        response(Response::Refused(Refusal::PartFailed)),
        "0003010b080103056c8ecb5700",
    );
    exact(
        12,
        response(Response::Refused(Refusal::Busy)),
        "0003010c08010306c603e27c00",
    );
}

#[test]
fn reports() {
    exact(
        1,
        session(Message::Report(Report::Board(busy()))),
        "0003010102020c80b899290301010201bc3708012301c80b01500601ed9dc72b00",
    );
    exact(
        2,
        session(Message::Report(Report::AskFeed { reboot_in_ms: 30_000 })),
        "000301020a0201b0ea013b2fa3ea00",
    );
    exact(
        3,
        session(Message::Report(Report::StopRequested {
            reason: StopReason::TooHot,
            cut_in_ms: 60_000,
        })),
        "000301030b020202e0d403efbc433700",
    );
}

/// The number of every variant that the frames above do not show.
#[test]
fn numbers_of_the_enums() {
    fn number<T: serde::Serialize>(value: &T) -> u8 {
        let mut buffer = [0; 1];
        postcard::to_slice(value, &mut buffer).unwrap()[0]
    }
    use {BootReason as B, PowerState as P, StopReason as S, ThermalLevel as T, WatchdogStage as W};
    assert_eq!(
        [P::Off, P::Starting, P::On, P::Stopping].map(|v| number(&v)),
        [0, 1, 2, 3]
    );
    assert_eq!(
        [
            B::Unknown,
            B::PowerApplied,
            B::Button,
            B::Wake,
            B::Requested,
            B::Watchdog
        ]
        .map(|v| number(&v)),
        [0, 1, 2, 3, 4, 5]
    );
    assert_eq!(
        [
            S::Requested,
            S::Button,
            S::TooHot,
            S::ThermalCut,
            S::Watchdog,
            S::StartFailed,
            S::Halted
        ]
        .map(|v| number(&v)),
        [0, 1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        [T::Normal, T::Derated, T::Shutdown, T::Cut].map(|v| number(&v)),
        [0, 1, 2, 3]
    );
    assert_eq!(
        [W::Disarmed, W::Fed, W::Asked, W::Booting, W::GaveUp].map(|v| number(&v)),
        [0, 1, 2, 3, 4]
    );
}

/// A board with every part, in use.
fn busy() -> BoardReport {
    BoardReport {
        uptime_ms: 86_400_000,
        boot_reason: BootReason::Wake,
        last_stop: Some(StopReason::Button),
        power: PowerState::On,
        temperature: Some(CentiCelsius(3_550)),
        thermal: ThermalLevel::Normal,
        fan: Some(FanReport {
            duty: percent(35),
            rpm: Some(1_480),
        }),
        backlight: Some(percent(80)),
        muted: false,
        watchdog: WatchdogStage::Fed,
    }
}

/// A board with next to nothing, below zero.
fn bare() -> BoardReport {
    BoardReport {
        uptime_ms: 0,
        boot_reason: BootReason::Unknown,
        last_stop: None,
        power: PowerState::Off,
        temperature: Some(CentiCelsius(-1_050)),
        thermal: ThermalLevel::Cut,
        fan: None,
        backlight: None,
        muted: true,
        watchdog: WatchdogStage::Disarmed,
    }
}
