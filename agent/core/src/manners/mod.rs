//! What lessons may take of the school's line, and when: class hours, exams, lines that are paid by volume, one budget for
//! all boards, and yielding to the classes' own traffic. Knows no line, no queue and no clock.
//!
//! ```text
//! SchoolPlan ─▶ Rules ─ at(time) ─▶ WanPolicy ─▶ peers::Swarm ─▶ Effect::Pace ─┐
//! round trips ───────────────────▶ Yielding (in class hours) ─▶ kbit/s ────────┴─ the smaller one paces the requests
//! ```

mod rules;
mod share;
mod yielding;

pub use rules::{Phase, Rules, Ruling};
pub use share::{Share, fetchers};
pub use yielding::Yielding;
