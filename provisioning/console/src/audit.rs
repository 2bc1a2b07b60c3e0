//! Who did what. Whoever causes a write is named here once, at the door (a request, a command line, a device that enrols), and
//! the database's `commit` puts the row of the log into the very transaction that makes the change: neither is there without
//! the other.
//!
//! The name travels as a task-local, so functions in between need no argument for it; a spawned task does not inherit it
//! (take [`current`] along and run it in [`Context::scope`]). Without one, nothing is logged: that is a device's own ingest,
//! and the console's housekeeping.

pub mod chain;
pub mod door;
pub mod floods;
pub mod head;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::db::scope::Node;

tokio::task_local! {
    static CONTEXT: Context;
}

/// Longest text of one value, in characters.
const VALUE_CHARS: usize = 200;
/// Longest name or id, in characters.
pub(crate) const NAME_CHARS: usize = 120;
/// Most values of one row.
const VALUES: usize = 24;
/// Most entries of a list in a value.
const ITEMS: usize = 20;

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// Somebody who is signed in, or tries to.
    User,
    /// Somebody with a shell on the console's machine.
    Cli,
    /// A device.
    Device,
    /// The console itself.
    System,
}

impl ActorKind {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Cli => "cli",
            Self::Device => "device",
            Self::System => "system",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed, or what it named is not there for this person.
    Refused,
    /// The console could not.
    Failed,
}

impl Outcome {
    /// As in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A row before it has its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What the actor is.
    pub actor_kind: ActorKind,
    /// Its name; empty: nobody who is known.
    pub actor: String,
    /// Name of the action, as in `permissions.toml`.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Kind of what it was done to, e.g. `device`; may be empty.
    pub object_kind: String,
    /// Its id.
    pub object: String,
    /// Where in the tree; `None`: found from the object when the row is written.
    pub node: Option<Node>,
    /// Address of the caller.
    pub address: String,
    /// The request's id, as in answers and in the program's log.
    pub request_id: String,
    /// What else matters; bounded, without secrets.
    pub detail: BTreeMap<String, Value>,
}

/// Somebody who acts; cheap to clone.
#[derive(Debug, Clone)]
pub struct Context(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    draft: Draft,
    /// The object as the door knew it; later rows of the same request begin with it again.
    first_object: (String, String),
    /// Something was noted since the last row.
    fresh: bool,
    written: u32,
    /// It only looks at what would happen: done well, there is nothing to write down.
    looking: bool,
}

impl Context {
    /// `actor` is about to do `action`.
    pub fn new(actor_kind: ActorKind, actor: &str, action: &str) -> Self {
        Self(Arc::new(Mutex::new(State {
            draft: Draft {
                actor_kind,
                actor: short(actor, NAME_CHARS),
                action: short(action, NAME_CHARS),
                outcome: Outcome::Done,
                object_kind: String::new(),
                object: String::new(),
                node: None,
                address: String::new(),
                request_id: String::new(),
                detail: BTreeMap::new(),
            },
            first_object: Default::default(),
            fresh: false,
            written: 0,
            looking: false,
        })))
    }

    /// From where, and under which id.
    #[must_use]
    pub fn from(self, address: &str, request_id: &str) -> Self {
        {
            let mut state = self.lock();
            state.draft.address = short(address, NAME_CHARS);
            state.draft.request_id = short(request_id, NAME_CHARS);
        }
        self
    }

    /// To what, where the door knows it already.
    #[must_use]
    pub fn on(self, kind: &str, id: &str) -> Self {
        {
            let mut state = self.lock();
            state.first_object = (short(kind, NAME_CHARS), short(id, NAME_CHARS));
            (state.draft.object_kind, state.draft.object) = state.first_object.clone();
        }
        self
    }

    /// Runs `future` in this name.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CONTEXT.scope(self, future).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row that a commit has to write now: the first one, and another whenever something was noted since.
    pub(crate) fn due(&self) -> Option<Draft> {
        let state = self.lock();
        (state.written == 0 || state.fresh).then(|| state.draft.clone())
    }

    /// The row is in the log: what was noted belongs to it and to no later one.
    pub(crate) fn written(&self) {
        let mut state = self.lock();
        state.written += 1;
        state.fresh = false;
        state.draft.detail.clear();
        state.draft.node = None;
        (state.draft.object_kind, state.draft.object) = state.first_object.clone();
    }

    /// Rows written so far, and the draft as it stands.
    pub(crate) fn so_far(&self) -> (u32, Draft) {
        let state = self.lock();
        (state.written, state.draft.clone())
    }

    /// Whether the request said of itself that it only looks, see [`only_looking`].
    pub(crate) fn is_looking(&self) -> bool {
        self.lock().looking
    }

