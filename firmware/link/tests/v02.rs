//! What link version 2 brought, byte for byte. The words of version 1 are in `v01.rs` and are spoken in version 2, too.
//!
//! NEVER EDIT A LITERAL IN THIS FILE. Boards in classrooms speak these bytes, and each must be understood until
//! version 5 is the newest. If a change turns a line here red, the change makes a new version: leave this file
//! alone, raise `NEWEST` and add `v03.rs` beside it.
#![allow(clippy::unwrap_used)] // helpers of tests

use board_link::{
    BoardDetails, ButtonPress, Capabilities, CentiCelsius, ClockReport, ClockTrust, DayWindow, Decoder,
    Energy, Fault, FaultKind, FaultPage, Frame, FrameError, Handshake, ImageChunk, ImageHead, ImageReport,
    ImageSlot, LedMode, LightMode, Message, MeterReading, OtherImage, Payload, Percent, Refusal, Report,
    Request, ResetCause, Response, Seq, UnixSeconds, VersionRange, WakePlan, WakeWindow, WeeklyWake, Welcome,
    encode, label,
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
    Payload::Session { version: 2, message }
}

fn request(request: Request) -> Payload {
    session(Message::Request(request))
}

fn response(response: Response) -> Payload {
    session(Message::Response(response))
}

fn report(report: Report) -> Payload {
    session(Message::Report(report))
}

fn percent(share: u8) -> Percent {
    Percent::new(share).unwrap()
}

#[test]
fn handshake() {
    let welcome = Welcome {
        version: 2,
        versions: VersionRange::new(1, 2).unwrap(),
        board: label("lm3s6965evb-rev-a"),
        firmware: label("0.1.0"),
    };
    exact(
        7,
        Payload::Handshake(Handshake::WelcomeFrom {
            welcome,
            first: Seq(1_089),
        }),
        "000102072303020102116c6d3373363936356576622d7265762d6105302e312e30c108d683bdb000",
    );
}

#[test]
fn requests() {
    exact(0, request(Request::GetReport), "000202010101057da4e2bc00");
    exact(1, request(Request::GetCapabilities), "00030201010607bb563a9a00");
    exact(2, request(Request::GetDetails), "00030202010608c4e4301800");
    exact(
        3,
        request(Request::GetFaults { after: 300 }),
        "00030203010809ac02bf150a6f00",
    );
    exact(
        4,
        request(Request::SetWakePlan(WakePlan::default())),
        "0003020401020a01059709f59c00",
    );
    exact(
        5,
        request(Request::SetWakePlan(plan())),
        "00030205012d0a0280f0f1af0de20480b6fcaf0de20401c00701d603e20401d603e20401d603e20401d603e20401d603e20401052dc8972f00",
    );
    exact(
        6,
        request(Request::SetLight(LightMode::Fixed)),
        "0003020601020b05c32cbe9000",
    );
    exact(
        7,
        request(Request::SetLight(LightMode::Ambient)),
        "0003020701070b01e535d9da00",
    );
    exact(
        8,
        request(Request::SetEyeCare(None)),
        "0003020801020c056504cf6000",
    );
    exact(
        9,
        request(Request::SetEyeCare(Some(percent(60)))),
        "0003020901080c013c3d2b921200",
    );
    for (mode, bytes) in [
        (LedMode::Auto, "0003020a01020d054466140300"),
        (LedMode::Off, "0003020a01070d01d256137400"),
        (LedMode::On, "0003020a01070d0268071aed00"),
        (LedMode::Slow, "0003020a01070d03fe371d9a00"),
        (LedMode::Fast, "0003020a01070d045da2790400"),
    ] {
        exact(10, request(Request::SetLed(mode)), bytes);
    }
    exact(
        11,
        request(Request::SetRelay {
            relay: 1,
            closed: true,
        }),
        "0003020b01080e01014912b60400",
    );
    exact(12, request(Request::GetImages), "0003020c01060f54068b6600");
    exact(
        13,
        request(Request::BeginImage(ImageHead {
            bytes: 50_000,
            digest: core::array::from_fn(|i| i as u8),
            version: label("0.2.0"),
        })),
        "0003020d010510d086032a0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f05302e322e30fd636bbd00",
    );
    exact(
        14,
        request(Request::PutImage(ImageChunk {
            offset: 192,
            data: [0xde, 0xad, 0x00, 0xef].into_iter().collect(),
        })),
        "0003020e010711c00104dead06efdd57d6a000",
    );
    exact(15, request(Request::VerifyImage), "0003020f01061263c5381700");
    exact(16, request(Request::TryImage), "000302100106133cb2456800");
    exact(17, request(Request::CommitImage), "00030211010614fa409d4e00");
    exact(18, request(Request::RollBackImage), "0003021201061582df2f2b00");
}

