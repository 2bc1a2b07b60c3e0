//! What must hold for every frame and for every string of bytes.
#![allow(clippy::unwrap_used)] // helpers of tests

use board_link::{
    BoardDetails, BoardReport, BootReason, CHUNK_BYTES, CentiCelsius, ClockReport, ClockTrust, Decoder,
    Energy, FAULTS_PER_PAGE, FanReport, Fault, FaultKind, FaultPage, Frame, FrameError, Handshake, Hello,
    ImageChunk, ImageHead, ImageSlot, LedMode, LightMode, MAX_FRAME, Message, MeterReading, NEWEST, Payload,
    Percent, PowerAction, PowerState, Refusal, Report, Request, ResetCause, Response, RtcReading, Seq,
    StopReason, ThermalLevel, UnixSeconds, VersionRange, WAKE_WINDOWS, WakePlan, WakeWindow, WatchdogStage,
    WeeklyWake, Welcome, encode, label,
};
use crc::{CRC_32_ISO_HDLC, Crc};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn percent() -> impl Strategy<Value = Percent> {
    (0u8..=100).prop_map(|share| Percent::new(share).unwrap())
}

fn versions() -> impl Strategy<Value = VersionRange> {
    (1u8..=255, 1u8..=255).prop_map(|(a, b)| VersionRange::new(a.min(b), a.max(b)).unwrap())
}

fn stop_reason() -> impl Strategy<Value = StopReason> {
    use StopReason::{Button, Halted, Requested, StartFailed, ThermalCut, TooHot, Watchdog};
    select(vec![
        Requested,
        Button,
        TooHot,
        ThermalCut,
        Watchdog,
        StartFailed,
        Halted,
    ])
}

fn board() -> impl Strategy<Value = BoardReport> {
    use BootReason as B;
    use PowerState as P;
    use ThermalLevel as T;
    use WatchdogStage as W;
    (
        any::<u64>(),
        select(vec![
            B::Unknown,
            B::PowerApplied,
            B::Button,
            B::Wake,
            B::Requested,
            B::Watchdog,
        ]),
        option::of(stop_reason()),
        select(vec![P::Off, P::Starting, P::On, P::Stopping]),
        option::of(any::<i16>().prop_map(CentiCelsius)),
        select(vec![T::Normal, T::Derated, T::Shutdown, T::Cut]),
        option::of((percent(), option::of(any::<u16>())).prop_map(|(duty, rpm)| FanReport { duty, rpm })),
        option::of(percent()),
        any::<bool>(),
        select(vec![W::Disarmed, W::Fed, W::Asked, W::Booting, W::GaveUp]),
    )
        .prop_map(
            |(
                uptime_ms,
                boot_reason,
                last_stop,
                power,
                temperature,
                thermal,
                fan,
                backlight,
                muted,
                watchdog,
            )| {
                BoardReport {
                    uptime_ms,
                    boot_reason,
                    last_stop,
                    power,
                    temperature,
                    thermal,
                    fan,
                    backlight,
                    muted,
                    watchdog,
                }
            },
        )
}

