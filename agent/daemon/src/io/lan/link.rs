//! One connection with one peer: a task that reads, a task that writes, and what they share.
//!
//! Bounded everywhere: words that wait for the peer (too many, and it is too slow for us), chunks it asked for, bytes we
//! asked for, frames, silence, and the time a chunk may take to leave. Serving needs nobody's decision: what is in the
//! store is sent, the rest denied.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use agent_core::peers::{Denial, Distrust, Span, Word};
use bytes::Bytes;
use contract::{
    id::DeviceId,
    peer::{ChunkRun, Denied, Hello, PeerFrame, VERSION},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{Notify, Semaphore, SemaphorePermit, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    LanEvent,
    asked::{Asked, Assembly, Expected, Took},
    budget::{Budget, weight},
    frames::{FrameReader, ReadError, frame_of, run_of, span_of, wire, word_of},
};
use crate::store::ContentStore;

/// A peer that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// With nothing else to say, this often a sign of life.
const ALIVE: Duration = Duration::from_millis(1200);
/// Writing one piece takes no longer, or the peer does not read.
const WRITE: Duration = Duration::from_secs(10);
/// One chunk leaves within this: it lies in memory as long.
const SERVE: Duration = Duration::from_secs(30);
/// Frames that may wait to be written.
const OUT_FRAMES: usize = 4096;
/// Chunks that a peer may have asked for and not got.
const SERVE_CHUNKS: u64 = 8192;
/// Bytes of a chunk in one frame.
const PIECE_BYTES: usize = 32 * 1024;
const TOO_MUCH: &str = "it says more than a board of ours has to say";

/// What all connections share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) store: ContentStore,
    /// Chunks in memory on their way out, all peers together.
    pub(super) serving: Semaphore,
    /// Bytes of chunks given to peers.
    pub(super) served: AtomicU64,
    /// Where we serve; 0 before we do.
    pub(super) port: std::sync::atomic::AtomicU16,
    pub(super) events: mpsc::Sender<LanEvent>,
}

/// A handle on a connection; it ends with the last one.
#[derive(Debug, Clone)]
pub struct Link {
    /// Tells connections with the same peer apart.
    pub number: u64,
    out: mpsc::Sender<Bytes>,
    asked: Arc<Asked>,
    stop: CancellationToken,
}

/// A word, ready for the wire: made once, told to many.
#[derive(Debug, Clone)]
pub struct Told(Bytes);

impl From<&Word> for Told {
    fn from(word: &Word) -> Self {
        Self(wire(&frame_of(word)))
    }
}

impl Link {
    /// Says it; a peer that does not listen is let go.
    pub fn tell(&self, told: &Told) {
        if !told.0.is_empty() && self.out.try_send(told.0.clone()).is_err() {
            self.stop.cancel();
        }
    }

    /// Asks for chunks; `expected` is how long each of them is.
    pub fn ask(&self, span: Span, expected: impl Iterator<Item = Expected>) {
        for (index, expected) in span.chunks().zip(expected) {
            self.asked.add((span.file, index), expected);
        }
        self.tell(&Told(wire(&PeerFrame::Ask(run_of(span)))));
    }

    /// No longer needs them.
    pub fn cancel(&self, span: Span) {
        for index in span.chunks() {
            self.asked.cancel((span.file, index));
        }
        self.tell(&Told(wire(&PeerFrame::CancelAsk(run_of(span)))));
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.stop.cancel();
    }
}

/// What the peer asked for and did not get yet.
#[derive(Debug, Default)]
struct Orders {
    queue: Mutex<Queue>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    runs: VecDeque<Span>,
    chunks: u64,
}

impl Orders {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room.
    fn add(&self, run: ChunkRun) -> bool {
        let mut queue = self.queue();
        if queue.chunks + u64::from(run.count) > SERVE_CHUNKS {
            return false;
        }
        queue.chunks += u64::from(run.count);
        queue.runs.push_back(span_of(run));
        drop(queue);
        self.more.notify_one();
        true
    }

