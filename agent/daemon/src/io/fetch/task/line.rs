//! The task's dealings with the school's line: requests, what comes of them, and their pace.

use std::time::Duration;

use agent_core::{
    Millis,
    manners::Yielding,
    peers::{Event, Span, WanEnd},
};
use tokio_util::sync::CancellationToken;

use super::{Found, Kind, Running, Task};
use crate::io::fetch::{
    FetchEvent,
    disk::{self, Origin},
    http::Fault,
    wan::{SpanId, SpanJob, WanSaid, What, end_of, round_trip},
};

/// Between two looks at how long packets wait on the line.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

impl Task {
    pub(super) fn set_pace(&mut self) {
        let ceiling = self.pace.or(self.line_kbps);
        if let (Some(yielding), Some(ceiling)) = (&mut self.yielding, ceiling) {
            yielding.ceiling(ceiling);
        }
        let yields = self.yielding.as_ref().map(Yielding::kbps);
        self.line.limiter.set(self.pace.into_iter().chain(yields).min());
    }

    /// While classes use the line and we do, too, it is measured how long packets wait on it. Says when again.
    pub(super) fn sample(&mut self, now: Millis) -> Option<Millis> {
        let yielding = self.yielding.as_mut().filter(|_| !self.spans.is_empty())?;
        if now >= self.sample_at {
            self.sample_at = now + SAMPLE_EVERY;
            yielding.tick(now);
            let (console, finds, at) = (self.line.console.clone(), self.finds.clone(), self.console_at);
            tokio::spawn(async move {
                let _ = finds.send(Found::RoundTrip(round_trip(&console, at).await));
            });
            self.set_pace();
        }
        Some(self.sample_at)
    }

    /// A chunk of a request is dealt with.
    pub(super) async fn written(&mut self, origin: &Origin) {
        if let Origin::Wan(id) = origin {
            if let Some(running) = self.spans.get_mut(id) {
                running.writing = running.writing.saturating_sub(1);
            }
            self.end_span(*id).await;
        }
    }

    /// A request is over for the core once all its chunks are dealt with.
    pub(super) async fn end_span(&mut self, id: SpanId) {
        let over = |running: &Running| running.ended.is_some() && running.writing == 0;
        if !self.spans.get(&id).is_some_and(over) {
            return;
        }
        let Some(running) = self.spans.remove(&id) else {
            return;
        };
        let fault = running.ended.flatten();
        let span = running.span;
        if matches!(fault, Some(Fault::Refused { .. })) {
            self.jobs.say(FetchEvent::Refused).await;
        }
        let end = end_of(fault.as_ref());
        if let Some(fault) = fault.filter(|fault| !matches!(fault, Fault::Cancelled)) {
            tracing::debug!(file = %span.file, first = span.first, count = span.count, %fault, "a request ended early");
            self.note(span.file, fault.to_string());
        }
        self.tell_core(Event::WanEnded { span, end });
    }

    pub(super) fn fetch(&mut self, span: Span) {
        let what = match self.files.get(&span.file).map(|file| &file.kind) {
            Some(Kind::Chunks(sizes, size)) => {
                let (first, end) = (span.first as usize, span.chunks().end as usize);
                let bytes = |sizes: &[u32]| sizes.iter().map(|size| u64::from(*size)).sum::<u64>();
                sizes.get(first..end).map(|wanted| What::Chunks {
                    sizes: wanted.to_vec(),
                    from: bytes(&sizes[..first]),
                    size: *size,
                })
            }
            Some(Kind::Manifest(_)) => Some(What::Manifest),
            None => None,
        };
        let Some(what) = what else {
            // Dropped a moment ago.
            return self.tell_core(Event::WanEnded {
                span,
                end: WanEnd::Ok,
            });
        };
        let id = self.next_span;
        self.next_span += 1;
        let cancel = CancellationToken::new();
        self.spans.insert(
            id,
            Running {
                span,
                cancel: cancel.clone(),
                writing: 0,
                ended: None,
            },
        );
        self.line.fetch(SpanJob {
            id,
            span,
            what,
            cancel,
        });
    }

    pub(super) async fn on_wan(&mut self, said: WanSaid) {
        match said {
            WanSaid::Progress { id, bytes } => {
                let Some(span) = self.spans.get(&id).map(|running| running.span) else {
                    return;
                };
                self.count(span.file, 0, bytes);
                self.tell_core(Event::WanProgress(span));
            }
            WanSaid::Chunk {
                id,
                index,
                bytes,
                room,
            } => {
                let Some(running) = self.spans.get_mut(&id) else {
                    return;
                };
                let file = running.span.file;
                match self.files.get(&file).map(|file| &file.kind) {
                    Some(Kind::Chunks(..)) => {
                        running.writing += 1;
                        self.disk.give(disk::Task::Write {
                            file,
                            index,
                            bytes,
                            origin: Origin::Wan(id),
                            room: Some(room),
                        });
                    }
                    Some(Kind::Manifest(_)) => {
                        running.writing += 1;
                        self.put_manifest(file, bytes, Origin::Wan(id));
                    }
                    None => {}
                }
            }
            WanSaid::Ended { id, fault } => {
                if let Some(running) = self.spans.get_mut(&id) {
                    running.ended = Some(fault);
                }
                self.end_span(id).await;
            }
        }
    }
}
