//! What is done with orders: each act is an event, and the clocks are measured from the events.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Orders, due, hours};
use crate::{
    api::orders::{OrderAct, OrderBy, OrderChange, OrderKind, OrderState},
    db::{
        DbError, DbResult, bump, faults, instant, int, ms,
        scope::{Node, Scope},
    },
    domain::{
        faults::state_of as repair_of,
        orders::{self as rules, Facts, Refusal, measure},
    },
};

/// Orders that are read at once when all are looked through.
const AT_ONCE: i64 = 500;

/// Whose word an act is.
#[derive(Debug, Clone, Copy)]
pub(in crate::db) struct By<'a> {
    pub(in crate::db) kind: OrderBy,
    pub(in crate::db) name: &'a str,
    pub(in crate::db) user: Option<i64>,
}

#[derive(FromRow)]
pub(super) struct Standing {
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) school_id: i64,
    pub(super) fault_id: Option<String>,
    pub(super) class: String,
    pub(super) urgent: bool,
    pub(super) repaired_at: Option<i64>,
    pub(super) repaired_by: Option<String>,
    pub(super) evidence: bool,
}

impl Standing {
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            kind: rules::kind_of(&self.kind).unwrap_or(OrderKind::Repair),
            state: rules::state_of(&self.state).unwrap_or(OrderState::Closed),
            repaired_at: self.repaired_at.map(instant),
            repaired_by: self.repaired_by.as_deref(),
            evidence: self.evidence,
        }
    }
}

/// How an order within reach stands.
pub(super) async fn standing(tx: &mut SqliteConnection, scope: &Scope, id: i64) -> DbResult<Standing> {
    let found: Option<Standing> = sqlx::query_as(
        "SELECT kind, state, school_id, fault_id, class, urgent, repaired_at, repaired_by,
                EXISTS (SELECT 1 FROM order_photos p WHERE p.order_id = orders.id AND p.shows = 'evidence') AS evidence
           FROM orders WHERE id = ?",
    )
    .bind(id)
    .fetch_optional(tx)
    .await?;
    found
        .filter(|order| scope.has_school(order.school_id))
        .ok_or_else(|| DbError::not_found("order", id))
}

/// Writes an event down.
pub(in crate::db) async fn log(
    tx: &mut SqliteConnection,
    order: i64,
    act: OrderAct,
    state: OrderState,
    by: &By<'_>,
    note: &str,
    now: Timestamp,
) -> DbResult<()> {
    // A clock that was set back must not make a clock run backwards.
    sqlx::query(
        "INSERT INTO order_events (order_id, n, act, state, at, by_kind, by, note)
         SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, max(?4, coalesce(max(at), 0)), ?5, ?6, ?7
           FROM order_events WHERE order_id = ?1",
    )
    .bind(order)
    .bind(rules::act_word(act))
    .bind(rules::state_word(state))
    .bind(ms(now))
    .bind(rules::by_word(by.kind))
    .bind(by.name)
    .bind(note)
    .execute(tx)
    .await?;
    Ok(())
}

/// The events as the clocks want them.
pub(super) async fn events(
    tx: &mut SqliteConnection,
    order: i64,
) -> DbResult<Vec<(OrderAct, OrderState, Timestamp)>> {
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT act, state, at FROM order_events WHERE order_id = ? ORDER BY n")
            .bind(order)
            .fetch_all(tx)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(act, state, at)| {
            (
                rules::act_of(&act).unwrap_or(OrderAct::Noted),
                rules::state_of(&state).unwrap_or(OrderState::Closed),
                instant(at),
            )
        })
        .collect())
}

/// Does an act that the rules allow; answers how the order stands then.
pub(in crate::db) async fn act(
    tx: &mut SqliteConnection,
    scope: &Scope,
    id: i64,
    act: OrderAct,
    by: &By<'_>,
    note: &str,
    now: Timestamp,
) -> DbResult<OrderState> {
    let before = standing(tx, scope, id).await?;
    let state = rules::after(before.facts(), act, by.name, note, now).map_err(refused)?;
    apply(tx, id, &before, (act, state), by, note, now).await?;
    Ok(state)
}

pub(in crate::db) fn refused(refusal: Refusal) -> DbError {
    DbError::Conflict(refusal.to_string())
}