    fn cancel(&self, run: ChunkRun) {
        let gone = span_of(run);
        let queue = &mut *self.queue();
        let runs = std::mem::take(&mut queue.runs);
        for run in runs {
            if !run.overlaps(&gone) {
                queue.runs.push_back(run);
                continue;
            }
            let (kept, cut) = (run.chunks(), gone.chunks());
            for (first, end) in [
                (kept.start, cut.start.min(kept.end)),
                (cut.end.max(kept.start), kept.end),
            ] {
                if first < end {
                    queue.runs.push_back(Span {
                        first,
                        count: end - first,
                        ..run
                    });
                }
            }
        }
        queue.chunks = queue.runs.iter().map(|run| u64::from(run.count)).sum();
    }

    fn next(&self) -> Option<Span> {
        let queue = &mut *self.queue();
        let run = queue.runs.front_mut()?;
        let next = Span { count: 1, ..*run };
        run.first += 1;
        run.count -= 1;
        if run.count == 0 {
            queue.runs.pop_front();
        }
        queue.chunks -= 1;
        Some(next)
    }
}

/// Runs a connection to its end. `admit` is asked once the peer has said hello; until it says yes nothing of the peer reaches
/// anyone.
pub(super) async fn run<S>(
    stream: S,
    peer: DeviceId,
    number: u64,
    stop: CancellationToken,
    common: Arc<Common>,
) -> String
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (reader, mut writer) = tokio::io::split(stream);
    let mut frames = FrameReader::new(reader, SILENCE);
    let port = common.port.load(Ordering::Relaxed);
    let hello = wire(&PeerFrame::Hello(Hello {
        version: VERSION,
        port,
    }));
    let greeted = async {
        writer.write_all(&hello).await?;
        writer.flush().await?;
        Ok::<_, ReadError>(matches!(frames.next().await?.0, PeerFrame::Hello(_)))
    };
    let greeted = tokio::select! {
        () = stop.cancelled() => return "closed".to_owned(),
        greeted = tokio::time::timeout(SILENCE, greeted) => greeted,
    };
    match greeted {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => return "it did not say hello".to_owned(),
        Ok(Err(error)) => return error.to_string(),
        Err(_) => return ReadError::Silent.to_string(),
    }
    let (out, from_us) = mpsc::channel(OUT_FRAMES);
    let link = Link {
        number,
        out: out.clone(),
        asked: Arc::new(Asked::default()),
        stop: stop.clone(),
    };
    let asked = Arc::clone(&link.asked);
    let orders = Arc::new(Orders::default());
    let up = LanEvent::Up {
        peer: peer.clone(),
        link,
    };
    if common.events.send(up).await.is_err() {
        return "the agent is ending".to_owned();
    }
    let mut ear = Ear {
        peer: peer.clone(),
        number,
        asked,
        orders: Arc::clone(&orders),
        out,
        common: Arc::clone(&common),
        assembly: Assembly::default(),
        budget: Budget::new(Instant::now()),
    };
    let reason = tokio::select! {
        () = stop.cancelled() => "closed".to_owned(),
        ended = ear.listen(&mut frames) => ended,
        ended = speak(&mut writer, from_us, &orders, &common) => ended,
    };
    // Anything still queued is of no use to anyone; the peer hears a proper end if it listens.
    let _ = tokio::time::timeout(Duration::from_millis(200), writer.shutdown()).await;
    let _ = common.events.send(LanEvent::Down { peer, number }).await;
    reason
}

/// Reads what the peer says.
struct Ear {
    peer: DeviceId,
    number: u64,
    asked: Arc<Asked>,
    orders: Arc<Orders>,
    out: mpsc::Sender<Bytes>,
    common: Arc<Common>,
    assembly: Assembly,
    budget: Budget,
}

