//! Spans of files over the school's line: Range requests over connections that stay open, at the pace that is allowed.
//!
//! Where the pace is limited a span is asked for in small pieces, each one when its time has come: whoever asks for all at
//! once gets it at full speed, whatever the reader's pace, and the class's own traffic waits behind it.

use std::{io::Read, net::SocketAddr, sync::Arc, time::Duration};

use agent_core::peers::{Span, WanEnd};
use bytes::{Bytes, BytesMut};
use contract::{api, lesson::MAX_MANIFEST_BYTES};
use flate2::read::GzDecoder;
use futures_util::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    cutter::Cutter,
    http::{self, Fault},
    limit::Limiter,
};

/// Bytes of chunks between line and disk, in KiB.
const ROOM_KIB: u32 = 3 * 1024;
/// Between two words on progress.
const TELL_EVERY: Duration = Duration::from_millis(400);

/// A packet that is not back by then is lost.
const ROUND_TRIP: Duration = Duration::from_secs(3);

/// One request of many for the same span.
pub(super) type SpanId = u64;

/// The line.
#[derive(Debug, Clone)]
pub(super) struct Wan {
    pub(super) client: reqwest::Client,
    pub(super) console: String,
    pub(super) limiter: Arc<Limiter>,
    room: Arc<Semaphore>,
    said: mpsc::Sender<WanSaid>,
}

/// What is fetched.
#[derive(Debug)]
pub(super) struct SpanJob {
    pub(super) id: SpanId,
    pub(super) span: Span,
    pub(super) what: What,
    pub(super) cancel: CancellationToken,
}

#[derive(Debug)]
pub(super) enum What {
    /// Chunks of these sizes, the first of which begins at `from`, of a file of `size` bytes.
    Chunks { sizes: Vec<u32>, from: u64, size: u64 },
    /// A signed manifest.
    Manifest,
}

/// What comes of it; `Ended` is the last word on a span.
#[derive(Debug)]
pub(super) enum WanSaid {
    /// Body bytes since the last word.
    Progress { id: SpanId, bytes: u64 },
    /// A chunk; not verified.
    Chunk {
        id: SpanId,
        index: u32,
        bytes: Bytes,
        room: OwnedSemaphorePermit,
    },
    /// It is over.
    Ended { id: SpanId, fault: Option<Fault> },
}

/// What the core is told of a fault.
pub(super) fn end_of(fault: Option<&Fault>) -> WanEnd {
    match fault {
        None | Some(Fault::Cancelled) => WanEnd::Ok,
        Some(Fault::Line(_)) => WanEnd::Line,
        Some(Fault::Busy { retry_after_s, .. }) => WanEnd::Busy {
            after: retry_after_s.map(|seconds| Duration::from_secs(u64::from(seconds))),
        },
        // A login page in between, a server that is being changed: nothing that the file could do about it.
        Some(Fault::Answer { .. }) => WanEnd::Busy { after: None },
        Some(Fault::NotFound { .. }) => WanEnd::NotFound,
        Some(Fault::Refused { .. }) => WanEnd::Refused,
    }
}

impl Wan {
    pub(super) fn new(
        client: reqwest::Client,
        console: String,
        limiter: Arc<Limiter>,
        said: mpsc::Sender<WanSaid>,
    ) -> Self {
        Self {
            client,
            console,
            limiter,
            room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            said,
        }
    }

    /// Fetches a span; everything about it is said on the channel.
    pub(super) fn fetch(&self, job: SpanJob) {
        let wan = self.clone();
        tokio::spawn(async move {
            let mut told = Told {
                wan: &wan,
                id: job.id,
                bytes: 0,
                at: Instant::now(),
            };
            let fetched = tokio::select! {
                biased;
                () = job.cancel.cancelled() => Err(Fault::Cancelled),
                fetched = wan.span(&job, &mut told) => fetched,
            };
            told.now().await;
            let fault = fetched.err();
            // Nobody listens only when the agent is ending.
            let _ = wan.said.send(WanSaid::Ended { id: job.id, fault }).await;
        });
    }

    async fn span(&self, job: &SpanJob, told: &mut Told<'_>) -> Result<(), Fault> {
        match &job.what {
            What::Manifest => self.manifest(job, told).await,
            What::Chunks { sizes, from, size } => self.chunks(job, sizes, *from, *size, told).await,
        }
    }

    async fn chunks(
        &self,
        job: &SpanJob,
        sizes: &[u32],
        from: u64,
        size: u64,
        told: &mut Told<'_>,
    ) -> Result<(), Fault> {
        let url = format!("{}{}", self.console, api::file_path(job.span.file));
        let end = from + sizes.iter().map(|size| u64::from(*size)).sum::<u64>();
        let mut cutter = Cutter::new(sizes.to_vec(), 0);
        let mut at = from;
        while at < end {
            let most = self.limiter.request_bytes();
            let until = most.map_or(end, |most| end.min(at + most));
            if most.is_some() {
                self.limiter.pass(until - at).await;
            }
            let whole = at == 0 && until == size;
            let range = (!whole).then_some((at, until - 1));
            let answer = http::get(&self.client, &url, range).await?;
            let start = if whole {
                0
            } else {
                http::body_start(&answer, &url, at, until - 1, size)?
            };
            // A server that knows no ranges sends the whole file; it is taken as far as it is of use.
            let as_asked = start == at;
            let until = if as_asked { until } else { end };
            let (mut skip, mut left) = (at - start, until - at);
            let mut pieces = answer.bytes_stream();
            while left > 0 {
                let Some(piece) = pieces.next().await else {
                    return Err(Fault::Line(format!(
                        "the answer for file {} ended too soon",
                        job.span.file
                    )));
                };
                let mut piece = piece.map_err(http::line)?;
                told.bytes += piece.len() as u64;
                let passed = skip.min(piece.len() as u64);
                skip -= passed;
                let mut piece =
                    piece.split_off(usize::try_from(passed).unwrap_or(usize::MAX).min(piece.len()));
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                left -= piece.len() as u64;
                at += piece.len() as u64;
                for (n, bytes) in cutter.push(piece) {
                    // First what it took, then what it brought: after its last chunk a file is nobody's any more.
                    told.now().await;
                    self.hand_over(job, job.span.first + n, bytes).await?;
                }
                told.if_due().await;
            }
            // Read to its end, the connection can be used again.
            if as_asked {
                let _ = pieces.next().await;
            }
        }
        Ok(())
    }

