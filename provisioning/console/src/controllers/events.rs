//! Server-sent events: what changed, so that a page looks again. Small, and bundled over half a second.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    api::system::Changed,
    app::{AppState, Change, Noun},
};

const BUNDLE: Duration = Duration::from_millis(500);
/// More ids of one noun in one bundle are told as "several".
const IDS_TOLD: usize = 50;

/// What changed from now on: events named `device`, `push`, `lesson`, `tree`, `ticket` with `{"id": …}`.
#[utoipa::path(get, path = "/events", tag = "system", responses(
    (status = 200, body = Changed, content_type = "text/event-stream"),
))]
pub async fn events(State(app): State<AppState>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = futures_util::stream::unfold((app.changes.listen(), Vec::new()), next)
        .take_until(app.stopping.clone().cancelled_owned());
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

type Step = (Receiver<Change>, Vec<Event>);

async fn next((mut bell, mut pending): Step) -> Option<(Result<Event, Infallible>, Step)> {
    if pending.is_empty() {
        pending = bundle(&mut bell).await?;
        pending.reverse();
    }
    let event = pending.pop()?;
    Some((Ok(event), (bell, pending)))
}

/// Waits for a change, then gathers half a second more; `None` when the console stops.
async fn bundle(bell: &mut Receiver<Change>) -> Option<Vec<Event>> {
    let mut heard: BTreeSet<(Noun, Option<String>)> = BTreeSet::new();
    let mut take = |change: Result<Change, RecvError>| match change {
        Ok(change) => {
            heard.insert((change.noun, change.id));
            true
        }
        Err(RecvError::Lagged(_)) => {
            heard.extend(Noun::ALL.map(|noun| (noun, None)));
            true
        }
        Err(RecvError::Closed) => false,
    };
    if !take(bell.recv().await) {
        return None;
    }
    let until = tokio::time::Instant::now() + BUNDLE;
    while let Ok(change) = tokio::time::timeout_at(until, bell.recv()).await {
        if !take(change) {
            break;
        }
    }
    let mut events = Vec::new();
    for noun in Noun::ALL {
        let ids: Vec<_> = heard
            .iter()
            .filter(|(n, _)| *n == noun)
            .map(|(_, id)| id.clone())
            .collect();
        let ids = match ids.len() {
            0 => continue,
            count if count > IDS_TOLD || ids.contains(&None) => vec![None],
            _ => ids,
        };
        for id in ids {
            if let Ok(event) = Event::default().event(noun.as_str()).json_data(Changed { id }) {
                events.push(event);
            }
        }
    }
    Some(events)
}
