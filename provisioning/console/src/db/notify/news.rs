//! What happened to work orders and nobody has been told of yet.

use jiff::Timestamp;
use sqlx::FromRow;

use super::{
    Notify,
    plan::{NewMessage, insert},
};
use crate::db::{DbResult, bump};

/// Orders that are looked at in one round.
const AT_ONCE: i64 = 200;

/// An order of which there is something to tell, as it stands now.
#[derive(Debug, Clone, FromRow)]
pub struct News {
    /// The order.
    pub id: i64,
    /// The newest event that this covers.
    pub until: i64,
    /// Acts since somebody was last told, as words between spaces.
    pub acts: String,
    /// Who said the last of them that was no climbing; empty: nobody with an account.
    pub by: String,
    /// Their account, where it is one.
    pub by_id: Option<i64>,
    /// How it stands.
    pub state: String,
    /// What it came from.
    pub source: String,
    /// Its school.
    pub school_id: i64,
    /// Its name.
    pub school: String,
    /// The classroom's name.
    pub classroom: Option<String>,
    /// In a few words; may be empty.
    pub title: String,
    /// What is wrong, where nobody said it.
    pub fault_class: String,
    /// It cannot wait.
    pub urgent: bool,
    /// How often it climbed.
    pub tier: u8,
    /// Whose it is.
    pub assigned_to: Option<i64>,
    /// Their user name.
    pub assigned: Option<String>,
    /// When it was opened.
    pub opened_at: i64,
    /// Somebody took it.
    pub accepted_at: Option<i64>,
    /// Somebody should have by then.
    pub respond_due: Option<i64>,
    /// It should be done by then.
    pub repair_due: Option<i64>,
}

impl News {
    /// Whether an act is among what happened.
    pub fn has(&self, act: &str) -> bool {
        self.acts.split(' ').any(|word| word == act)
    }
}

impl Notify<'_> {
    /// Orders of which somebody is to be told, in the order of their numbers.
    ///
    /// # Errors
    /// The database's.
    pub async fn order_news(&self) -> DbResult<Vec<News>> {
        Ok(sqlx::query_as(
            "SELECT o.id, w.until, w.acts,
                    coalesce((SELECT e.by FROM order_news x JOIN order_events e ON e.order_id = x.order_id AND e.n = x.n
                               WHERE x.order_id = o.id AND e.act <> 'climbed' ORDER BY x.n DESC LIMIT 1), '') AS by,
                    (SELECT p.id FROM order_news x JOIN order_events e ON e.order_id = x.order_id AND e.n = x.n JOIN users p ON p.username = e.by
                      WHERE x.order_id = o.id AND e.act <> 'climbed' AND e.by_kind = 'user' ORDER BY x.n DESC LIMIT 1) AS by_id,
                    o.state, o.source, o.school_id, s.name AS school, c.name AS classroom, o.title, o.fault_class, o.urgent, o.tier,
                    o.assigned_to, u.username AS assigned, o.opened_at, o.accepted_at, o.respond_due, o.repair_due
               FROM (SELECT x.order_id, max(x.n) AS until, group_concat(e.act, ' ') AS acts
                       FROM order_news x JOIN order_events e ON e.order_id = x.order_id AND e.n = x.n
                      GROUP BY x.order_id ORDER BY x.order_id LIMIT ?) w
               JOIN orders o ON o.id = w.order_id JOIN schools s ON s.id = o.school_id
               LEFT JOIN classrooms c ON c.id = o.classroom_id
               LEFT JOIN users u ON u.id = o.assigned_to AND u.disabled_at IS NULL
              ORDER BY o.id",
        )
        .bind(AT_ONCE)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Queues what is told of an order; what happened up to then counts as told, also where nobody could be.
    ///
    /// # Errors
    /// The database's; then nothing is queued.
    pub async fn queue_news(&self, news: &News, messages: &[NewMessage], now: Timestamp) -> DbResult<()> {
        let mut tx = self.0.begin_quiet().await?;
        for one in messages {
            insert(&mut tx, one, now).await?;
        }
        sqlx::query("DELETE FROM order_news WHERE order_id = ? AND n <= ?")
            .bind(news.id)
            .bind(news.until)
            .execute(&mut *tx)
            .await?;
        if !messages.is_empty() {
            bump(&mut tx, "order").await?;
        }
        tx.commit().await
    }
}