    async fn manifest(&self, job: &SpanJob, told: &mut Told<'_>) -> Result<(), Fault> {
        let url = format!("{}{}", self.console, api::manifest_path(job.span.file));
        let answer = http::get_packed(&self.client, &url).await?;
        let packed = http::is_gzip(&answer);
        let mut pieces = answer.bytes_stream();
        let mut body = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(http::line)?;
            told.bytes += piece.len() as u64;
            if body.len() + piece.len() > MAX_MANIFEST_BYTES {
                return Err(Fault::Answer {
                    url,
                    what: format!("it is longer than {MAX_MANIFEST_BYTES} bytes"),
                });
            }
            body.extend_from_slice(&piece);
            told.if_due().await;
            self.limiter.pass(piece.len() as u64).await;
        }
        told.now().await;
        let document = if packed {
            unpack(&body).map_err(|what| Fault::Answer { url, what })?
        } else {
            body.freeze()
        };
        self.hand_over(job, 0, document).await
    }

    /// Waits for room between line and disk.
    async fn hand_over(&self, job: &SpanJob, index: u32, bytes: Bytes) -> Result<(), Fault> {
        let kib = u32::try_from(bytes.len().div_ceil(1024))
            .unwrap_or(ROOM_KIB)
            .min(ROOM_KIB);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(kib)
            .await
            .map_err(|_| Fault::Cancelled)?;
        let chunk = WanSaid::Chunk {
            id: job.id,
            index,
            bytes,
            room,
        };
        self.said.send(chunk).await.map_err(|_| Fault::Cancelled)
    }
}

/// A manifest that was sent packed; the lists of chunks come to half.
fn unpack(packed: &[u8]) -> Result<Bytes, String> {
    let mut document = Vec::new();
    let most = u64::try_from(MAX_MANIFEST_BYTES).unwrap_or(u64::MAX);
    GzDecoder::new(packed)
        .take(most + 1)
        .read_to_end(&mut document)
        .map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if document.len() > MAX_MANIFEST_BYTES {
        return Err(format!("it is longer than {MAX_MANIFEST_BYTES} bytes"));
    }
    Ok(document.into())
}

/// What was taken of the line and is not told yet.
struct Told<'a> {
    wan: &'a Wan,
    id: SpanId,
    bytes: u64,
    at: Instant,
}

impl Told<'_> {
    async fn if_due(&mut self) {
        if self.at.elapsed() >= TELL_EVERY {
            self.now().await;
        }
    }

    async fn now(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.at = Instant::now();
        if bytes > 0 {
            let _ = self.wan.said.send(WanSaid::Progress { id: self.id, bytes }).await;
        }
    }
}

/// How long a packet takes to the console and back: one handshake of TCP, nothing else is sent. `at` is where the console
/// was the last time; its name is looked up where that is not known, before anything is measured.
pub(super) async fn round_trip(console: &str, at: Option<SocketAddr>) -> Option<(Duration, SocketAddr)> {
    let address = match at {
        Some(address) => address,
        None => address_of(console).await?,
    };
    let began = Instant::now();
    let connected = tokio::time::timeout(ROUND_TRIP, tokio::net::TcpStream::connect(address)).await;
    connected.ok()?.ok()?;
    Some((began.elapsed(), address))
}

async fn address_of(console: &str) -> Option<SocketAddr> {
    let url: reqwest::Url = console.parse().ok()?;
    let host = (
        url.host_str()?.trim_matches(['[', ']']).to_owned(),
        url.port_or_known_default()?,
    );
    tokio::net::lookup_host(host).await.ok()?.next()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn a_packed_manifest_comes_out_whole_or_not_at_all() {
        let document = b"{\"signed\":\"...\"}".repeat(1000);
        assert_eq!(unpack(&pack(&document)).unwrap(), document);
        assert!(unpack(&pack(&document)[..40]).is_err(), "torn");
        assert!(unpack(b"not packed at all").is_err());
        let bomb = pack(&vec![b' '; MAX_MANIFEST_BYTES + 1]);
        assert!(bomb.len() < MAX_MANIFEST_BYTES / 100);
        assert!(unpack(&bomb).unwrap_err().contains("longer"));
        assert_eq!(
            unpack(&pack(&vec![b' '; MAX_MANIFEST_BYTES])).unwrap().len(),
            MAX_MANIFEST_BYTES
        );
    }
}
