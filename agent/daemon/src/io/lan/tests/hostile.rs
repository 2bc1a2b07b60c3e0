//! Boards that mean ill, and strangers.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use contract::{
    hash::Hash,
    peer::{ChunkRun, FileId, Hello, MAX_FRAME_BYTES, PeerFrame, VERSION},
};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::kit::{self, COUNTY, School, county, id, member, until};
use crate::{
    io::{
        lan::{PeerTls, frames::FrameReader},
        tls::TimeFloor,
    },
    store::tests::kit::{Lesson, noise},
};

struct Villain {
    frames: FrameReader<ReadHalf<TlsStream<TcpStream>>>,
    out: WriteHalf<TlsStream<TcpStream>>,
}

impl Villain {
    /// Comes in and says hello; `None` if it is not let in.
    async fn call(at: SocketAddr, tls: &PeerTls) -> Option<Self> {
        let stream = TcpStream::connect(at).await.unwrap();
        let name = ServerName::try_from("board.bbt.invalid").unwrap();
        let stream = TlsConnector::from(Arc::clone(&tls.client))
            .connect(name, stream)
            .await
            .ok()?;
        let (reader, out) = tokio::io::split(stream);
        let frames = FrameReader::new(reader, Duration::from_secs(20));
        let mut villain = Self { frames, out };
        let hello = Hello {
            version: VERSION,
            port: 0,
        };
        villain.say(&PeerFrame::Hello(hello), &[]).await.then_some(())?;
        let (frame, _) = villain.frames.next().await.ok()?;
        assert!(matches!(frame, PeerFrame::Hello(_)), "{frame:?}");
        Some(villain)
    }

    async fn say(&mut self, frame: &PeerFrame, piece: &[u8]) -> bool {
        let mut bytes = Vec::new();
        frame.write(piece, &mut bytes).unwrap();
        self.raw(&bytes).await
    }

    async fn raw(&mut self, bytes: &[u8]) -> bool {
        self.out.write_all(bytes).await.is_ok() && self.out.flush().await.is_ok()
    }

    /// Until it is sent away.
    async fn sent_away(&mut self) {
        let end = async { while self.frames.next().await.is_ok() {} };
        tokio::time::timeout(Duration::from_secs(30), end).await.unwrap();
    }
}

/// How a board means ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ill {
    WrongBytes,
    WrongLength,
    /// Has everything and hands out nothing.
    Stalls,
    /// A byte now and then.
    Drips,
    /// Claims everything, for ever.
    Claims,
}

