//! A stretch of a file as a response body, read as fast as the client takes it.
//!
//! What is in the page cache is copied at once (`preadv2` with `RWF_NOWAIT`); only what must come from the disk costs a
//! trip to a blocking thread, which also starts the kernel's read-ahead. At most one buffer is held for a client.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSliceMut},
    ops::Range,
    os::unix::fs::FileExt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

use crate::store::OpenFile;

/// Bytes of one frame.
const BUFFER_BYTES: u64 = 128 * 1024;

/// What is read.
#[derive(Debug)]
pub(super) enum Source {
    /// A file of a lesson.
    Lesson(OpenFile),
    /// A file on a disk that somebody brought.
    Disk(File),
}

impl From<OpenFile> for Source {
    fn from(open: OpenFile) -> Self {
        Self::Lesson(open)
    }
}

impl From<File> for Source {
    fn from(file: File) -> Self {
        Self::Disk(file)
    }
}

impl Source {
    const fn file(&self) -> &File {
        match self {
            Self::Lesson(open) => &open.file,
            Self::Disk(file) => file,
        }
    }

    fn read_failed(&self, error: &io::Error) {
        match self {
            Self::Lesson(open) => open.read_failed(error),
            Self::Disk(_) => tracing::info!(%error, "a file on a disk could not be read while it was played"),
        }
    }
}

pub(super) struct FileBody {
    open: Arc<Source>,
    at: u64,
    end: u64,
    waiting: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// The bytes from `start` to before `end`; both must lie within the file.
    pub(super) fn new(open: impl Into<Source>, start: u64, end: u64) -> Self {
        Self::of(Arc::new(open.into()), start, end)
    }

    const fn of(open: Arc<Source>, start: u64, end: u64) -> Self {
        Self {
            open,
            at: start,
            end,
            waiting: None,
        }
    }

    /// What is in memory already; `None` if the disk is needed.
    fn read_now(&self) -> Option<Bytes> {
        let mut buffer = vec![0; self.wanted()];
        let read = preadv2(
            self.open.file(),
            &mut [IoSliceMut::new(&mut buffer)],
            self.at,
            ReadWriteFlags::NOWAIT,
        );
        match read {
            Ok(n) if n > 0 => {
                buffer.truncate(n);
                Some(Bytes::from(buffer))
            }
            // EAGAIN: not in memory. Any other error is found again, and told, by the read that waits.
            _ => None,
        }
    }

    fn wanted(&self) -> usize {
        usize::try_from((self.end - self.at).min(BUFFER_BYTES)).unwrap_or(usize::MAX)
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let bytes = match &mut self.waiting {
            None => match self.read_now() {
                Some(bytes) => bytes,
                None => {
                    let (open, at, wanted) = (Arc::clone(&self.open), self.at, self.wanted());
                    self.waiting = Some(tokio::task::spawn_blocking(move || {
                        let mut buffer = vec![0; wanted];
                        let read = open.file().read_exact_at(&mut buffer, at);
                        read.inspect_err(|error| open.read_failed(error))?;
                        Ok(Bytes::from(buffer))
                    }));
                    return self.poll_frame(cx);
                }
            },
            Some(waiting) => {
                let read = ready!(Pin::new(waiting).poll(cx));
                self.waiting = None;
                match read.map_err(io::Error::other).flatten() {
                    Ok(bytes) => bytes,
                    // Ends the connection: the client sees that the answer is incomplete.
                    Err(error) => {
                        self.at = self.end;
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        };
        self.at += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}

/// Several stretches of one file as `multipart/byteranges` (RFC 9110, 14.6).
pub(super) struct Parts {
    boundary: String,
    left: VecDeque<Piece>,
    bytes: u64,
}

enum Piece {
    Text(Bytes),
    File(FileBody),
}

impl Parts {
    /// The stretches in this order; each must lie within the file of `size` bytes.
    pub(super) fn new(
        open: impl Into<Source>,
        stretches: &[Range<u64>],
        size: u64,
        media_type: &str,
    ) -> Self {
        let open = Arc::new(open.into());
        // Random, so that no file can hold it by intention.
        let boundary = format!("{:032x}", rand::random::<u128>());
        let (mut left, mut bytes) = (VecDeque::new(), 0);
        let text = |text: String, bytes: &mut u64| {
            *bytes += text.len() as u64;
            Piece::Text(text.into())
        };
        for stretch in stretches {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: bytes {}-{}/{size}\r\n\r\n",
                stretch.start,
                stretch.end - 1
            );
            left.push_back(text(head, &mut bytes));
            left.push_back(Piece::File(FileBody::of(
                Arc::clone(&open),
                stretch.start,
                stretch.end,
            )));
            bytes += stretch.end - stretch.start;
        }
        left.push_back(text(format!("\r\n--{boundary}--\r\n"), &mut bytes));
        Self {
            boundary,
            left,
            bytes,
        }
    }

    /// What parts them.
    pub(super) fn boundary(&self) -> &str {
        &self.boundary
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            let said = match self.left.front_mut() {
                None => return Poll::Ready(None),
                Some(Piece::Text(text)) => {
                    let text = std::mem::take(text);
                    self.left.pop_front();
                    Some(Ok(Frame::data(text)))
                }
                Some(Piece::File(body)) => ready!(Pin::new(body).poll_frame(cx)),
            };
            match said {
                None => {
                    self.left.pop_front();
                }
                Some(Ok(frame)) => {
                    self.bytes -= frame.data_ref().map_or(0, |data| data.len() as u64);
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(error)) => {
                    self.left.clear();
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}