impl Ear {
    /// Until it ends; says why.
    async fn listen<R: AsyncRead + Unpin>(&mut self, frames: &mut FrameReader<R>) -> String {
        loop {
            let (frame, piece) = match frames.next().await {
                Ok(read) => read,
                Err(error @ ReadError::Frame(_)) => {
                    self.tell_distrust().await;
                    return error.to_string();
                }
                Err(error) => return error.to_string(),
            };
            let event = match frame {
                PeerFrame::Piece {
                    file,
                    index,
                    total,
                    at,
                } => match self
                    .assembly
                    .take((file.into(), index), total, at, piece, &self.asked)
                {
                    Took::Nothing => None,
                    Took::Chunk((file, index), bytes) => Some(LanEvent::Chunk {
                        peer: self.peer.clone(),
                        number: self.number,
                        file,
                        index,
                        bytes,
                    }),
                    Took::WrongLength((file, index)) => Some(LanEvent::WrongLength {
                        peer: self.peer.clone(),
                        number: self.number,
                        file,
                        index,
                    }),
                    Took::Nonsense => {
                        self.tell_distrust().await;
                        return "it sent bytes that nobody asked for".to_owned();
                    }
                },
                PeerFrame::Alive => None,
                PeerFrame::Hello(_) => {
                    self.tell_distrust().await;
                    return "it said hello twice".to_owned();
                }
                PeerFrame::Ask(run) => {
                    if !self.pass(1.0).await {
                        return TOO_MUCH.to_owned();
                    }
                    if !self.orders.add(run) {
                        let denied = wire(&PeerFrame::Denies(run, Denied::Busy));
                        // Waits for the peer to listen: it asks for more than it takes.
                        if self.out.send(denied).await.is_err() {
                            return "closed".to_owned();
                        }
                    }
                    None
                }
                PeerFrame::CancelAsk(run) => {
                    if !self.pass(1.0).await {
                        return TOO_MUCH.to_owned();
                    }
                    self.orders.cancel(run);
                    None
                }
                other => {
                    let word = word_of(other);
                    let weight = word
                        .as_ref()
                        .map_or(1.0, |word| word.as_ref().map_or(1.0, weight));
                    if !self.pass(weight).await {
                        return TOO_MUCH.to_owned();
                    }
                    match word {
                        Ok(Some(word)) => {
                            if let Word::Denies(span, _) = &word {
                                // No longer than what can be asked for at once; the rest was never asked.
                                for index in span.chunks().take(SERVE_CHUNKS as usize) {
                                    self.asked.denied((span.file, index));
                                }
                            }
                            Some(LanEvent::Heard {
                                peer: self.peer.clone(),
                                number: self.number,
                                word,
                            })
                        }
                        Ok(None) => None,
                        Err(error) => {
                            self.tell_distrust().await;
                            return format!("it sent {error}");
                        }
                    }
                }
            };
            if let Some(event) = event
                && self.common.events.send(event).await.is_err()
            {
                return "the agent is ending".to_owned();
            }
        }
    }

    /// No faster than words may come; not at all if it goes on and on.
    async fn pass(&mut self, weight: f64) -> bool {
        let Some(wait) = self.budget.take(weight, Instant::now()) else {
            return false;
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        true
    }

    async fn tell_distrust(&self) {
        let event = LanEvent::Distrusted {
            peer: self.peer.clone(),
            reason: Distrust::Nonsense,
        };
        let _ = self.common.events.send(event).await;
    }
}

/// Writes what is to be said, and between that the chunks that were asked for. Until it ends; says why.
async fn speak<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut words: mpsc::Receiver<Bytes>,
    orders: &Orders,
    common: &Common,
) -> String {
    let mut buffer = Vec::with_capacity(PIECE_BYTES + 128);
    loop {
        let order = tokio::select! {
            biased;
            word = words.recv() => match word {
                Some(word) => {
                    buffer.extend_from_slice(&word);
                    None
                }
                None => return "closed".to_owned(),
            },
            order = next_order(orders) => Some(order),
            () = tokio::time::sleep(ALIVE) => {
                buffer.extend_from_slice(&wire(&PeerFrame::Alive));
                None
            }
        };
        let sent = match order {
            None => flush(writer, &mut words, &mut buffer).await,
            // Others may have all the places for long; that is no fault of this peer.
            Some(order) => match place(writer, &mut words, &mut buffer, common).await {
                Ok(_place) => {
                    let served = serve(writer, &mut words, &mut buffer, order, common);
                    tokio::time::timeout(SERVE, served)
                        .await
                        .unwrap_or_else(|_| Err("it takes what it asked for too slowly".to_owned()))
                }
                Err(reason) => Err(reason),
            },
        };
        if let Err(reason) = sent {
            return reason;
        }
    }
}