#[test]
fn responses() {
    exact(
        1,
        response(Response::Capabilities(capabilities())),
        "00030201050104010107010a5a0101010e010103020e1080c003efdef64800",
    );
    exact(
        2,
        response(Response::Details(details())),
        "000302022e01050302070301c00201013c01cc9401cc6287ad4b010180f0f1af0d010180b6fcaf0d050202110101edd165ba00",
    );
    exact(
        3,
        response(Response::Details(bare())),
        "00030203040105010101010101010101010101010201010101057bc5cd5200",
    );
    exact(
        4,
        response(Response::Faults(FaultPage {
            newest: 17,
            faults: [
                fault(FaultKind::RailNotUp, 1),
                fault(FaultKind::ClockJumped, -7_200),
            ]
            .into_iter()
            .collect(),
        })),
        "000302041a01061102100380b899290202100380b899290cbf7040a19ee600",
    );
    for (other, bytes) in [
        (OtherImage::Empty, "00030205030107010705302e312e300572b1198300"),
        (
            OtherImage::Coming {
                offset: 384,
                bytes: 50_000,
            },
            "00030205030107011105302e312e30018003d08603a4a9f1f200",
        ),
        (
            OtherImage::Whole {
                version: label("0.2.0"),
            },
            "00030205030107011205302e312e300205302e322e306e79423800",
        ),
    ] {
        let images = ImageReport {
            running: ImageSlot::A,
            trial: false,
            version: label("0.1.0"),
            other,
        };
        exact(5, response(Response::Images(images)), bytes);
    }
    exact(
        6,
        response(Response::ImageWants { offset: 384 }),
        "00030206090108800366d28fc800",
    );
    exact(
        7,
        response(Response::Refused(Refusal::BadImage)),
        "0003020708010307ef70a1fa00",
    );
    exact(
        8,
        response(Response::Refused(Refusal::OutOfOrder)),
        "0003020808010308affa4ee800",
    );
}

#[test]
fn reports() {
    exact(
        1,
        report(Report::Details(details())),
        "000302012e02030302070301c00201013c01cc9401cc6287ad4b010180f0f1af0d010180b6fcaf0d050202110101521c61c500",
    );
    exact(
        2,
        report(Report::Button(ButtonPress::Short)),
        "0003020203020405a24222e100",
    );
    exact(
        3,
        report(Report::Button(ButtonPress::Long)),
        "0003020308020401845b45ab00",
    );
    exact(
        4,
        report(Report::Button(ButtonPress::Stuck)),
        "00030204080204022ed66c8000",
    );
    exact(
        5,
        report(Report::HeatWarning {
            temperature: CentiCelsius(7_550),
            stops_at: CentiCelsius(8_000),
        }),
        "000302050b0205fc75807d598a8a8e00",
    );
    exact(
        6,
        report(Report::Fault(fault(FaultKind::ThermalCut, 9_125))),
        "00030206110206100380b8992906ca8e01cb57774000",
    );
}

/// The number of every variant that the frames above do not show.
#[test]
fn numbers_of_the_enums() {
    fn number<T: serde::Serialize>(value: &T) -> u8 {
        let mut buffer = [0; 1];
        postcard::to_slice(value, &mut buffer).unwrap()[0]
    }
    use {ClockTrust as C, FaultKind as F, ResetCause as R};
    let causes = [
        R::Unknown,
        R::PowerOn,
        R::Watchdog,
        R::Panic,
        R::Software,
        R::Brownout,
    ];
    assert_eq!(causes.map(|v| number(&v)), [0, 1, 2, 3, 4, 5]);
    assert_eq!([C::None, C::Kept, C::Set].map(|v| number(&v)), [0, 1, 2]);
    assert_eq!([ImageSlot::A, ImageSlot::B].map(|v| number(&v)), [0, 1]);
    let kinds = [
        F::Panic,
        F::McuWatchdog,
        F::RailNotUp,
        F::RailLost,
        F::SensorLost,
        F::TooHot,
        F::ThermalCut,
        F::FanStalled,
        F::AgentReset,
        F::AgentPowerCycle,
        F::AgentGivenUp,
        F::ClockStopped,
        F::ClockJumped,
        F::ButtonStuck,
        F::BadImage,
        F::RolledBack,
    ];
    let numbers: Vec<u8> = kinds.iter().map(number).collect();
    assert_eq!(numbers, (0..16).collect::<Vec<u8>>());
}

