//! The way from an empty install to the first lesson in a classroom: which steps are taken, by what is there, and which is
//! next. Nothing is ever ticked off by hand. Pure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A step of the first run (初次使用向导), in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetupStepKind {
    /// The county has a name.
    County,
    /// There is a school with a classroom.
    Places,
    /// A board got its identity and was heard.
    Device,
    /// A lesson went through its review and was signed.
    Lesson,
    /// A pushed lesson is complete on a board.
    Push,
}

impl SetupStepKind {
    /// In their order.
    pub const ALL: [Self; 5] = [Self::County, Self::Places, Self::Device, Self::Lesson, Self::Push];

    /// As in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::County => "county",
            Self::Places => "places",
            Self::Device => "device",
            Self::Lesson => "lesson",
            Self::Push => "push",
        }
    }
}

/// What is there, within somebody's reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Regions.
    pub regions: u32,
    /// Schools.
    pub schools: u32,
    /// Classrooms.
    pub classrooms: u32,
    /// Enrolled devices that no other took the place of.
    pub devices: u32,
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
    /// A lesson could be pushed once, though it was retired or withdrawn since.
    pub released_once: bool,
    /// A push had arrived somewhere when it was withdrawn, or its lesson was retired.
    pub arrived_once: bool,
}

impl Facts {
    /// Not even a place is there. Somebody of one school reaches no region.
    pub const fn is_empty(&self) -> bool {
        self.regions == 0 && self.schools == 0
    }

    /// Whether a step is taken. Once taken it stays taken: who withdraws the last push of a term does not begin anew.
    pub const fn done(&self, step: SetupStepKind) -> bool {
        match step {
            SetupStepKind::County => !self.is_empty(),
            SetupStepKind::Places => self.classrooms > 0,
            SetupStepKind::Device => self.devices_heard > 0,
            SetupStepKind::Lesson => self.lessons_released > 0 || self.released_once,
            SetupStepKind::Push => self.devices_ready > 0 || self.arrived_once,
        }
    }

    /// The first step that is not taken; none: a lesson can be taught.
    pub fn next(&self) -> Option<SetupStepKind> {
        SetupStepKind::ALL.into_iter().find(|step| !self.done(*step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_next_until_what_it_makes_is_there() {
        let mut facts = Facts::default();
        let mut asked = Vec::new();
        while let Some(step) = facts.next() {
            asked.push(step);
            match step {
                SetupStepKind::County => facts.regions = 1,
                SetupStepKind::Places => {
                    facts.schools = 1;
                    assert_eq!(
                        facts.next(),
                        Some(step),
                        "a school without a classroom holds no board"
                    );
                    facts.classrooms = 1;
                }
                SetupStepKind::Device => {
                    (facts.tickets_open, facts.devices) = (1, 1);
                    assert_eq!(facts.next(), Some(step), "enrolled, but never heard");
                    facts.devices_heard = 1;
                }
                SetupStepKind::Lesson => {
                    facts.lessons = 1;
                    assert_eq!(facts.next(), Some(step), "a draft cannot be pushed");
                    facts.lessons_released = 1;
                }
                SetupStepKind::Push => {
                    facts.pushes = 1;
                    assert_eq!(facts.next(), Some(step), "pushed, but not there yet");
                    facts.devices_ready = 1;
                }
            }
        }
        assert_eq!(asked, SetupStepKind::ALL);
    }

    #[test]
    fn who_looks_after_one_school_reaches_no_region_and_has_a_county_all_the_same() {
        let facts = Facts {
            schools: 1,
            ..Facts::default()
        };
        assert!(Facts::default().is_empty() && !facts.is_empty());
        assert_eq!(facts.next(), Some(SetupStepKind::Places));
    }

    #[test]
    fn what_was_taken_out_of_turn_counts() {
        let facts = Facts {
            regions: 1,
            lessons: 3,
            lessons_released: 3,
            ..Facts::default()
        };
        assert!(facts.done(SetupStepKind::Lesson));
        assert_eq!(facts.next(), Some(SetupStepKind::Places));
    }
}