/// Says that it has all of the lesson, and does its worst.
async fn be(ill: Ill, at: SocketAddr, lesson_files: HashMap<FileId, Vec<u32>>) {
    let tls = COUNTY.tls("villain");
    // Sent away, it comes again.
    for _ in 0..20 {
        if let Some(mut villain) = Villain::call(at, &tls).await {
            act(ill, &mut villain, &lesson_files).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn act(ill: Ill, villain: &mut Villain, files: &HashMap<FileId, Vec<u32>>) {
    while let Ok((frame, _)) = villain.frames.next().await {
        let said = match frame {
            PeerFrame::Wants(file) => {
                let Some(sizes) = files.get(&file) else { continue };
                let chunks = sizes.len() as u32;
                if ill == Ill::Claims {
                    let count = chunks.min(64);
                    let run = ChunkRun {
                        file,
                        first: 0,
                        count,
                    };
                    villain.say(&PeerFrame::Claims(run), &[]).await
                } else {
                    let have = agent_core::peers::Bits::all(chunks).to_bytes();
                    villain.say(&PeerFrame::Has { file, chunks, have }, &[]).await
                }
            }
            PeerFrame::Ask(run) => {
                let Some(size) = files.get(&run.file).map(|sizes| sizes[run.first as usize]) else {
                    continue;
                };
                let piece = |total| PeerFrame::Piece {
                    file: run.file,
                    index: run.first,
                    total,
                    at: 0,
                };
                match ill {
                    Ill::WrongBytes => villain.say(&piece(size), &vec![7; size as usize]).await,
                    Ill::WrongLength => villain.say(&piece(size + 1), &vec![7; size as usize + 1]).await,
                    Ill::Drips => villain.say(&piece(size), b"d").await,
                    Ill::Stalls | Ill::Claims => villain.say(&PeerFrame::Alive, &[]).await,
                }
            }
            _ => villain.say(&PeerFrame::Alive, &[]).await,
        };
        if !said {
            return;
        }
    }
}

fn files_of(lesson: &Lesson) -> HashMap<FileId, Vec<u32>> {
    let files = lesson.manifest.files.iter();
    files
        .map(|entry| {
            let sizes = entry.chunks.iter().map(|chunk| chunk.size).collect();
            (FileId::from(entry.hash), sizes)
        })
        .chain([(FileId::from(lesson.assigned.manifest), vec![1000])])
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_a_board_does_no_bad_byte_is_kept_and_the_others_get_on() {
    for ill in [
        Ill::WrongBytes,
        Ill::WrongLength,
        Ill::Stalls,
        Ill::Drips,
        Ill::Claims,
    ] {
        let mut school = School::of(3, Some(24_000)).await;
        school
            .others
            .push(member(&id("villain"), "127.0.0.1:1".parse().unwrap()));
        school.tell_plan();
        let lesson = kit::lesson(&[noise(1, 3 * 1024 * 1024), noise(2, 9000)]);
        school.console.add(&lesson);
        let villains: Vec<_> = school
            .boards
            .iter()
            .map(|board| tokio::spawn(be(ill, board.address, files_of(&lesson))))
            .collect();
        let peers = |school: &School| {
            let of = |n: usize| {
                let shared = &school.boards[n].fetcher.0.shared;
                shared.peers.load(std::sync::atomic::Ordering::Relaxed)
            };
            [of(0), of(1), of(2)]
        };
        until("the villain is in", || peers(&school) == [3; 3]).await;
        let began = std::time::Instant::now();
        school.all_fetch(&lesson).await;
        eprintln!("{ill:?}: {:.1} s", began.elapsed().as_secs_f64());
        if matches!(ill, Ill::WrongBytes | Ill::WrongLength) {
            until("the villain is out, and stays out", || peers(&school) == [2; 3]).await;
            assert!(
                Villain::call(school.boards[0].address, &COUNTY.tls("villain"))
                    .await
                    .is_none()
            );
        }
        for villain in villains {
            villain.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strangers_do_not_get_in() {
    let school = School::of(1, None).await;
    let at = school.boards[0].address;
    assert!(
        Villain::call(at, &COUNTY.tls("nobody")).await.is_none(),
        "not in the plan"
    );
    assert!(Villain::call(at, &COUNTY.tls("d0")).await.is_none(), "ourselves");
    let foreign = county();
    assert!(
        Villain::call(at, &foreign.tls("d0")).await.is_none(),
        "another county"
    );
    // Another county's certificate by somebody who believes ours.
    let (certificate, key) = foreign.issue("d1", ExtendedKeyUsagePurpose::ClientAuth);
    let tls = PeerTls::new(&COUNTY.pem, &certificate, &key, TimeFloor::default()).unwrap();
    assert!(Villain::call(at, &tls).await.is_none(), "another county's board");
    // The county's own servers are no boards.
    let (certificate, key) = COUNTY.issue("d1", ExtendedKeyUsagePurpose::ServerAuth);
    let tls = PeerTls::new(&COUNTY.pem, &certificate, &key, TimeFloor::default()).unwrap();
    assert!(
        Villain::call(at, &tls).await.is_none(),
        "the console's certificate"
    );
    // No TLS at all.
    let mut plain = TcpStream::connect(at).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
    assert_eq!(school.boards[0].fetcher.take_traffic().peers, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_no_frame_ends_the_connection_and_a_half_one_holds_nothing() {
    let mut school = School::of(1, None).await;
    let names = ["long", "strange", "bounds", "half", "unasked", "twice"];
    for name in names {
        school
            .others
            .push(member(&id(name), "127.0.0.1:1".parse().unwrap()));
    }
    school.tell_plan();
    let at = school.boards[0].address;
    let file: FileId = Hash::of(b"any").into();
    for name in names {
        let tls = COUNTY.tls(name);
        let mut villain = None;
        for _ in 0..100 {
            villain = Villain::call(at, &tls).await;
            if villain.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut villain = villain.unwrap();
        match name {
            "long" => villain.raw(&(MAX_FRAME_BYTES as u32 + 1).to_be_bytes()).await,
            "strange" => villain.raw(&[0, 0, 0, 3, 99, 1, 2]).await,
            "bounds" => {
                villain
                    .raw(&[&[0, 0, 0, 36, 9][..], &[1; 32], &[0, 0, 0]].concat())
                    .await
            }
            "half" => villain.raw(&[0, 0, 1, 0, 4, 4, 4]).await,
            "unasked" => {
                let piece = |index| PeerFrame::Piece {
                    file,
                    index,
                    total: 32_768,
                    at: 0,
                };
                let mut sent = true;
                for index in 0..1000 {
                    sent = villain.say(&piece(index), &[0; 32_768]).await;
                    if !sent {
                        break;
                    }
                }
                assert!(!sent, "32 MiB that nobody asked for were taken");
                true
            }
            _ => {
                villain
                    .say(&PeerFrame::Hello(Hello { version: 1, port: 0 }), &[])
                    .await
            }
        };
        villain.sent_away().await;
        if name != "half" {
            // The connection may be gone a moment before the ban is written down.
            let mut out = false;
            for _ in 0..100 {
                out = Villain::call(at, &tls).await.is_none();
                if out {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(out, "{name} is let in again and again");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_words_slows_nobody_down() {
    let mut school = School::of(2, Some(24_000)).await;
    school
        .others
        .push(member(&id("villain"), "127.0.0.1:1".parse().unwrap()));
    school.tell_plan();
    let lesson = kit::lesson(&[noise(1, 3 * 1024 * 1024)]);
    school.console.add(&lesson);
    let floods: Vec<_> = school
        .boards
        .iter()
        .map(|board| {
            let (at, file) = (board.address, FileId::from(lesson.manifest.files[0].hash));
            tokio::spawn(async move {
                let tls = COUNTY.tls("villain");
                loop {
                    if let Some(mut villain) = Villain::call(at, &tls).await {
                        let mut bytes = Vec::new();
                        for index in 0..500_u32 {
                            let run = ChunkRun {
                                file,
                                first: index,
                                count: 1,
                            };
                            for frame in [PeerFrame::Ask(run), PeerFrame::Got(run), PeerFrame::Claims(run)] {
                                frame.write(&[], &mut bytes).unwrap();
                            }
                        }
                        while villain.raw(&bytes).await {}
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            })
        })
        .collect();
    school.all_fetch(&lesson).await;
    for flood in floods {
        flood.abort();
    }
}
