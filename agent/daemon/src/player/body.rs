//! A stretch of a file as a response body, read as fast as the client takes it.
//!
//! What is in the page cache is copied at once (`preadv2` with `RWF_NOWAIT`); only what must come from the disk costs a
//! trip to a blocking thread, which also starts the kernel's read-ahead. At most one buffer is held for a client.

use std::{
    fs::File,
    io::{self, IoSliceMut},
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
        Self {
            open: Arc::new(open.into()),
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
