//! What a simulated device makes of orders and lessons: it believes every signature, moves no byte, and says what a board says.

use std::collections::HashSet;

use anyhow::{Context, Result};
use contract::{
    assignment::{AssignedLesson, Assignment},
    command::{CommandBody, CommandEnvelope},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Lessons that are assigned under a generation above the one it has.
#[derive(Debug)]
pub(super) struct Wanted(Assignment);

/// One answer to an order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Which order.
    pub(super) id: String,
    /// As `CommandState` writes it.
    pub(super) state: &'static str,
}

/// What the device has and has done.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Of the assignment that it has taken.
    pub(super) generation: u64,
    /// All of them ready.
    pub(super) lessons: Vec<AssignedLesson>,
    obeyed: HashSet<String>,
    fetched: u64,
    from_neighbours: u64,
}

/// The body of a signed document, whoever signed it.
fn body<T: DeserializeOwned>(payload: &[u8]) -> Result<T> {
    let document: Value = serde_json::from_slice(payload).context("a document that is no JSON")?;
    let signed = document["signed"]
        .as_str()
        .context("a document without a signed body")?;
    serde_json::from_str(signed).context("a signed body that cannot be read")
}

impl Held {
    /// The lessons of an assignment; none if it is not newer than what is there.
    pub(super) fn wanted(&self, payload: &[u8]) -> Result<Option<Wanted>> {
        let assignment: Assignment = body(payload)?;
        let newer = assignment.generation > self.generation;
        // A board that never had any lesson needs no word of its own about having none.
        let nothing = assignment.lessons.is_empty() && self.lessons.is_empty();
        Ok((newer && !nothing).then_some(Wanted(assignment)))
    }

    /// They have come: over the line on the first board of a school, from that board on the others.
    pub(super) fn take(&mut self, Wanted(assignment): Wanted, over_the_line: bool) {
        let has = |one: &AssignedLesson| {
            self.lessons
                .iter()
                .any(|held| held.lesson == one.lesson && held.version == one.version)
        };
        let new: u64 = assignment
            .lessons
            .iter()
            .filter(|one| !has(one))
            .map(|one| one.size_bytes)
            .sum();
        *if over_the_line {
            &mut self.fetched
        } else {
            &mut self.from_neighbours
        } += new;
        self.generation = assignment.generation;
        self.lessons = assignment.lessons;
    }

    /// Bytes since the last time it was asked: over the school's line, from neighbours.
    pub(super) fn moved(&mut self) -> (u64, u64) {
        (
            std::mem::take(&mut self.fetched),
            std::mem::take(&mut self.from_neighbours),
        )
    }

    /// The answers to an order. A line is not measured, so that test stays with its first answer.
    pub(super) fn obey(&mut self, payload: &[u8]) -> Result<Vec<Said>> {
        let order: CommandEnvelope = body(payload)?;
        let id = order.id.to_string();
        let states: &[&str] = match order.body {
            _ if !self.obeyed.insert(id.clone()) => return Ok(Vec::new()),
            CommandBody::TestBandwidth(_) => &["accepted"],
            _ => &["accepted", "executing", "succeeded"],
        };
        Ok(states
            .iter()
            .map(|state| Said {
                id: id.clone(),
                state,
            })
            .collect())
    }

    /// As a report has them.
    pub(super) fn statuses(&self) -> Vec<Value> {
        self.lessons
            .iter()
            .map(|one| json!({ "lesson": one.lesson, "version": one.version, "state": "ready" }))
            .collect()
    }

    /// All lessons together.
    pub(super) fn bytes(&self) -> u64 {
        self.lessons.iter().map(|one| one.size_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(body: Value) -> Vec<u8> {
        json!({ "signed": body.to_string(), "signatures": [] })
            .to_string()
            .into_bytes()
    }

    fn assignment(generation: u64, versions: &[(&str, u32)]) -> Vec<u8> {
        let hash = "0".repeat(64);
        let lessons: Vec<Value> = versions
            .iter()
            .map(|(id, version)| json!({ "lesson": id, "version": version, "manifest": hash, "size_bytes": 10 }))
            .collect();
        signed(
            json!({ "device_id": "d", "generation": generation, "issued_at": "2026-01-01T00:00:00Z", "lessons": lessons }),
        )
    }

    #[test]
    fn what_is_new_moves_once_and_an_older_generation_never() {
        let mut held = Held::default();
        assert!(held.wanted(&assignment(1, &[])).unwrap().is_none());
        let wanted = held
            .wanted(&assignment(2, &[("a", 1), ("b", 1)]))
            .unwrap()
            .unwrap();
        held.take(wanted, true);
        assert_eq!((held.moved(), held.moved()), ((20, 0), (0, 0)));
        assert!(held.wanted(&assignment(2, &[("a", 1)])).unwrap().is_none());
        let wanted = held
            .wanted(&assignment(3, &[("a", 1), ("b", 2)]))
            .unwrap()
            .unwrap();
        held.take(wanted, false);
        assert_eq!((held.moved(), held.bytes(), held.generation), ((0, 10), 20, 3));
        let wanted = held.wanted(&assignment(4, &[])).unwrap().unwrap();
        held.take(wanted, false);
        assert!(held.statuses().is_empty());
    }

    #[test]
    fn an_order_is_answered_once() {
        let mut held = Held::default();
        let order = signed(
            json!({ "id": "c1", "device_id": "d", "issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z",
                "body": { "kind": "reboot", "delay_s": 0 } }),
        );
        assert_eq!(held.obey(&order).unwrap().len(), 3);
        assert!(held.obey(&order).unwrap().is_empty());
        assert!(held.obey(b"{}").is_err());
    }
}
