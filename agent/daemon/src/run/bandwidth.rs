//! The line: how the board is connected, and tests of what the line carries.

use std::time::Duration;

use agent_core::{
    Millis,
    bandwidth::{Bench, Effect, Event},
    commands,
    health::budget::Traffic,
    manners::Phase,
};
use contract::{
    bandwidth::{BandwidthResult, BandwidthTest},
    event::EventKind,
    health::Readings,
    id::CommandId,
    report::NetworkReport,
    time::ClockTrust,
};
use tokio::task::JoinHandle;

use super::{agent::Agent, inbox::Inside};
use crate::{
    clock,
    io::{
        bandwidth::{self, Job},
        net::{self, Seen, Target},
    },
};

/// The network is looked at this often: a look costs some hundred bytes.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// And this often where the line's budget is short.
const LOOK_SELDOM: Duration = Duration::from_secs(1800);
/// And so long after the console was found.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// What is known of the line, and who measures it.
#[derive(Debug)]
pub(super) struct LineDesk {
    bench: Bench,
    running: Option<JoinHandle<()>>,
    phase: Option<Phase>,
    seen: Seen,
    /// Not in a sample yet.
    fresh: bool,
    looking: bool,
    look_at: Millis,
}

impl LineDesk {
    /// Nothing is known yet.
    pub(super) fn new(now: Millis) -> Self {
        Self {
            bench: Bench::default(),
            running: None,
            phase: None,
            seen: Seen::default(),
            fresh: false,
            looking: false,
            look_at: now + LOOK_SOON,
        }
    }

    /// For the report; none before the first look.
    pub(super) fn report(&self) -> Option<NetworkReport> {
        (self.seen != Seen::default()).then(|| self.seen.report.clone())
    }

    /// The console can be reached again: perhaps another way.
    pub(super) fn connected(&mut self, now: Millis) {
        self.look_at = self.look_at.min(now + LOOK_SOON);
    }

    /// Whether the line is being measured: nothing else is to take of it.
    pub(super) const fn is_measured(&self) -> bool {
        self.bench.is_running()
    }

    /// Whether a lesson is, or was just now, open or playing.
    pub(super) fn lesson_on(&self, now: Millis) -> bool {
        self.bench.lesson_on(now)
    }

    /// When there is something to do.
    pub(super) fn poll_timeout(&self) -> Option<Millis> {
        let look = (!self.looking).then_some(self.look_at);
        look.into_iter().chain(self.bench.poll_timeout()).min()
    }

    /// What the last look found, for one sample.
    pub(super) fn read(&mut self, readings: &mut Readings) {
        if std::mem::take(&mut self.fresh) {
            readings.wifi_signal_percent = self.seen.wifi_signal_percent;
            readings.gateway_rtt_ms = self.seen.gateway_rtt_ms;
            readings.console_rtt_ms = self.seen.console_rtt_ms;
            readings.console_loss_percent = self.seen.console_loss_percent;
            readings.dns_ms = self.seen.dns_ms;
        }
    }
}

impl Drop for LineDesk {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

impl Agent {
    /// A lesson is opened or plays: the line is its.
    pub(super) fn lesson_begins(&mut self, now: Millis) {
        self.line.bench.handle(Event::Lesson, now);
        self.perform_bandwidth(now);
    }

    /// A command to measure is journalled.
    pub(super) fn measure(&mut self, id: CommandId, test: BandwidthTest, now: Millis) {
        let reading = self.time.clock.read(clock::system(), now);
        let time = reading.time.filter(|_| reading.trust == ClockTrust::Console);
        self.line.bench.handle(Event::Ordered { id, test, time }, now);
        self.perform_bandwidth(now);
    }

    /// The measurement is over.
    pub(super) fn on_tested(&mut self, result: Box<BandwidthResult>, now: Millis) {
        self.line.bench.handle(Event::Ran(result), now);
        self.perform_bandwidth(now);
    }

    /// A look at the network is over.
    pub(super) fn on_network(&mut self, seen: Seen, now: Millis) {
        self.line.looking = false;
        let ample = self.watching.budget.is_ample();
        self.line.look_at = now + if ample { LOOK_EVERY } else { LOOK_SELDOM };
        self.watching.crossed(Traffic::Looked);
        self.dirty |= self.line.seen.report != seen.report;
        self.line.seen = seen;
        self.line.fresh = true;
    }

    /// What kind of time it is, moments that have come, a look that is due.
    pub(super) fn settle_bandwidth(&mut self, now: Millis) {
        let phase = self.phase();
        if phase.is_some() && phase != self.line.phase {
            self.line.phase = phase;
            if let Some(phase) = phase {
                self.line.bench.handle(Event::Phase(phase), now);
            }
        }
        self.line.bench.handle_timeout(now);
        self.perform_bandwidth(now);
        if !self.line.looking && self.line.look_at <= now && !self.line.is_measured() {
            self.look_at_network(now);
        }
    }

    fn look_at_network(&mut self, now: Millis) {
        let Some(target) = Target::of(&self.identity.console_url) else {
            self.line.look_at = now + LOOK_EVERY;
            return;
        };
        self.line.looking = true;
        let metered = self.school_plan().is_some_and(|plan| plan.line.metered);
        let (root, inside) = (self.config.probes_root.clone(), self.inbox.inside.clone());
        tokio::spawn(async move {
            let seen = net::look(root, target, metered).await;
            let _ = inside.send(Inside::Network(Box::new(seen))).await;
        });
    }

    fn perform_bandwidth(&mut self, now: Millis) {
        while let Some(effect) = self.line.bench.next_effect() {
            match effect {
                Effect::Run { test, in_step } => self.run_test(test, in_step, now),
                Effect::Abort => {
                    if let Some(running) = self.line.running.take() {
                        running.abort();
                    }
                    // Lessons may have the line back.
                    self.look_at_rules(now);
                }
                Effect::Done { id, result } => {
                    let outcome = result.failed.clone().map_or(Ok(()), Err);
                    tracing::info!(
                        test = result.test,
                        failed = result.failed,
                        down_kbps = result.down.map(|d| d.kbps()),
                        up_kbps = result.up.map(|u| u.kbps()),
                        "the line was tested"
                    );
                    self.happened(EventKind::Bandwidth(*result), now);
                    self.commands.handle(commands::Event::Tested(id, outcome), now);
                    self.look_at_rules(now);
                }
            }
        }
    }

    fn run_test(&mut self, test: BandwidthTest, in_step: bool, now: Millis) {
        self.look_at_rules(now);
        let tls = match self.tls() {
            Ok(tls) => tls,
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "the line cannot be measured");
                let result = agent_core::bandwidth::failed(&test, "no_identity");
                return self.line.bench.handle(Event::Ran(Box::new(result)), now);
            }
        };
        let job = Job {
            test,
            in_step,
            console_url: self.identity.console_url.trim_end_matches('/').to_owned(),
            tls,
            root: self.config.probes_root.clone(),
        };
        let inside = self.inbox.inside.clone();
        self.line.running = Some(tokio::spawn(async move {
            let result = bandwidth::run(job).await;
            let _ = inside.send(Inside::Measured(Box::new(result))).await;
        }));
    }
}