async fn next_order(orders: &Orders) -> Span {
    loop {
        if let Some(order) = orders.next() {
            return order;
        }
        orders.more.notified().await;
    }
}

/// Writes the buffer and every word that waits.
async fn flush<W: AsyncWrite + Unpin>(
    writer: &mut W,
    words: &mut mpsc::Receiver<Bytes>,
    buffer: &mut Vec<u8>,
) -> Result<(), String> {
    while buffer.len() < 4 * PIECE_BYTES
        && let Ok(word) = words.try_recv()
    {
        buffer.extend_from_slice(&word);
    }
    let written = async {
        writer.write_all(buffer).await?;
        writer.flush().await
    };
    let written = tokio::time::timeout(WRITE, written).await;
    buffer.clear();
    if buffer.capacity() > 4 * PIECE_BYTES {
        buffer.shrink_to(PIECE_BYTES);
    }
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not read what it is told".to_owned()),
    }
}

/// Waits for a place among the chunks in memory; meanwhile words and signs of life are written.
async fn place<'a, W: AsyncWrite + Unpin>(
    writer: &mut W,
    words: &mut mpsc::Receiver<Bytes>,
    buffer: &mut Vec<u8>,
    common: &'a Common,
) -> Result<SemaphorePermit<'a>, String> {
    let acquiring = common.serving.acquire();
    tokio::pin!(acquiring);
    loop {
        tokio::select! {
            biased;
            place = &mut acquiring => return place.map_err(|_| "closed".to_owned()),
            word = words.recv() => match word {
                Some(word) => buffer.extend_from_slice(&word),
                None => return Err("closed".to_owned()),
            },
            () = tokio::time::sleep(ALIVE) => buffer.extend_from_slice(&wire(&PeerFrame::Alive)),
        }
        flush(writer, words, buffer).await?;
    }
}

/// Sends one chunk, or denies it.
async fn serve<W: AsyncWrite + Unpin>(
    writer: &mut W,
    words: &mut mpsc::Receiver<Bytes>,
    buffer: &mut Vec<u8>,
    order: Span,
    common: &Common,
) -> Result<(), String> {
    let store = common.store.clone();
    let read = tokio::task::spawn_blocking(move || store.read_chunk(order.file, order.first)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            tracing::warn!(file = %order.file, index = order.first, %error, "a chunk cannot be served");
            None
        }
        Err(_) => None,
    };
    let total = bytes.as_ref().and_then(|bytes| u32::try_from(bytes.len()).ok());
    let (Some(bytes), Some(total)) = (bytes.filter(|bytes| !bytes.is_empty()), total) else {
        let denied = Word::Denies(order, Denial::Gone);
        buffer.extend_from_slice(&wire(&frame_of(&denied)));
        return flush(writer, words, buffer).await;
    };
    let mut at = 0;
    for piece in bytes.chunks(PIECE_BYTES) {
        let head = PeerFrame::Piece {
            file: order.file.into(),
            index: order.first,
            total,
            at,
        };
        head.write(piece, buffer).map_err(|error| error.to_string())?;
        flush(writer, words, buffer).await?;
        at += piece.len() as u32;
    }
    common.served.fetch_add(u64::from(total), Ordering::Relaxed);
    Ok(())
}
