//! Journey: half of a school's boards are hostile. Each holds a real identity of that school; one more comes with another
//! school's. No bad byte is kept on any good board, and all good boards get the lesson.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;
mod netschool;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use contract::peer::{ALPN, ChunkRun, FileId, Hello, PeerFrame, VERSION};
use netschool::{Net, PEERS, at_console, cached, connected, is_ready, line, network, scratch};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use serde_json::Value;
use system_tests::{
    netns::{CONSOLE, Netns, School},
    stand::{Classroom, until},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const GOOD: usize = 4;
const LINE_KBPS: u32 = 20_000;
/// What the swarm is measured with, too (`cargo xtask bench school`).
const CONTENT: u32 = 40_000_000;
const LIMIT: Duration = Duration::from_secs(75);

/// How a board means ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ill {
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

const ALL: [Ill; 6] = [
    Ill::WrongBytes,
    Ill::WrongLength,
    Ill::Stalls,
    Ill::Drips,
    Ill::Floods,
    Ill::Claims,
];

/// What it got done: without deeds it shows nothing.
#[derive(Debug, Default)]
struct Deeds {
    /// Times that a good board let it in.
    sessions: AtomicU64,
    /// Times that it came to nothing at the door.
    refused: AtomicU64,
    /// Wrong chunks handed out, chunks kept back, bytes dripped, frames of a flood, chunks claimed.
    done: AtomicU64,
}

/// What it knows of the lesson: chunk sizes by file.
type Files = Arc<HashMap<FileId, Vec<u32>>>;

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
fn identity(board: &Classroom) -> Result<Arc<ClientConfig>> {
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
fn let_loose(
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

#[test]
fn hostile_boards_of_the_school_change_no_byte() -> Result<()> {
    let _ = ring::default_provider().install_default();
    let school = match network(|| School::build(GOOD + ALL.len(), line(LINE_KBPS))) {
        Ok(school) => school,
        Err(reason) => {
            println!("NOT SHOWN: hostile boards on a LAN; {reason}");
            return Ok(());
        }
    };
    at_console(&school, async || journey(&school).await)
}

async fn journey(school: &School) -> Result<()> {
    let folder = scratch()?;
    let net = Net::start(school, CONSOLE, folder.path()).await?;
    let (ours, theirs) = (
        net.school("3601220001", LINE_KBPS).await?,
        net.school("3601220002", LINE_KBPS).await?,
    );
    let (document, manifest) = net.lesson(folder.path(), "siege", CONTENT)?;
    let mut boards = Vec::new();
    for (n, netns) in school.boards.iter().enumerate() {
        boards.push(
            net.board(folder.path(), ours, &format!("b{n:02}"), netns.name())
                .await?,
        );
    }
    let foreign = net
        .board(folder.path(), theirs, "foreign", school.laptop.name())
        .await?;
    for board in &mut boards[..GOOD] {
        board.start()?;
    }
    net.online(GOOD).await?;
    connected(school, GOOD).await?;

    let files: Files = Arc::new(
        manifest
            .files
            .iter()
            .map(|file| {
                (
                    FileId::from(file.hash),
                    file.chunks.iter().map(|chunk| chunk.size).collect(),
                )
            })
            .chain([(FileId::from(document), vec![1000])])
            .collect(),
    );
    let good: Vec<_> = (0..GOOD)
        .map(|board| SocketAddr::new(school.address(board), PEERS))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut loose = Vec::new();
    for (n, ill) in ALL.into_iter().enumerate() {
        let (netns, tls) = (school.boards[GOOD + n].clone(), identity(&boards[GOOD + n])?);
        loose.push((
            ill,
            let_loose(netns, ill, tls, good.clone(), files.clone(), stop.clone()),
        ));
    }
    let (strange, stranger) = let_loose(
        school.laptop.clone(),
        Ill::WrongBytes,
        identity(&foreign)?,
        good,
        files,
        stop.clone(),
    );
    until("every villain is in", LIMIT, async || {
        Ok(loose
            .iter()
            .all(|(_, (deeds, _))| deeds.sessions.load(Relaxed) > 0)
            .then_some(()))
    })
    .await?;

    let (before, begun) = (school.line_bytes()?, Instant::now());
    net.push(ours, "siege").await?;
    let done = until("every good board ready", LIMIT, async || {
        let ready = (0..GOOD)
            .filter(|board| is_ready(school, *board, "siege").unwrap_or(false))
            .count();
        ensure!(ready == GOOD, "{ready} of {GOOD}");
        Ok(Some(()))
    })
    .await;
    let took = begun.elapsed().as_secs_f64();
    let copies = school.line_bytes()?.sent - before.sent;
    stop.store(true, Relaxed);
    for (ill, (deeds, _)) in &loose {
        println!("{ill:?}: {deeds:?}");
    }
    println!("another school's: {strange:?}");
    if done.is_err() || std::env::var_os("BBT_KEEP_LOGS").is_some() {
        let keep = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
        fs::create_dir_all(&keep)?;
        for (n, board) in boards[..GOOD].iter().enumerate() {
            fs::copy(board.log(), keep.join(format!("b{n}.log")))?;
        }
        println!("logs are in {}", keep.display());
    }
    done?;
    let content: u64 = manifest.files.iter().map(|file| file.size).sum();
    let ideal = content as f64 * 8.0 / (f64::from(LINE_KBPS) * 1000.0);
    println!(
        "{GOOD} good boards, {} hostile ones: {took:.1} s = {:.2} × ideal ({ideal:.1} s; limit 1.35, not asserted: the clock is \
         the machine's) · line {:.3} × content",
        ALL.len(),
        took / ideal,
        copies as f64 / content as f64
    );

    let expected: BTreeSet<_> = manifest.files.iter().map(|file| file.hash.to_hex()).collect();
    for board in &boards[..GOOD] {
        ensure!(
            cached(&board.dir.join("data"))? == expected,
            "{} holds other files",
            board.dir.display()
        );
        let kept = netschool::files_below(&board.dir.join("data/content/manifests"))?;
        let kept = kept
            .iter()
            .filter(|file| file.extension().is_some_and(|kind| kind == "json"));
        for file in kept {
            ensure!(
                contract::hash::Hash::of(&fs::read(file)?) == document,
                "{} is not the manifest",
                file.display()
            );
        }
    }
    for (ill, (deeds, _)) in &loose {
        // What is claimed and what floods needs nobody's question; the others need to be asked to do harm.
        let must = matches!(ill, Ill::WrongBytes | Ill::Floods | Ill::Claims);
        ensure!(
            !must || deeds.done.load(Relaxed) > 0,
            "{ill:?} did nothing: this shows nothing"
        );
    }
    ensure!(strange.refused.load(Relaxed) > 0, "the stranger never knocked");
    ensure!(
        strange.sessions.load(Relaxed) == 0,
        "another school's board was let in"
    );
    for (_, (_, thread)) in loose {
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("a villain panicked"))??;
    }
    stranger
        .join()
        .map_err(|_| anyhow::anyhow!("the stranger panicked"))??;
    Ok(())
}