/// The words of version 2 in a frame that says version 1: nobody has agreed to them.
#[test]
fn words_from_later_are_malformed() {
    let frame = Frame {
        seq: Seq(1),
        payload: request(Request::GetDetails),
    };
    let mut packet = [0; 300];
    let bytes = encode(&frame).unwrap();
    let inner = &bytes[1..bytes.len() - 1];
    let len = cobs::decode(inner, &mut packet).unwrap().frame_size();
    packet[0] = 1;
    let crc = board_link::crc32(&packet[..len - 4]).to_le_bytes();
    packet[len - 4..len].copy_from_slice(&crc);
    let mut stuffed = [0; 300];
    let len = cobs::encode(&packet[..len], &mut stuffed);
    stuffed[len] = 0;
    let found: Vec<_> = Decoder::new().feed(&stuffed[..=len]).collect();
    assert_eq!(found, [Err(FrameError::Malformed { version: 1 })]);
}

fn plan() -> WakePlan {
    let window = |from| WakeWindow {
        from: UnixSeconds(from),
        minutes: 610,
    };
    let day = Some(DayWindow {
        from_minute: 470,
        minutes: 610,
    });
    WakePlan {
        windows: [window(1_795_046_400), window(1_795_132_800)]
            .into_iter()
            .collect(),
        weekly: Some(WeeklyWake {
            utc_offset_minutes: 480,
            days: [day, day, day, day, day, None, None],
        }),
    }
}

fn fault(kind: FaultKind, detail: i32) -> Fault {
    Fault {
        number: 16,
        start: 3,
        uptime_ms: 86_400_000,
        kind,
        detail,
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        temperature: true,
        fan: true,
        tachometer: false,
        backlight: Some((percent(10), percent(90))),
        light_sensor: true,
        amplifier: true,
        rtc: true,
        meter: false,
        button: true,
        led: true,
        rails: 3,
        relays: 2,
        wake_windows: 14,
        faults_kept: 16,
        image_bytes: 57_344,
    }
}

/// Everything fitted, in use.
fn details() -> BoardDetails {
    BoardDetails {
        starts: 3,
        reset_cause: ResetCause::Watchdog,
        rails_up: 0b111,
        rails_good: 0b011,
        ambient_lux: Some(320),
        light: LightMode::Ambient,
        eye_care: Some(percent(60)),
        meter: Some(MeterReading {
            millivolts: 19_020,
            milliamps: 6_310,
        }),
        energy: Energy {
            milliwatt_hours: 1_234_567,
            estimated: true,
        },
        clock: ClockReport {
            time: Some(UnixSeconds(1_795_046_400)),
            trust: ClockTrust::Kept,
        },
        next_wake: Some(UnixSeconds(1_795_132_800)),
        button_presses: 5,
        led: LedMode::On,
        relays_closed: 0b10,
        newest_fault: 17,
        slot: ImageSlot::B,
        trial: true,
    }
}

/// Next to nothing fitted.
fn bare() -> BoardDetails {
    BoardDetails {
        starts: 1,
        reset_cause: ResetCause::Unknown,
        rails_up: 0,
        rails_good: 0,
        ambient_lux: None,
        light: LightMode::Fixed,
        eye_care: None,
        meter: None,
        energy: Energy::default(),
        clock: ClockReport {
            time: None,
            trust: ClockTrust::None,
        },
        next_wake: None,
        button_presses: 0,
        led: LedMode::Off,
        relays_closed: 0,
        newest_fault: 0,
        slot: ImageSlot::A,
        trial: false,
    }
}
