//! The school around the device: its plan, the other boards, and what may be taken of its line at this moment.

use std::{sync::Arc, time::Duration};

use agent_core::{
    Millis,
    lessons::Version,
    manners::{Phase, Rules, Ruling},
    peers::{Priority, WanPolicy},
};
use bytes::Bytes;
use contract::{health::Readings, report::HeldBack, school::SchoolPlan, signed::Signed};
use jiff::Timestamp;

use super::agent::Agent;
use crate::{
    clock,
    io::{
        fetch::{Fetcher, Turn},
        lan::{LanOptions, PeerTls},
    },
    keeper::Task,
};

/// What is known of the school.
#[derive(Debug)]
pub(super) struct School {
    plan: Option<Arc<SchoolPlan>>,
    /// Verified, on its way to the disk.
    offered: Option<SchoolPlan>,
    rules: Rules,
    /// What holds now.
    ruling: Option<Ruling>,
    /// What the fetcher was told.
    told: Option<(WanPolicy, bool)>,
    pub(super) look_at: Millis,
    /// The port of our door that the report tells of.
    door: u16,
}

impl School {
    /// With the plan that was kept.
    pub(super) fn new(plan: Option<SchoolPlan>) -> Self {
        Self {
            rules: plan
                .as_ref()
                .map(|plan| Rules::of(plan, None))
                .unwrap_or_default(),
            plan: plan.map(Arc::new),
            offered: None,
            ruling: None,
            told: None,
            look_at: Millis::default(),
            door: 0,
        }
    }

    /// The plan in force.
    pub(super) fn plan(&self) -> Option<&SchoolPlan> {
        self.plan.as_deref()
    }

    /// The plan is new, or the classroom that this board stands in: its rules follow.
    pub(super) fn follow(&mut self, classroom: Option<&str>, now: Millis) {
        if let Some(plan) = &self.plan {
            self.rules = Rules::of(plan, classroom);
            self.look_at = now;
        }
    }

    /// When the rules are to be looked at again.
    pub(super) const fn poll_timeout(&self) -> Option<Millis> {
        Some(self.look_at)
    }

    /// Newer than what is in force, within one school; another school's by the console's clock.
    fn is_news(&self, offered: &SchoolPlan) -> bool {
        self.plan.as_ref().is_none_or(|held| {
            if held.school == offered.school {
                offered.generation > held.generation
            } else {
                offered.issued_at > held.issued_at
            }
        })
    }
}

impl Agent {
    /// The console sent the plan of our school.
    pub(super) fn on_school(&mut self, payload: &Bytes, now: Millis) -> anyhow::Result<()> {
        let document: Signed<SchoolPlan> = serde_json::from_slice(payload)?;
        let plan = self.trust.verify(&document)?;
        let own = &self.identity.reply.device_id;
        anyhow::ensure!(
            plan.members.iter().any(|member| member.device_id == *own),
            "it is the plan of a school in which this device is not"
        );
        if !self.school.is_news(&plan) {
            return Ok(());
        }
        self.time.signed_at(plan.issued_at, now);
        let task = Task::KeepSchool(plan.generation, payload.to_vec());
        self.school.offered = Some(plan);
        anyhow::ensure!(
            self.keeper.give(task),
            "the disk is too slow; the console will send it again"
        );
        Ok(())
    }

    /// Whether the plan is on the disk; it counts all the same.
    pub(super) fn on_school_kept(&mut self, generation: u64, kept: Result<(), String>, now: Millis) {
        if let Err(error) = kept {
            tracing::error!(generation, %error, "could not keep the school's plan; it counts until the next start");
        }
        let Some(plan) = self.school.offered.take_if(|plan| plan.generation == generation) else {
            return;
        };
        tracing::info!(school = %plan.school, generation, boards = plan.members.len(), "took over the school's plan");
        // Kept, told to the store and enforced as the loop settles.
        self.trust.with(|trust| trust.school(&plan));
        self.school.plan = Some(Arc::new(plan));
        self.exam_plan(now);
        self.school_begins();
    }

    /// The fetcher hears who the others are and what may be taken.
    pub(super) fn school_begins(&mut self) {
        let (Some(fetcher), Some(plan)) = (&self.fetcher, &self.school.plan) else {
            return;
        };
        fetcher.plan(Arc::clone(plan));
        self.school.told = None;
        self.school.look_at = Millis::default();
    }

