//! What schools' lines carry: rules, tests, and what came of them.

use contract::bandwidth::LinkKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Page,
    listing::{Column, Sorted},
};

/// What a line was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BandwidthVerdict)]
pub enum Verdict {
    /// 达标: it carried what the rule asks for.
    Met,
    /// 未达标: it did not, and the boards' ports would have carried it.
    NotMet,
    /// 端口不足以证明: the boards' ports, or their radio, carry less than what was to be proved.
    PortCannotProve,
    /// Measured, but no rule and no contract says what it should be.
    NoTarget,
    /// 未知: no board gave a figure that counts.
    NoFigures,
}

impl Verdict {
    /// As in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not_met",
            Self::PortCannotProve => "port_cannot_prove",
            Self::NoTarget => "no_target",
            Self::NoFigures => "no_figures",
        }
    }

    /// 达标, 未达标, 端口不足以证明, 未定标准, 未知.
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Met => "达标",
            Self::NotMet => "未达标",
            Self::PortCannotProve => "端口不足以证明",
            Self::NoTarget => "未定标准",
            Self::NoFigures => "未知",
        }
    }
}

/// A version of the rules. They are data: a region's plan changes with the years, the console does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BandwidthRules)]
pub struct Rules {
    /// Counts up; verdicts name the version that they were made by.
    pub version: u32,
    /// So much below the target still meets it, in percent: what measuring itself may err by. 0–10.
    pub tolerance_percent: u8,
    /// One for each plan.
    pub sets: Vec<RuleSet>,
}

/// The rules of one region's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Names it, e.g. `bazhong`.
    pub id: String,
    /// For people.
    pub name: String,
    /// The document it comes from.
    pub source: String,
    /// By year; the newest that has begun holds.
    pub rules: Vec<Rule>,
}

/// What holds from one year on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BandwidthRule)]
pub struct Rule {
    /// First year.
    pub from_year: i16,
    /// Towards the school, Mbit/s; none: the plan names no rate, and the line's contract counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_mbps: Option<u32>,
    /// From the school, Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_mbps: Option<u32>,
    /// Share of schools with a line, percent; for reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_percent: Option<u8>,
    /// Of which schools.
    pub denominator: String,
    /// The words of the document.
    pub quote: String,
}

/// Which rules the schools of a region follow.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = BandwidthFollow)]
pub struct Follow {
    /// Id of a set; none: as the region above.
    pub rule_set: Option<String>,
}

/// Which rules a region follows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = BandwidthFollowed)]
pub struct Followed {
    /// The region.
    pub region_id: i64,
    /// Set here.
    pub own: Option<String>,
    /// What holds; none: contracts alone.
    pub effective: Option<String>,
}

/// How tests are planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BandwidthSettings)]
pub struct Settings {
    /// What the console's own line may give to tests at a time, kbit/s. Without it nothing is tested unless somebody orders it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink_kbps: Option<u32>,
    /// Schools at a time at most, 1–100.
    pub schools_at_once: u16,
    /// Each school anew after so many days, 1–31.
    pub every_days: u16,
    /// Seconds of each direction, 3–60.
    pub seconds: u32,
    /// Connections of each board, 1–16.
    pub streams: u32,
    /// Boards of a school that measure together at most, 1–16.
    pub boards_at_once: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uplink_kbps: None,
            schools_at_once: 4,
            every_days: 7,
            seconds: 10,
            streams: 8,
            boards_at_once: 8,
        }
    }
}

/// A test that somebody orders now.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBandwidthTest {
    /// Also in class hours; never in an exam, and a board that plays a lesson never takes part.
    #[serde(default)]
    pub forced: bool,
    /// Seconds of each direction, 3–60; built in: as set for all.
    #[serde(default)]
    pub seconds: Option<u32>,
    /// Connections of each board, 1–16; built in: as set for all.
    #[serde(default)]
    pub streams: Option<u32>,
    /// Boards that measure; empty: as many as are needed to prove the target.
    #[serde(default)]
    pub device_ids: Vec<String>,
}

