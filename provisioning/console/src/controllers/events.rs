//! Server-sent events: what changed, so that a page looks again. Small, and bundled over half a second.
//!
//! An event names its object only to who may see that object. The stream asks again who is listening whenever accounts or
//! places changed, and every half minute: a session that was ended hears nothing more.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    time::Duration,
};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};

use crate::{
    access::{Access, Permissions},
    api::system::Changed,
    app::{AppState, Change, Noun},
    db::scope::Scope,
    error::ApiError,
};

const BUNDLE: Duration = Duration::from_millis(500);
/// More ids of one noun in one bundle are told as "several".
const IDS_TOLD: usize = 50;
/// Who is listening is looked at again after this long without a reason.
const ASK_AGAIN: Duration = Duration::from_secs(30);
/// What was found within or out of reach is believed for this long.
const BELIEVED: Duration = Duration::from_secs(10);

/// Who may see an object of a noun.
const fn action_of(noun: Noun) -> &'static str {
    match noun {
        Noun::Tree => "tree.read",
        Noun::Device | Noun::Standing => "devices.read",
        Noun::Lesson => "lessons.read",
        Noun::Push => "pushes.read",
        Noun::Ticket => "tickets.read",
        Noun::Claim => "claims.decide",
        Noun::Security => "security.read",
        Noun::User => "users.read",
        Noun::Order => "orders.read",
        Noun::Incident => "alerts.read",
        Noun::Report => "reports.read",
    }
}

/// What changed from now on: events named `device`, `push`, `lesson`, `tree`, `ticket`, `standing`, `claim`, `security`,
/// `user`, `incident` with `{"id": …}`, for what lies within one's nodes.
#[utoipa::path(get, path = "/events", tag = "system", responses(
    (status = 200, body = Changed, content_type = "text/event-stream"),
))]
pub async fn events(
    State(app): State<AppState>,
    access: Access,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let stopping = app.stopping.clone().cancelled_owned();
    let ear = Ear {
        bell: app.changes.listen(),
        pending: Vec::new(),
        reaches: reaches(&app, &access).await?,
        believed: HashMap::new(),
        believed_since: Instant::now(),
        asked: Instant::now(),
        app,
        access,
    };
    let stream = futures_util::stream::unfold(ear, next).take_until(stopping);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Somebody who listens.
struct Ear {
    app: AppState,
    access: Access,
    bell: Receiver<Change>,
    pending: Vec<Event>,
    reaches: HashMap<Noun, Scope>,
    believed: HashMap<(Noun, String), bool>,
    believed_since: Instant,
    asked: Instant,
}

async fn reaches(app: &AppState, access: &Access) -> Result<HashMap<Noun, Scope>, ApiError> {
    let mut found = HashMap::new();
    for noun in Noun::ALL {
        found.insert(noun, access.reach(&app.db, action_of(noun)).await?);
    }
    Ok(found)
}

async fn next(mut ear: Ear) -> Option<(Result<Event, Infallible>, Ear)> {
    while ear.pending.is_empty() {
        let heard = ear.bundle().await?;
        let who = [Noun::User, Noun::Tree];
        if heard.iter().any(|(noun, _)| who.contains(noun)) || ear.asked.elapsed() >= ASK_AGAIN {
            ear.ask_again().await?;
        }
        ear.pending = ear.tell(heard).await;
        ear.pending.reverse();
    }
    let event = ear.pending.pop()?;
    Some((Ok(event), ear))
}

impl Ear {
    /// Whether it is still somebody who may listen, and how far; `None` ends the stream.
    async fn ask_again(&mut self) -> Option<()> {
        let (user, session) = self
            .app
            .db
            .sessions()
            .find(&self.access.token, Timestamp::now())
            .await
            .ok()??;
        self.access.grants = self.app.db.grants().of(user.id).await.ok()?;
        Permissions::get()
            .ok()?
            .named("overview.read")
            .ok()?
            .nodes(&self.access.grants)?;
        (self.access.user, self.access.session) = (user, session);
        self.reaches = reaches(&self.app, &self.access).await.ok()?;
        self.believed.clear();
        self.asked = Instant::now();
        Some(())
    }

    /// Waits for a change, then gathers half a second more; empty when it is time to ask again who listens, `None` when the
    /// console stops.
    async fn bundle(&mut self) -> Option<BTreeSet<(Noun, Option<String>)>> {
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
        match tokio::time::timeout_at(self.asked + ASK_AGAIN, self.bell.recv()).await {
            Err(_) => return Some(heard),
            Ok(change) => {
                if !take(change) {
                    return None;
                }
            }
        }
        let until = Instant::now() + BUNDLE;
        while let Ok(change) = tokio::time::timeout_at(until, self.bell.recv()).await {
            if !take(change) {
                break;
            }
        }
        Some(heard)
    }

    /// The events for this listener.
    async fn tell(&mut self, heard: BTreeSet<(Noun, Option<String>)>) -> Vec<Event> {
        let mut events = Vec::new();
        for noun in Noun::ALL {
            let mut ids: BTreeSet<Option<String>> = BTreeSet::new();
            for (_, id) in heard.iter().filter(|(n, _)| *n == noun) {
                match id {
                    // A number of a place does not say of which kind.
                    None => ids.insert(None),
                    Some(_) if noun == Noun::Tree => ids.insert(None),
                    Some(id) if ids.len() <= IDS_TOLD && self.within(noun, id).await => {
                        ids.insert(Some(id.clone()))
                    }
                    Some(_) => false,
                };
            }
            if ids.len() > IDS_TOLD || ids.contains(&None) {
                ids = BTreeSet::from([None]);
            }
            for id in ids {
                if let Ok(event) = Event::default().event(noun.as_str()).json_data(Changed { id }) {
                    events.push(event);
                }
            }
        }
        events
    }

    /// Whether the listener may see the object. What cannot be found out may not be seen.
    async fn within(&mut self, noun: Noun, id: &str) -> bool {
        let Some(scope) = self.reaches.get(&noun) else {
            return false;
        };
        if scope.is_everything() {
            return true;
        }
        if self.believed_since.elapsed() >= BELIEVED {
            self.believed.clear();
            self.believed_since = Instant::now();
        }
        let key = (noun, id.to_owned());
        if let Some(known) = self.believed.get(&key) {
            return *known;
        }
        let within = self.app.db.within(scope, noun, id).await.unwrap_or(false);
        self.believed.insert(key, within);
        within
    }
}