async fn apply(
    tx: &mut SqliteConnection,
    id: i64,
    before: &Standing,
    (act, state): (OrderAct, OrderState),
    by: &By<'_>,
    note: &str,
    now: Timestamp,
) -> DbResult<()> {
    log(tx, id, act, state, by, note, now).await?;
    let changed = rules::state_word(state) != before.state;
    sqlx::query(
        "UPDATE orders SET state = ?2, since = CASE WHEN ?3 THEN ?4 ELSE since END,
             accepted_at = CASE WHEN ?5 IN ('accepted', 'on_site', 'repaired') THEN coalesce(accepted_at, ?4) ELSE accepted_at END,
             on_site_at = CASE WHEN ?5 = 'on_site' THEN coalesce(on_site_at, ?4) ELSE on_site_at END,
             repaired_at = CASE WHEN ?5 = 'repaired' THEN ?4 ELSE repaired_at END,
             repaired_by = CASE WHEN ?5 = 'repaired' THEN ?6 ELSE repaired_by END,
             confirmed_at = CASE ?5 WHEN 'confirmed' THEN ?4 WHEN 'reopened' THEN NULL ELSE confirmed_at END,
             ended_at = CASE WHEN ?5 IN ('closed', 'cancelled') THEN ?4 WHEN ?5 = 'reopened' THEN NULL ELSE ended_at END,
             assigned_to = CASE WHEN ?5 IN ('accepted', 'on_site', 'repaired') THEN coalesce(?7, assigned_to)
                                ELSE assigned_to END
          WHERE id = ?1",
    )
    .bind(id)
    .bind(rules::state_word(state))
    .bind(changed)
    .bind(ms(now))
    .bind(rules::act_word(act))
    .bind(by.name)
    .bind(by.user)
    .execute(&mut *tx)
    .await?;
    if act == OrderAct::Reopened {
        let class = rules::class_of(&before.class).unwrap_or(crate::api::orders::OrderClass::Infrastructure);
        let (_, repair_due) = due(tx, before.school_id, class, before.urgent, now).await?;
        sqlx::query(
            "UPDATE orders SET round = round + 1, round_since = ?2, repair_due = ?3, tier = 0, climbed_at = NULL WHERE id = ?1",
        )
        .bind(id)
        .bind(ms(now))
        .bind(ms(repair_due))
        .execute(&mut *tx)
        .await?;
    }
    if changed {
        let measured = measure(&events(tx, id).await?, &hours(tx, before.school_id).await?, now);
        let once = |stands: bool, seconds: u64| stands.then(|| int(seconds));
        sqlx::query(
            "UPDATE orders SET response_wall_s = ?2, response_class_s = ?3, repair_wall_s = ?4, repair_class_s = ?5 WHERE id = ?1",
        )
        .bind(id)
        .bind(once(measured.responded, measured.response.wall_s))
        .bind(once(measured.responded, measured.response.class_s))
        .bind(once(measured.repaired, measured.repair.wall_s))
        .bind(once(measured.repaired, measured.repair.class_s))
        .execute(&mut *tx)
        .await?;
    }
    if let (Some(fault), true) = (&before.fault_id, changed) {
        tell_fault(tx, fault, state, by, note, now).await?;
    }
    bump(tx, "order").await
}

/// The board shows how its fault stands.
async fn tell_fault(
    tx: &mut SqliteConnection,
    fault: &str,
    state: OrderState,
    by: &By<'_>,
    note: &str,
    now: Timestamp,
) -> DbResult<()> {
    let stands: Option<String> = sqlx::query_scalar("SELECT state FROM faults WHERE id = ?")
        .bind(fault)
        .fetch_optional(&mut *tx)
        .await?;
    let repair = rules::repair_for(state);
    if stands.is_none_or(|word| repair_of(&word) == repair) {
        return Ok(());
    }
    let note = Some(note).filter(|note| !note.is_empty());
    let name = (by.kind == OrderBy::User).then_some(by.name);
    // It is the order that speaks here: the fault does not answer it.
    faults::stands_quietly(tx, fault, repair, note, now, name).await?;
    bump(tx, "device").await
}