/// Why a test was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BandwidthCause)]
pub enum Cause {
    /// It was time.
    Schedule,
    /// The one before left a doubt.
    Doubt,
    /// Somebody ordered it.
    Operator,
}

impl Cause {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Doubt => "doubt",
            Self::Operator => "operator",
        }
    }

    /// The same back.
    pub(crate) fn of_column(text: &str) -> Self {
        match text {
            "doubt" => Self::Doubt,
            "operator" => Self::Operator,
            _ => Self::Schedule,
        }
    }
}

/// Where a target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetFrom {
    /// A rule names a rate.
    Rule,
    /// What the school's line is paid for.
    Contract,
    /// Nobody says.
    Nobody,
}

/// What a school's line is held against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BandwidthTarget)]
pub struct Target {
    /// Towards the school, kbit/s.
    pub down_kbps: Option<u32>,
    /// From the school, kbit/s.
    pub up_kbps: Option<u32>,
    /// Who says so.
    pub from: TargetFrom,
    /// Id of the rules' set.
    pub rule_set: Option<String>,
    /// Version of the rules.
    pub rules_version: u32,
    /// The words of the document.
    pub quote: Option<String>,
    /// So much below still meets it, percent.
    pub tolerance_percent: u8,
}

/// Why a verdict is not to be relied on alone; each is a reason to test again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BandwidthDoubt)]
pub enum Doubt {
    /// A board that was asked gave no figure.
    BoardMissing,
    /// A board did not measure at the same moment as the others.
    OutOfStep,
    /// Boards had other traffic meanwhile.
    OtherTraffic,
    /// The figure is so near to the target that the next one may fall on the other side.
    NearTarget,
    /// The figure is far from that of the test before.
    UnlikeLast,
}

/// One direction of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BandwidthDirection)]
pub struct Direction {
    /// What was to be proved, kbit/s.
    pub target_kbps: Option<u32>,
    /// What counts: of each board what its port carried of the test, framing included, and never more than the port's speed.
    pub counted_kbps: u64,
    /// Payload of all boards, kbit/s: what iperf3 would say.
    pub payload_kbps: u64,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BandwidthDecision)]
pub struct Decision {
    /// Of all.
    pub verdict: Verdict,
    /// What it was held against.
    pub target: Target,
    /// Towards the school.
    pub down: Option<Direction>,
    /// From the school.
    pub up: Option<Direction>,
    /// Speed of all ports that took part, Mbit/s; none: one is not known.
    pub ports_mbps: Option<u32>,
    /// Reasons to test again.
    pub doubts: Vec<Doubt>,
}

/// One direction as one board saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BoardRate {
    /// Payload bytes in the counted time.
    pub payload_bytes: u64,
    /// Bytes on the port in the counted time.
    pub wire_bytes: u64,
    /// Counted milliseconds.
    pub ms: u64,
    /// Connections.
    pub streams: u32,
    /// Payload, kbit/s.
    pub payload_kbps: u64,
    /// What counts, kbit/s.
    pub counted_kbps: u64,
}

/// What one board gave to a test.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BandwidthBoard {
    /// The board.
    pub device_id: String,
    /// Its classroom.
    pub classroom: String,
    /// Speed of its port when it was asked, Mbit/s.
    pub port_mbps: Option<u32>,
    /// How it is connected: `wired`, `wireless`, `mobile`, `none`.
    #[schema(value_type = Option<String>)]
    pub link: Option<LinkKind>,
    /// Towards the school.
    pub down: Option<BoardRate>,
    /// From the school.
    pub up: Option<BoardRate>,
    /// Other bytes on the port meanwhile.
    pub other_bytes: Option<u64>,
    /// Round trip before, ms.
    pub rtt_ms: Option<f32>,
    /// Began at the agreed moment.
    pub in_step: Option<bool>,
    /// Why there is no figure, as a code.
    pub failed: Option<String>,
    /// When the console had the result.
    pub received_at: Option<Timestamp>,
}

