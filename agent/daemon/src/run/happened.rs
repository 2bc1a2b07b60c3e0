//! What happened and what was measured, on its way to the two outboxes and from them to the line.

use agent_core::{Millis, outbox};
use contract::{event::EventKind, health::IngestAck};

use super::agent::Agent;
use crate::keeper::{Stream, Task};

impl Agent {
    /// Notes something down that the console is to know of.
    pub(super) fn happened(&mut self, what: EventKind, now: Millis) {
        if !self.watching.happenings.may_tell(&what, now) {
            return self.events.handle(outbox::Event::LeftOut, now);
        }
        let happened = outbox::Happened {
            uptime_ms: now.0,
            wall_time: self.wall_time(now),
            what,
        };
        self.events.handle(outbox::Event::Push(happened), now);
    }

    /// The console's word on what it has.
    pub(super) fn on_ack(&mut self, ack: IngestAck, now: Millis) {
        self.events.handle(outbox::Event::Acked(ack.events), now);
        self.outbox.handle(outbox::Event::Acked(ack.stored), now);
    }

    /// Performs what both outboxes decided; events first.
    pub(super) fn perform_outboxes(&mut self, now: Millis) {
        // A batch that is not read is asked for again, a note that is lost is noted again after the next ack.
        while let Some(effect) = self.events.next_effect() {
            match effect {
                outbox::Effect::Append(event) => {
                    let seq = event.seq;
                    if !self.keeper.give(Task::AppendEvent(event)) {
                        self.events.handle(outbox::Event::AppendFailed { seq }, now);
                    }
                }
                other => self.perform_outbox(Stream::Events, other),
            }
        }
        while let Some(effect) = self.outbox.next_effect() {
            match effect {
                outbox::Effect::Append(sample) => {
                    let seq = sample.seq;
                    if !self.keeper.give(Task::Append(sample)) {
                        self.outbox.handle(outbox::Event::AppendFailed { seq }, now);
                    }
                }
                other => self.perform_outbox(Stream::Samples, other),
            }
        }
    }

    fn perform_outbox<R>(&self, stream: Stream, effect: outbox::Effect<R>) {
        let task = match effect {
            outbox::Effect::Append(_) => return,
            outbox::Effect::Send(batch) => Task::Batch(stream, batch),
            outbox::Effect::Forget(up_to) => Task::Forget(stream, up_to),
            outbox::Effect::Drop { up_to, total } => Task::Drop(stream, up_to, total),
        };
        let _ = self.keeper.give(task);
    }
}