    /// What may be taken of the line at this moment.
    pub(super) fn settle_school(&mut self, now: Millis) {
        let door = self.fetcher.as_ref().map_or(0, Fetcher::port);
        if self.school.door != door {
            self.school.door = door;
            self.dirty = true;
        }
        if now < self.school.look_at {
            return;
        }
        let time = self.time.clock.read(clock::system(), now).time;
        let mut ruling = self.in_exam(self.school.rules.at(time));
        if self.line.is_measured() {
            ruling.policy.allowed = false;
        }
        self.school.look_at = now + ruling.look_again.max(Duration::from_millis(100));
        if self.school.ruling != Some(ruling) {
            self.school.ruling = Some(ruling);
            self.dirty = true;
        }
        let policy = (ruling.policy, ruling.yields);
        if self.school.told != Some(policy)
            && let Some(fetcher) = &self.fetcher
        {
            tracing::info!(phase = ?ruling.phase, policy = ?ruling.policy, "what lessons may take of the school's line");
            fetcher.policy(ruling.policy, ruling.yields);
            self.school.told = Some(policy);
        }
    }

    /// What kind of time it is; none before the first look.
    pub(super) fn phase(&self) -> Option<Phase> {
        self.school.ruling.map(|ruling| ruling.phase)
    }

    /// What kind of time `time` is by the plan alone.
    pub(super) fn phase_at(&self, time: Option<Timestamp>) -> Phase {
        self.school.rules.at(time).phase
    }

    /// The next bell, or where an exam begins or ends.
    pub(super) fn next_edge(&self, time: Timestamp) -> Option<Timestamp> {
        self.school.rules.next_edge(time)
    }

    /// What lessons may take of the line now; none before the first look.
    pub(super) fn wan_policy(&self) -> Option<WanPolicy> {
        self.school.ruling.map(|ruling| ruling.policy)
    }

    /// The plan in force.
    pub(super) fn school_plan(&self) -> Option<&SchoolPlan> {
        self.school.plan()
    }

    /// The rules are looked at again at once: whether the line is measured has changed.
    pub(super) const fn look_at_rules(&mut self, now: Millis) {
        self.school.look_at = now;
    }

    /// Why nothing is fetched over the line though something is missing.
    pub(super) fn held_back(&self) -> Option<HeldBack> {
        let (ready, assigned) = self.lessons.counts();
        let ruling = self.school.ruling.filter(|_| ready < assigned)?;
        match ruling.phase {
            Phase::Exam => Some(HeldBack::Exam),
            _ if !ruling.policy.allowed => Some(HeldBack::ClassHours),
            _ if ruling.policy.metered => Some(HeldBack::Metered),
            _ => None,
        }
    }

    /// When the next bell or the end of the exam is, while that is what keeps lessons from being fetched.
    pub(super) fn held_until(&self) -> Option<Timestamp> {
        let waits = matches!(self.held_back()?, HeldBack::Exam | HeldBack::ClassHours);
        let time = self.time.clock.read(clock::system(), clock::now()).time?;
        waits.then(|| self.school.rules.next_edge(time)).flatten()
    }

    /// How this board takes part, if it does.
    pub(super) fn lan(&self) -> Option<(LanOptions, PeerTls)> {
        let lan = &self.config.lan;
        if !lan.enabled {
            return None;
        }
        let tls = PeerTls::of(&self.identity, self.time.floor.clone())
            .inspect_err(|error| tracing::error!(error = %format!("{error:#}"), "no lessons are exchanged with other boards"))
            .ok()?;
        let options = LanOptions {
            own: self.identity.reply.device_id.clone(),
            listen: lan.listen,
            max_peers: lan.max_peers,
            hints: lan.hints.clone(),
            mdns: lan.mdns,
            bans: Some(self.config.data_dir.join("state").join("peer-bans.json")),
            floor: self.time.floor.clone(),
        };
        Some((options, tls))
    }

    /// What went over the LAN since the last look.
    pub(super) fn read_peers(&self, readings: &mut Readings) {
        if let Some(fetcher) = &self.fetcher {
            let traffic = fetcher.take_traffic();
            readings.lan_in_bytes = Some(traffic.lan_in);
            readings.lan_out_bytes = Some(traffic.lan_out);
            readings.peers = Some(traffic.peers);
        }
    }

    /// When a lesson's turn is, by its place in the assignment.
    pub(super) fn turn_of(&self, (lesson, version): &Version) -> Turn {
        let assigned = self.lessons.assigned_lessons();
        let place = assigned
            .iter()
            .position(|a| a.lesson == *lesson && a.version == *version);
        place.map_or(
            Turn {
                priority: Priority {
                    class: u8::MAX,
                    due: i64::MAX,
                    order: u32::MAX,
                },
                over_metered: false,
            },
            |place| Turn::of(&assigned[place], u32::try_from(place).unwrap_or(u32::MAX)),
        )
    }
}