impl Orders<'_> {
    /// Does an act in somebody's name.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] where the rules refuse it.
    pub async fn act(
        &self,
        scope: &Scope,
        id: i64,
        what: OrderAct,
        (user, name): (Option<i64>, &str),
        note: &str,
        now: Timestamp,
    ) -> DbResult<OrderState> {
        let mut tx = self.0.begin().await?;
        let by = By {
            kind: OrderBy::User,
            name,
            user,
        };
        let school = standing(&mut tx, scope, id).await?.school_id;
        let state = act(&mut tx, scope, id, what, &by, note, now).await?;
        crate::audit::object("order", id);
        crate::audit::node(Node::School(school));
        crate::audit::note("act", rules::act_word(what));
        crate::audit::note("state", rules::state_word(state));
        tx.commit().await?;
        Ok(state)
    }

    /// What the county's operators settle: who does it, how urgent it is, what it concerns, that it ends without a repair.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the order or the account, also where out of reach; [`DbError::Conflict`].
    pub async fn change(
        &self,
        scope: &Scope,
        id: i64,
        new: &OrderChange,
        name: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let by = By {
            kind: OrderBy::User,
            name,
            user: None,
        };
        let before = standing(&mut tx, scope, id).await?;
        crate::audit::object("order", id);
        crate::audit::node(Node::School(before.school_id));
        if let Some(user) = new.assign_to {
            let known: Option<String> =
                sqlx::query_scalar("SELECT username FROM users WHERE id = ? AND disabled_at IS NULL")
                    .bind(user)
                    .fetch_optional(&mut *tx)
                    .await?;
            let known = known.ok_or_else(|| DbError::not_found("user", user))?;
            super::super::users::need(&mut tx, scope, user).await?;
            act(&mut tx, scope, id, OrderAct::Assigned, &by, &known, now).await?;
            sqlx::query("UPDATE orders SET assigned_to = ?2 WHERE id = ?1")
                .bind(id)
                .bind(user)
                .execute(&mut *tx)
                .await?;
            crate::audit::note("assign_to", known);
        }
        if new.urgent.is_some() || new.class.is_some() {
            let urgent = new.urgent.unwrap_or(before.urgent);
            let class = new
                .class
                .or_else(|| rules::class_of(&before.class))
                .unwrap_or(crate::api::orders::OrderClass::Infrastructure);
            if rules::over(before.facts().state) {
                return Err(DbError::Conflict(
                    "the order is over; what it concerns is not changed any more".to_owned(),
                ));
            }
            let (opened, round): (i64, i64) =
                sqlx::query_as("SELECT opened_at, round_since FROM orders WHERE id = ?")
                    .bind(id)
                    .fetch_one(&mut *tx)
                    .await?;
            let (respond_due, _) = due(&mut tx, before.school_id, class, urgent, instant(opened)).await?;
            let (_, repair_due) = due(&mut tx, before.school_id, class, urgent, instant(round)).await?;
            sqlx::query(
                "UPDATE orders SET urgent = ?2, class = ?3, respond_due = ?4,
                        repair_due = CASE WHEN due_on IS NULL THEN ?5 ELSE repair_due END WHERE id = ?1",
            )
            .bind(id)
            .bind(urgent)
            .bind(rules::class_word(class))
            .bind(ms(respond_due))
            .bind(ms(repair_due))
            .execute(&mut *tx)
            .await?;
            crate::audit::note("urgent", urgent);
            crate::audit::note("class", rules::class_word(class));
        }
        if new.cancel {
            act(&mut tx, scope, id, OrderAct::Cancelled, &by, &new.note, now).await?;
            crate::audit::note("state", "cancelled");
        } else if !new.note.is_empty() {
            act(&mut tx, scope, id, OrderAct::Noted, &by, &new.note, now).await?;
        }
        bump(&mut tx, "order").await?;
        tx.commit().await
    }

    /// The word of whoever has the code on the wall on a repair that is said to be done there.
    ///
    /// # Errors
    /// [`DbError::NotFound`] where code and order do not belong together; [`DbError::Conflict`].
    pub async fn verdict_from_wall(&self, code: &str, id: i64, fixed: bool, now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        let known: Option<i64> = sqlx::query_scalar(
            "SELECT o.id FROM orders o JOIN classroom_codes k ON k.classroom_id = o.classroom_id
              WHERE o.id = ?1 AND k.code = ?2 AND k.revoked_at IS NULL AND o.kind = 'repair'",
        )
        .bind(id)
        .bind(code)
        .fetch_optional(&mut *tx)
        .await?;
        known.ok_or_else(|| DbError::not_found("order", id))?;
        let by = By {
            kind: OrderBy::Qr,
            name: "",
            user: None,
        };
        let what = if fixed {
            OrderAct::Confirmed
        } else {
            OrderAct::Reopened
        };
        act(&mut tx, &Scope::everything(), id, what, &by, "", now).await?;
        tx.commit().await
    }

    /// Ends what has waited long enough: a week after the repair (or its confirmation) nobody opened it again. Lets what is
    /// overdue climb. Answers how many of both.
    ///
    /// # Errors
    /// The database's.
    pub async fn settle(&self, now: Timestamp) -> DbResult<(usize, Vec<(i64, i64, u8)>)> {
        let before = ms(now.checked_sub(rules::REOPEN_FOR).unwrap_or(Timestamp::MIN));
        let by = By {
            kind: OrderBy::Console,
            name: "",
            user: None,
        };
        let everything = Scope::everything();
        let (mut closed, mut last) = (0, 0);
        loop {
            let ended: Vec<(i64, String)> = sqlx::query_as(
                "SELECT id, state FROM orders WHERE state IN ('repaired', 'confirmed') AND since <= ?1 AND id > ?2
                    AND NOT (kind = 'rectification' AND state = 'repaired') ORDER BY id LIMIT ?3",
            )
            .bind(before)
            .bind(last)
            .bind(AT_ONCE)
            .fetch_all(&self.0.read)
            .await?;
            let Some((end, _)) = ended.last() else { break };
            last = *end;
            for (id, state) in ended {
                let mut tx = self.0.begin_quiet().await?;
                let note = if state == "confirmed" { "" } else { UNCONFIRMED };
                match act(&mut tx, &everything, id, OrderAct::Closed, &by, note, now).await {
                    Ok(_) => {}
                    // Somebody was quicker, or the rules refuse it: no reason to leave the others.
                    Err(DbError::Conflict(why)) => {
                        tracing::debug!(order = id, why, "an order was not ended");
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                tx.commit().await?;
                closed += 1;
            }
        }
        Ok((closed, self.climb(now).await?))
    }

    async fn climb(&self, now: Timestamp) -> DbResult<Vec<(i64, i64, u8)>> {
        type Due = (i64, i64, String, bool, u8, Option<i64>);
        let mut climbed = Vec::new();
        let mut last = 0;
        loop {
            let overdue: Vec<Due> = sqlx::query_as(
                "SELECT id, school_id, class, urgent, tier, climbed_at FROM orders
                  WHERE state IN ('new', 'accepted', 'on_site', 'reopened') AND tier < ?2 AND id > ?3
                    AND ((accepted_at IS NULL AND respond_due <= ?1) OR repair_due <= ?1)
                  ORDER BY id LIMIT ?4",
            )
            .bind(ms(now))
            .bind(rules::MAX_TIER)
            .bind(last)
            .bind(AT_ONCE)
            .fetch_all(&self.0.read)
            .await?;
            let Some((end, ..)) = overdue.last() else {
                return Ok(climbed);
            };
            last = *end;
            let mut climbing = Vec::new();
            {
                let mut reading = self.0.read.begin().await?;
                for (id, school, class, urgent, tier, since) in overdue {
                    if let Some(since) = since {
                        // One tier after the other, each with the time that an answer may take.
                        let class =
                            rules::class_of(&class).unwrap_or(crate::api::orders::OrderClass::Infrastructure);
                        let (again, _) = due(&mut reading, school, class, urgent, instant(since)).await?;
                        if again > now {
                            continue;
                        }
                    }
                    climbing.push((id, school, tier));
                }
            }
            for (id, school, tier) in climbing {
                if self.climb_one(id, tier, now).await? {
                    climbed.push((id, school, tier + 1));
                }
            }
        }
    }

    /// Lets an order climb from a tier; `false`: it does not stand so any more, or the rules refuse it.
    async fn climb_one(&self, id: i64, tier: u8, now: Timestamp) -> DbResult<bool> {
        let by = By {
            kind: OrderBy::Console,
            name: "",
            user: None,
        };
        let mut tx = self.0.begin_quiet().await?;
        let stands = sqlx::query(
            "UPDATE orders SET tier = ?2 + 1, climbed_at = ?3 WHERE id = ?1 AND tier = ?2
                AND ((accepted_at IS NULL AND respond_due <= ?3) OR repair_due <= ?3)",
        )
        .bind(id)
        .bind(tier)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
        if stands.rows_affected() == 0 {
            return Ok(false);
        }
        let note = (tier + 1).to_string();
        let done = act(
            &mut tx,
            &Scope::everything(),
            id,
            OrderAct::Climbed,
            &by,
            &note,
            now,
        )
        .await;
        match done {
            Ok(_) => {}
            Err(DbError::Conflict(why)) => {
                tracing::debug!(order = id, why, "an overdue order did not climb");
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Works out when orders that came without it are due: those made before the console knew the schools' hours.
    ///
    /// # Errors
    /// The database's.
    pub async fn fill_due(&self) -> DbResult<usize> {
        let bare: Vec<(i64, i64, String, bool, i64)> = sqlx::query_as(
            "SELECT id, school_id, class, urgent, round_since FROM orders WHERE respond_due IS NULL ORDER BY id LIMIT 500",
        )
        .fetch_all(&self.0.read)
        .await?;
        let count = bare.len();
        for (id, school, class, urgent, since) in bare {
            let mut tx = self.0.begin_quiet().await?;
            let class = rules::class_of(&class).unwrap_or(crate::api::orders::OrderClass::Infrastructure);
            let (respond, repair) = due(&mut tx, school, class, urgent, instant(since)).await?;
            sqlx::query(
                "UPDATE orders SET respond_due = ?2, repair_due = coalesce(repair_due, ?3) WHERE id = ?1",
            )
            .bind(id)
            .bind(ms(respond))
            .bind(ms(repair))
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
        }
        Ok(count)
    }
}

/// Written where a repair ends without anybody's confirmation.
const UNCONFIRMED: &str = "七天内没有人确认，也没有人说没修好";