/// A test of a school's line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = LineTest)]
pub struct BandwidthTest {
    /// Names it for good.
    pub id: String,
    /// The school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// Why.
    pub cause: Cause,
    /// Also in class hours.
    pub forced: bool,
    /// When boards begin.
    pub starts_at: Timestamp,
    /// What is not there by then is missing.
    pub ends_at: Timestamp,
    /// Seconds of each direction.
    pub seconds: u32,
    /// Connections of each board.
    pub streams: u32,
    /// Who ordered it.
    pub created_by: String,
    /// When it was decided; none: it runs.
    pub decided_at: Option<Timestamp>,
    /// What came of it.
    pub decision: Option<Decision>,
    /// Boards that were asked, by classroom; only in the detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boards: Vec<BandwidthBoard>,
}

super::page_of!(
    /// A page of tests.
    BandwidthTestPage, BandwidthTest
);

/// Which tests.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TestQuery {
    /// Of one school.
    pub school_id: Option<i64>,
    /// Of a month, `2026-11`, by the schools' clock.
    pub month: Option<String>,
    /// From 1.
    pub page: Option<u32>,
    /// Up to 500.
    pub page_size: Option<u32>,
}

impl TestQuery {
    /// The page.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// How a school's line was in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BandwidthMonth {
    /// The school.
    pub school_id: i64,
    /// Its code.
    pub code: String,
    /// Its name.
    pub school: String,
    /// The month.
    pub month: String,
    /// By the newest test that met or did not meet; else 端口不足以证明 if a test said so; else what was found.
    pub verdict: Verdict,
    /// That test; none: there was none.
    pub test_id: Option<String>,
    /// When it was.
    pub tested_at: Option<Timestamp>,
    /// What it was held against and what it came to.
    pub decision: Option<Decision>,
    /// Tests that were decided in the month.
    pub tests: u32,
    /// Of these, with a doubt.
    pub doubtful: u32,
}

super::page_of!(
    /// A page of schools.
    BandwidthMonthPage, BandwidthMonth
);

/// What a list of schools' months can be ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonthColumn {
    /// Official code of the school.
    Code,
    /// Its name.
    School,
    /// What came of it: those that fall short first.
    Verdict,
    /// What counts towards the school.
    Down,
    /// What counts from the school.
    Up,
    /// How many tests there were.
    Tests,
    /// How many of them prove nothing.
    Doubtful,
    /// When the one that decides began.
    TestedAt,
}

impl Column for MonthColumn {}

/// How a list of schools' months is ordered; rows without a value come last either way. Without: by code.
pub type MonthSort = Sorted<MonthColumn>;

/// Which schools in which month.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MonthQuery {
    /// `2026-11`; built in: the running one.
    pub month: Option<String>,
    /// Schools at and below a region.
    pub region_id: Option<i64>,
    /// Only this school.
    pub school_id: Option<i64>,
    /// Only with this verdict.
    pub verdict: Option<Verdict>,
    /// Part of a school's name or code.
    pub q: Option<String>,
    /// Name of a column, `-` before it turns the order round: `code`, `school`, `verdict`, `down`, `up`, `tests`,
    /// `doubtful`, `tested_at`. Left out: by code.
    #[param(value_type = Option<String>, pattern = "^-?(code|school|verdict|down|up|tests|doubtful|tested_at)$")]
    pub sort: Option<MonthSort>,
    /// From 1.
    pub page: Option<u32>,
    /// Up to 500.
    pub page_size: Option<u32>,
}

impl MonthQuery {
    /// The page.
    pub fn page(&self) -> Page {
        Page::new(self.page, self.page_size)
    }
}

/// Which month's proof.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EvidenceQuery {
    /// `2026-11`.
    pub month: String,
}
