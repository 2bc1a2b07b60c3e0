//! The first run: what is done, what is next.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::domain::setup::SetupStepKind;
use crate::domain::{
    review::{ReviewState, ReviewStep},
    setup::Facts,
};

/// How far the install is, as far as the reader reaches: by what is there, nothing is ticked off by hand.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetupStatus {
    /// The steps in their order.
    pub steps: Vec<SetupStep>,
    /// The first that is not taken; none: all are.
    pub next: Option<SetupStepKind>,
    /// Not even a region or a school is there.
    pub empty: bool,
    /// Regions.
    pub regions: u32,
    /// Schools.
    pub schools: u32,
    /// Classrooms.
    pub classrooms: u32,
    /// Enrolled devices.
    pub devices_total: u32,
    /// Of these, such as were heard at least once.
    pub devices_heard: u32,
    /// Of these, such as hold a lesson that they should hold.
    pub devices_ready: u32,
    /// Tickets that are good for a device.
    pub tickets_open: u32,
    /// Lessons on offer or under review.
    pub lessons: u32,
    /// Of these, such as can be pushed.
    pub lessons_released: u32,
    /// Pushes that stand.
    pub pushes: u32,
    /// The lesson of one's own nodes that was brought last and is not released yet.
    pub waiting_lesson: Option<SetupLesson>,
    /// Where boards and people reach this console, by its configuration.
    pub addresses: SetupAddresses,
    /// What is worth doing after that; only what the reader may see.
    pub further: Vec<SetupFurther>,
}

/// A step, and whether it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupStep {
    /// Which.
    pub step: SetupStepKind,
    /// Whether what it makes is there.
    pub done: bool,
}

/// A lesson on its way through the review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupLesson {
    /// The lesson.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where its newest version stands.
    pub state: ReviewState,
    /// The step that somebody has to take.
    pub waits_for: Option<ReviewStep>,
}

/// Where this console is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupAddresses {
    /// HTTPS for boards.
    pub devices_url: String,
    /// Host and port of MQTT for boards.
    pub mqtt: String,
    /// The pages for people; none: only on this machine.
    pub web_url: Option<String>,
    /// `public_host` names this machine alone: no board elsewhere finds it.
    pub local_only: bool,
}

/// What is worth doing once a lesson plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FurtherKind {
    /// An account for each person.
    People,
    /// Backups by plan.
    Backup,
    /// A way to tell people of alerts.
    Channel,
}

/// One of these, and whether it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetupFurther {
    /// Which.
    pub what: FurtherKind,
    /// Whether it is there.
    pub done: bool,
}

impl SetupStatus {
    /// What `facts` come to.
    pub fn of(
        facts: &Facts,
        waiting_lesson: Option<SetupLesson>,
        addresses: SetupAddresses,
        further: Vec<SetupFurther>,
    ) -> Self {
        let step = |step| SetupStep {
            step,
            done: facts.done(step),
        };
        Self {
            steps: SetupStepKind::ALL.map(step).to_vec(),
            next: facts.next(),
            empty: facts.is_empty(),
            regions: facts.regions,
            schools: facts.schools,
            classrooms: facts.classrooms,
            devices_total: facts.devices,
            devices_heard: facts.devices_heard,
            devices_ready: facts.devices_ready,
            tickets_open: facts.tickets_open,
            lessons: facts.lessons,
            lessons_released: facts.lessons_released,
            pushes: facts.pushes,
            waiting_lesson,
            addresses,
            further,
        }
    }
}