fn message() -> impl Strategy<Value = Message> {
    use PowerAction::{Off, On, Reboot};
    prop_oneof![
        select(vec![Request::GetReport, Request::FeedWatchdog, Request::GetRtc]).prop_map(Message::Request),
        select(vec![On, Off, Reboot]).prop_map(|action| Message::Request(Request::SetPower(action))),
        percent().prop_map(|share| Message::Request(Request::SetBacklight(share))),
        any::<bool>().prop_map(|muted| Message::Request(Request::SetMute(muted))),
        any::<i64>().prop_map(|time| Message::Request(Request::SetRtc(UnixSeconds(time)))),
        Just(Message::Response(Response::Done)),
        board().prop_map(|board| Message::Response(Response::Board(board))),
        (any::<i64>(), any::<bool>()).prop_map(|(time, trusted)| Message::Response(Response::Rtc(
            RtcReading {
                time: UnixSeconds(time),
                trusted
            }
        ))),
        select(vec![Refusal::NoSession, Refusal::OutOfRange, Refusal::PartFailed])
            .prop_map(|why| Message::Response(Response::Refused(why))),
        board().prop_map(|board| Message::Report(Report::Board(board))),
        any::<u32>().prop_map(|reboot_in_ms| Message::Report(Report::AskFeed { reboot_in_ms })),
        (stop_reason(), any::<u32>())
            .prop_map(|(reason, cut_in_ms)| Message::Report(Report::StopRequested { reason, cut_in_ms })),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    (any::<u32>(), any::<u32>(), any::<u64>(), any::<i32>()).prop_map(|(number, start, uptime_ms, detail)| {
        Fault {
            number,
            start,
            uptime_ms,
            kind: FaultKind::RolledBack,
            detail,
        }
    })
}

fn details() -> impl Strategy<Value = BoardDetails> {
    (
        any::<(u32, u8, u8, Option<u32>, u64, bool)>(),
        option::of(percent()),
        option::of(any::<(u32, i32)>()),
        option::of(any::<i64>()),
        option::of(any::<i64>()),
        any::<(u32, u8, u32, bool)>(),
    )
        .prop_map(|(a, eye_care, meter, time, wake, b)| BoardDetails {
            starts: a.0,
            reset_cause: ResetCause::Brownout,
            rails_up: a.1,
            rails_good: a.2,
            ambient_lux: a.3,
            light: LightMode::Ambient,
            eye_care,
            meter: meter.map(|(millivolts, milliamps)| MeterReading {
                millivolts,
                milliamps,
            }),
            energy: Energy {
                milliwatt_hours: a.4,
                estimated: a.5,
            },
            clock: ClockReport {
                time: time.map(UnixSeconds),
                trust: ClockTrust::Set,
            },
            next_wake: wake.map(UnixSeconds),
            button_presses: b.0,
            led: LedMode::Fast,
            relays_closed: b.1,
            newest_fault: b.2,
            slot: ImageSlot::B,
            trial: b.3,
        })
}

fn plan() -> impl Strategy<Value = WakePlan> {
    let window = (any::<i64>(), any::<u16>()).prop_map(|(from, minutes)| WakeWindow {
        from: UnixSeconds(from),
        minutes,
    });
    let windows = prop::collection::vec(window, 0..=WAKE_WINDOWS);
    let day = option::of(
        any::<(u16, u16)>().prop_map(|(from_minute, minutes)| board_link::DayWindow { from_minute, minutes }),
    );
    let weekly = option::of((any::<i16>(), prop::array::uniform7(day)).prop_map(
        |(utc_offset_minutes, days)| WeeklyWake {
            utc_offset_minutes,
            days,
        },
    ));
    (windows, weekly).prop_map(|(windows, weekly)| WakePlan {
        windows: windows.into_iter().collect(),
        weekly,
    })
}

/// Words that version 2 brought.
fn newer() -> impl Strategy<Value = Message> {
    prop_oneof![
        plan().prop_map(|plan| Message::Request(Request::SetWakePlan(plan))),
        (any::<u8>(), any::<bool>())
            .prop_map(|(relay, closed)| Message::Request(Request::SetRelay { relay, closed })),
        option::of(percent()).prop_map(|cap| Message::Request(Request::SetEyeCare(cap))),
        (any::<u32>(), any::<[u8; 32]>(), any::<String>()).prop_map(|(bytes, digest, version)| {
            let version = label(&version);
            Message::Request(Request::BeginImage(ImageHead {
                bytes,
                digest,
                version,
            }))
        }),
        (any::<u32>(), prop::collection::vec(any::<u8>(), 0..=CHUNK_BYTES)).prop_map(|(offset, data)| {
            let data = data.into_iter().collect();
            Message::Request(Request::PutImage(ImageChunk { offset, data }))
        }),
        details().prop_map(|details| Message::Response(Response::Details(details))),
        details().prop_map(|details| Message::Report(Report::Details(details))),
        (any::<u32>(), prop::collection::vec(fault(), 0..=FAULTS_PER_PAGE)).prop_map(|(newest, faults)| {
            let faults = faults.into_iter().collect();
            Message::Response(Response::Faults(FaultPage { newest, faults }))
        }),
        fault().prop_map(|fault| Message::Report(Report::Fault(fault))),
        Just(Message::Response(Response::Refused(Refusal::OutOfOrder))),
    ]
}

fn handshake() -> impl Strategy<Value = Handshake> {
    prop_oneof![
        (versions(), any::<String>()).prop_map(|(versions, text)| Handshake::Hello(Hello {
            versions,
            software: label(&text)
        })),
        (any::<u8>(), versions(), any::<String>(), any::<String>()).prop_map(
            |(version, versions, board, firmware)| Handshake::Welcome(Welcome {
                version,
                versions,
                board: label(&board),
                firmware: label(&firmware)
            })
        ),
        versions().prop_map(Handshake::NoCommonVersion),
        (any::<u8>(), versions(), any::<u16>()).prop_map(|(version, versions, first)| {
            Handshake::WelcomeFrom {
                welcome: Welcome {
                    version,
                    versions,
                    board: label("b"),
                    firmware: label("f"),
                },
                first: Seq(first),
            }
        }),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    let payload = prop_oneof![
        (1..=NEWEST, message()).prop_map(|(version, message)| Payload::Session { version, message }),
        newer().prop_map(|message| Payload::Session {
            version: NEWEST,
            message
        }),
        handshake().prop_map(Payload::Handshake),
    ];
    (any::<u16>(), payload).prop_map(|(seq, payload)| Frame {
        seq: Seq(seq),
        payload,
    })
}

/// A frame with right stuffing and CRC around bytes that need not be words.
fn wrap(packet: &[u8]) -> Vec<u8> {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(packet);
    let packet = [packet, &crc.to_le_bytes()].concat();
    let mut stuffed = vec![0; packet.len() * 2 + 2];
    let len = cobs::encode(&packet, &mut stuffed);
    [&[0], &stuffed[..len], &[0]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_frame_survives_the_wire_in_pieces_of_any_size(
        frames in prop::collection::vec(frame(), 1..5),
        piece in 1usize..40,
    ) {
        let mut wire = Vec::new();
        for frame in &frames {
            let bytes = encode(frame).unwrap();
            prop_assert!(bytes.len() <= MAX_FRAME);
            wire.extend_from_slice(&bytes);
        }
        let mut decoder = Decoder::new();
        let mut back = Vec::new();
        for piece in wire.chunks(piece) {
            back.extend(decoder.feed(piece));
        }
        prop_assert_eq!(back, frames.into_iter().map(Ok).collect::<Vec<_>>());
    }

    #[test]
    fn garbage_never_panics_and_costs_no_frame_after_it(
        garbage in prop::collection::vec(any::<u8>(), 0..1_000),
        frame in frame(),
    ) {
        let mut decoder = Decoder::new();
        decoder.feed(&garbage).for_each(drop);
        let bytes = encode(&frame).unwrap();
        let after: Vec<_> = decoder.feed(&bytes).collect();
        prop_assert_eq!(after.last(), Some(&Ok(frame)));
        prop_assert!(after.len() <= 2, "one error for the garbage, one frame: {:?}", after);
    }

    #[test]
    fn words_that_make_no_sense_never_panic(packet in prop::collection::vec(any::<u8>(), 0..245), version in 0u8..4) {
        let packet = [&[version], packet.as_slice()].concat();
        let found: Vec<_> = Decoder::new().feed(&wrap(&packet)).collect();
        prop_assert_eq!(found.len(), 1);
        let judged_by_its_words = !matches!(found[0], Err(FrameError::BadCrc { .. } | FrameError::BadStuffing));
        prop_assert!(judged_by_its_words, "{:?}", found);
    }

    #[test]
    fn one_flipped_bit_is_never_believed(frame in frame(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode(&frame).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        for found in Decoder::new().feed(&bytes).flatten() {
            // Only a spoilt outer delimiter leaves the frame whole.
            prop_assert!(at == 0 || at == bytes.len() - 1);
            prop_assert_eq!(&found, &frame);
        }
    }

    #[test]
    fn half_a_frame_spoils_only_itself(frame in frame(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&frame).unwrap();
        let cut = cut.index(bytes.len() - 1);
        let mut decoder = Decoder::new();
        prop_assert_eq!(decoder.feed(&bytes[..cut]).count(), 0);
        let after: Vec<_> = decoder.feed(&bytes).collect();
        prop_assert_eq!(after.last(), Some(&Ok(frame)));
    }
}

#[test]
fn each_kind_of_damage_has_its_own_error() {
    let first = |bytes: &[u8]| Decoder::new().feed(bytes).next().unwrap().unwrap_err();

    assert_eq!(first(&[7; 300]), FrameError::TooLong);
    assert_eq!(first(&[9, 1, 0]), FrameError::BadStuffing);
    assert_eq!(first(&[3, 1, 2, 0]), FrameError::TooShort { len: 2 });
    assert_eq!(
        first(&wrap(&[77, 1, 0, 0, 0])),
        FrameError::UnsupportedVersion(77)
    );
    assert_eq!(first(&wrap(&[1, 1, 0, 9])), FrameError::Malformed { version: 1 });
    assert!(matches!(
        first(&[8, 1, 1, 1, 1, 1, 1, 1, 0]),
        FrameError::BadCrc { .. }
    ));
    // SetBacklight(101), and GetReport with a byte left over.
    assert_eq!(
        first(&wrap(&[1, 1, 0, 0, 3, 101])),
        FrameError::Malformed { version: 1 }
    );
    assert_eq!(
        first(&wrap(&[1, 1, 0, 0, 0, 0])),
        FrameError::Malformed { version: 1 }
    );
    // A Hello whose range ends before it starts.
    assert_eq!(
        first(&wrap(&[0, 1, 0, 0, 3, 2, 0])),
        FrameError::Malformed { version: 0 }
    );
}

#[test]
fn an_endless_frame_is_reported_once() {
    let mut decoder = Decoder::new();
    let errors: Vec<_> = decoder.feed(&[1; 10_000]).collect();
    assert_eq!(errors, [Err(FrameError::TooLong)]);
}

#[test]
fn a_version_that_is_not_spoken_is_not_sent() {
    let message = Message::Request(Request::GetReport);
    let frame = Frame {
        seq: Seq(0),
        payload: Payload::Session {
            version: 200,
            message,
        },
    };
    assert!(encode(&frame).is_err());
}