    fn change(&self, change: impl FnOnce(&mut Draft)) {
        let mut state = self.lock();
        change(&mut state.draft);
        state.fresh = true;
    }
}

/// In whose name this task acts, to be taken along into a spawned one.
pub fn current() -> Option<Context> {
    CONTEXT.try_with(Clone::clone).ok()
}

fn change(change: impl FnOnce(&mut Draft)) {
    CONTEXT.try_with(|context| context.change(change)).ok();
}

/// Runs `future` in a device's name (its enrolment, its renewal), unless somebody is named already: a person who lets it in.
pub async fn device<F: Future>(device: &str, address: &str, action: &str, future: F) -> F::Output {
    if current().is_some() {
        return future.await;
    }
    let context = Context::new(ActorKind::Device, device, action).from(address, "");
    context.scope(future).await
}

/// Runs `future` in the name of a part of the console, e.g. `clones`.
pub async fn system<F: Future>(part: &str, action: &str, future: F) -> F::Output {
    Context::new(ActorKind::System, part, action).scope(future).await
}

/// Says who it is, once that is known; no note of its own.
pub fn actor(name: &str) {
    CONTEXT
        .try_with(|context| context.lock().draft.actor = short(name, NAME_CHARS))
        .ok();
}

/// Gives the action another name than the door did, e.g. a sign-in over another way.
pub fn action(name: &str) {
    CONTEXT
        .try_with(|context| context.lock().draft.action = short(name, NAME_CHARS))
        .ok();
}

/// The request only says what would happen (a rehearsal): no act, so no row, unless it is refused.
pub fn only_looking() {
    CONTEXT.try_with(|context| context.lock().looking = true).ok();
}

/// What it is done to; the node follows from it where it is one of ours.
pub fn object(kind: &str, id: impl ToString) {
    change(|draft| {
        draft.object_kind = short(kind, NAME_CHARS);
        draft.object = short(&id.to_string(), NAME_CHARS);
    });
}

/// Where in the tree it happens, if that does not follow from the object (it is about to go, or is no row).
pub fn node(node: Node) {
    change(|draft| draft.node = Some(node));
}

/// One more thing about it. Texts are cut, and a name that smells of a secret is not written.
pub fn note(key: &str, value: impl Into<Value>) {
    let key = short(key, NAME_CHARS);
    let value = if ["password", "secret", "token", "private_key"]
        .iter()
        .any(|word| key.contains(word))
    {
        Value::from("…")
    } else {
        bounded(value.into(), 0)
    };
    change(|draft| {
        if draft.detail.len() < VALUES || draft.detail.contains_key(&key) {
            draft.detail.insert(key, value);
        }
    });
}

/// Whole numbers, texts, yes and no, and short lists of them: what every JSON reader writes back the same way.
fn bounded(value: Value, depth: u8) -> Value {
    match value {
        Value::String(text) => Value::String(short(&text, VALUE_CHARS)),
        Value::Number(number) if number.is_f64() => Value::String(number.to_string()),
        Value::Array(items) if depth == 0 => items
            .into_iter()
            .take(ITEMS)
            .map(|item| bounded(item, 1))
            .collect(),
        Value::Array(_) | Value::Object(_) => Value::String(short(&value.to_string(), VALUE_CHARS)),
        other => other,
    }
}

fn short(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_row_only_when_something_was_noted_again() {
        let context = Context::new(ActorKind::User, "a", "x").on("device", "d1");
        context
            .clone()
            .scope(async {
                note("why", "because");
                assert_eq!(context.due().unwrap().detail["why"], "because");
                context.written();
                assert!(context.due().is_none());
                object("school", 7);
                let second = context.due().unwrap();
                assert_eq!((second.object_kind.as_str(), second.detail.len()), ("school", 0));
                context.written();
                assert_eq!(context.so_far().1.object, "d1");
            })
            .await;
        assert!(current().is_none());
    }

    #[tokio::test]
    async fn values_are_bounded_and_secrets_are_not_written() {
        let context = Context::new(ActorKind::User, "a", "x");
        context
            .clone()
            .scope(async {
                note("new_password", "hunter2");
                note("long", "字".repeat(1_000));
                note("half", 0.5);
                for n in 0..100 {
                    note(&format!("n{n}"), n);
                }
            })
            .await;
        let detail = context.due().unwrap().detail;
        assert_eq!(detail["new_password"], "…");
        assert_eq!(detail["long"].as_str().unwrap().chars().count(), VALUE_CHARS + 1);
        assert_eq!(detail["half"], "0.5");
        assert_eq!(detail.len(), VALUES);
    }
}
