//! Boards that mean ill, as programs of their own: they speak the boards' protocol with an identity that was really given.

#![allow(unreachable_pub, reason = "used by one journey")]

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use contract::peer::{ALPN, ChunkRun, FileId, Hello, PeerFrame, VERSION};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use serde_json::Value;
use system_tests::{netns::Netns, stand::Classroom};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::netschool::PEERS;

/// How a board means ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ill {
    WrongBytes,
    WrongLength,
    /// Has everything and hands out nothing; keeps callers waiting at its own door, too.
    Stalls,
    /// Has everything and hands it out at a byte a second.
    Drips,
    /// Words and orders without end.
    Floods,
    /// Says that it fetches everything over the line, and does not.
    Claims,
}

pub const ALL: [Ill; 6] = [
    Ill::WrongBytes,
    Ill::WrongLength,
    Ill::Stalls,
    Ill::Drips,
    Ill::Floods,
    Ill::Claims,
];

/// What it got done: without deeds it shows nothing.
#[derive(Debug, Default)]
pub struct Deeds {
    /// Times that a good board let it in.
    pub sessions: AtomicU64,
    /// Times that it came to nothing at the door.
    pub refused: AtomicU64,
    /// Wrong chunks handed out, chunks kept back, bytes dripped, frames of a flood, chunks claimed.
    pub done: AtomicU64,
}

/// What it knows of the lesson: chunk sizes by file.
pub type Files = Arc<HashMap<FileId, Vec<u32>>>;

struct Villain {
    reader: ReadHalf<TlsStream<TcpStream>>,
    out: WriteHalf<TlsStream<TcpStream>>,
}

impl Villain {
    /// Comes in and says hello; `None` if nobody answers it.
    async fn call(at: SocketAddr, tls: &Arc<ClientConfig>) -> Option<Self> {
        let stream = TcpStream::connect(at).await.ok()?;
        let name = ServerName::try_from("board.bbt.invalid").ok()?;
        let stream = TlsConnector::from(Arc::clone(tls))
            .connect(name, stream)
            .await
            .ok()?;
        let (reader, out) = tokio::io::split(stream);
        let mut villain = Self { reader, out };
        villain
            .say(
                &PeerFrame::Hello(Hello {
                    version: VERSION,
                    port: PEERS,
                }),
                &[],
            )
            .await
            .then_some(())?;
        matches!(villain.next().await?, PeerFrame::Hello(_)).then_some(villain)
    }

    async fn next(&mut self) -> Option<PeerFrame> {
        let mut head = [0; 4];
        self.reader.read_exact(&mut head).await.ok()?;
        let mut frame = vec![0; PeerFrame::length(head).ok()?];
        self.reader.read_exact(&mut frame).await.ok()?;
        Some(PeerFrame::read(&frame).ok()?.0)
    }

    async fn say(&mut self, frame: &PeerFrame, piece: &[u8]) -> bool {
        let mut bytes = Vec::new();
        frame.write(piece, &mut bytes).is_ok() && self.raw(&bytes).await
    }

    async fn raw(&mut self, bytes: &[u8]) -> bool {
        self.out.write_all(bytes).await.is_ok() && self.out.flush().await.is_ok()
    }
}

/// Comes again and again to one good board.
async fn be(
    ill: Ill,
    at: SocketAddr,
    tls: Arc<ClientConfig>,
    files: Files,
    deeds: Arc<Deeds>,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Relaxed) {
        match tokio::time::timeout(Duration::from_secs(8), Villain::call(at, &tls)).await {
            Ok(Some(villain)) => {
                deeds.sessions.fetch_add(1, Relaxed);
                act(ill, villain, &files, &deeds, &stop).await;
            }
            _ => {
                deeds.refused.fetch_add(1, Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn act(ill: Ill, mut villain: Villain, files: &Files, deeds: &Deeds, stop: &AtomicBool) {
    // It wants it all itself, so that it counts among those who may fetch; and it has it all.
    for (file, sizes) in &**files {
        let (file, chunks) = (*file, sizes.len() as u32);
        let all = PeerFrame::Has {
            file,
            chunks,
            have: bits(chunks),
        };
        let said = villain.say(&PeerFrame::Wants(file), &[]).await
            && match ill {
                Ill::Claims => claim(&mut villain, file, chunks, deeds).await,
                _ => villain.say(&all, &[]).await,
            };
        if !said {
            return;
        }
    }
    if ill == Ill::Floods {
        return flood(villain, files, deeds, stop).await;
    }
    while !stop.load(Relaxed) {
        let frame = match tokio::time::timeout(Duration::from_millis(900), villain.next()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(_) => PeerFrame::Alive,
        };
        let said = match frame {
            PeerFrame::Wants(file) => match files.get(&file).map(|sizes| sizes.len() as u32) {
                Some(chunks) if ill == Ill::Claims => claim(&mut villain, file, chunks, deeds).await,
                Some(chunks) => {
                    villain
                        .say(
                            &PeerFrame::Has {
                                file,
                                chunks,
                                have: bits(chunks),
                            },
                            &[],
                        )
                        .await
                }
                None => true,
            },
            PeerFrame::Ask(run) => answer(ill, &mut villain, run, files, deeds).await,
            _ => villain.say(&PeerFrame::Alive, &[]).await,
        };
        if !said {
            return;
        }
    }
}

async fn answer(ill: Ill, villain: &mut Villain, run: ChunkRun, files: &Files, deeds: &Deeds) -> bool {
    for index in run.first..run.first.saturating_add(run.count) {
        let Some(size) = files
            .get(&run.file)
            .and_then(|sizes| sizes.get(index as usize))
            .copied()
        else {
            continue;
        };
        let total = if ill == Ill::WrongLength { size + 1 } else { size };
        deeds.done.fetch_add(1, Relaxed);
        let piece = |at| PeerFrame::Piece {
            file: run.file,
            index,
            total,
            at,
        };
        match ill {
            Ill::WrongBytes | Ill::WrongLength => {
                let mut at = 0;
                while at < total {
                    let part = (total - at).min(32 * 1024);
                    if !villain.say(&piece(at), &vec![7; part as usize]).await {
                        return false;
                    }
                    at += part;
                }
            }
            Ill::Drips => {
                for at in 0..60.min(total) {
                    if !villain.say(&piece(at), b"d").await {
                        return false;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Ill::Stalls | Ill::Claims | Ill::Floods => return villain.say(&PeerFrame::Alive, &[]).await,
        }
    }
    true
}

async fn claim(villain: &mut Villain, file: FileId, chunks: u32, deeds: &Deeds) -> bool {
    for first in (0..chunks).step_by(8) {
        let run = ChunkRun {
            file,
            first,
            count: 8.min(chunks - first),
        };
        if !villain.say(&PeerFrame::Claims(run), &[]).await {
            return false;
        }
        deeds.done.fetch_add(u64::from(run.count), Relaxed);
    }
    true
}

async fn flood(mut villain: Villain, files: &Files, deeds: &Deeds, stop: &AtomicBool) {
    let mut bytes = Vec::new();
    for (file, sizes) in &**files {
        for first in 0..sizes.len().min(200) as u32 {
            let run = ChunkRun {
                file: *file,
                first,
                count: 1,
            };
            for frame in [
                PeerFrame::Ask(run),
                PeerFrame::Got(run),
                PeerFrame::Claims(run),
                PeerFrame::Unclaims(run),
            ] {
                let _ = frame.write(&[], &mut bytes);
            }
        }
    }
    while !stop.load(Relaxed) {
        match tokio::time::timeout(Duration::from_secs(10), villain.raw(&bytes)).await {
            Ok(true) => deeds.done.fetch_add(1, Relaxed),
            _ => return,
        };
        tokio::task::yield_now().await;
    }
}

fn bits(chunks: u32) -> Vec<u8> {
    let mut have = vec![0; (chunks as usize).div_ceil(8)];
    (0..chunks as usize).for_each(|n| have[n / 8] |= 1 << (n % 8));
    have
}

/// The identity that the real agent was given.
pub fn identity(board: &Classroom) -> Result<Arc<ClientConfig>> {
    let folder = board.dir.join("data/identity");
    let kept: Value = serde_json::from_slice(&fs::read(folder.join("identity.json"))?)?;
    let reply = kept.get("reply").unwrap_or(&kept);
    let chain = reply["certificate_pem"].as_str().context("no certificate")?;
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&fs::read(folder.join("key.pem"))?)?;
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_client_auth_cert(chain, key)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(tls))
}

/// A villain does not ask whom it talks to.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A program of its own in a board's namespace, that goes for every good board at once.
pub fn let_loose(
    netns: Netns,
    ill: Ill,
    tls: Arc<ClientConfig>,
    good: Vec<SocketAddr>,
    files: Files,
    stop: Arc<AtomicBool>,
) -> (Arc<Deeds>, std::thread::JoinHandle<Result<()>>) {
    let deeds = Arc::new(Deeds::default());
    let told = Arc::clone(&deeds);
    let thread = std::thread::spawn(move || {
        netns.enter()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            if ill == Ill::Stalls {
                let door = tokio::net::TcpListener::bind(("::", PEERS)).await?;
                tokio::spawn(async move {
                    let mut kept = Vec::new();
                    while let Ok((caller, _)) = door.accept().await {
                        kept.push(caller);
                    }
                });
            }
            let all: Vec<_> = good
                .iter()
                .map(|at| {
                    let of = (tls.clone(), files.clone(), told.clone(), stop.clone());
                    tokio::spawn(be(ill, *at, of.0, of.1, of.2, of.3))
                })
                .collect();
            while !stop.load(Relaxed) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            all.iter().for_each(tokio::task::JoinHandle::abort);
            Ok(())
        })
    });
    (deeds, thread)
}
