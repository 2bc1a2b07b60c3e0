//! Reviews as people see them: what waits, for whom, and what was done.

use contract::id::LessonId;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::Reviews;
use crate::{
    api::{
        reviews::{ReviewEntry, ReviewItem, ReviewQuery},
        users::NodeRef,
    },
    db::{
        DbError, DbResult, instant, json,
        lessons::read::{META, MetaRow, OWNER, push_within},
        parse,
        scope::{Node, Scope},
        uint,
    },
    domain::review::{self, Deed, Refusal, ReviewState, ReviewStep},
};

#[derive(FromRow)]
struct ItemRow {
    id: String,
    version: i64,
    review_state: String,
    state_at: i64,
    #[sqlx(flatten)]
    meta: MetaRow,
    uploaded_by: String,
    uploaded_by_name: String,
    released_version: Option<i64>,
    returned_reason: Option<String>,
    past: String,
    owner_region_id: Option<i64>,
    owner_school_id: Option<i64>,
    owner_name: Option<String>,
}

impl ItemRow {
    /// `reach`: per step, whether the person's role allows it at the lesson's owner.
    fn item(self, by: &str, reach: &(dyn Fn(ReviewStep, Node) -> bool + Sync)) -> DbResult<ReviewItem> {
        let state: ReviewState = parse(&self.review_state)?;
        let owner = Node::of_columns(self.owner_region_id, self.owner_school_id);
        let past: Vec<(String, String)> = json(&self.past)?;
        let past: Vec<(Deed, String)> = past
            .into_iter()
            .map(|(step, person)| Ok((parse(&step)?, person)))
            .collect::<DbResult<_>>()?;
        let next = state.next();
        let verdict = next
            .filter(|step| reach(*step, owner))
            .map(|step| review::may(state, step, by, &past));
        Ok(ReviewItem {
            lesson: parse(&self.id)?,
            version: u32::try_from(self.version).unwrap_or(0),
            state,
            state_at: instant(self.state_at),
            meta: self.meta.into(),
            owner: NodeRef::of(owner, self.owner_name),
            uploaded_by: self.uploaded_by,
            uploaded_by_name: self.uploaded_by_name,
            released_version: self.released_version.and_then(|v| u32::try_from(v).ok()),
            next,
            may: verdict == Some(Ok(())),
            barred: match verdict {
                Some(Err(Refusal::OwnWork)) => Some("own_work".to_owned()),
                Some(Err(Refusal::SecondStep)) => Some("second_step".to_owned()),
                _ => None,
            },
            returned_reason: self.returned_reason.filter(|_| state == ReviewState::Returned),
        })
    }
}

fn select() -> QueryBuilder<Sqlite> {
    QueryBuilder::new(format!(
        "SELECT l.id, v.version, v.review_state, v.state_at, {META}, v.uploaded_by,
         coalesce((SELECT nullif(u.display_name, '') FROM users u WHERE u.username = v.uploaded_by), v.uploaded_by)
           AS uploaded_by_name, l.released_version,
         (SELECT reason FROM lesson_reviews r WHERE r.lesson_id = v.lesson_id AND r.version = v.version AND r.step = 'return'
           ORDER BY r.id DESC LIMIT 1) AS returned_reason,
         (SELECT coalesce(json_group_array(json_array(r.step, r.person)), '[]') FROM lesson_reviews r
           WHERE r.lesson_id = v.lesson_id AND r.version = v.version) AS past, {OWNER}
         FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id WHERE "
    ))
}

impl Reviews<'_> {
    /// Versions of lessons owned within `scope` that are in review, those that wait longest first, and how many there are.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        scope: &Scope,
        query: &ReviewQuery,
        by: &str,
        reach: &(dyn Fn(ReviewStep, Node) -> bool + Sync),
    ) -> DbResult<(Vec<ReviewItem>, u64)> {
        let filter = |sql: &mut QueryBuilder<Sqlite>| {
            sql.push("v.version = l.latest_version AND ");
            push_within(sql, scope);
            match query.state {
                Some(state) => sql.push(" AND v.review_state = ").push_bind(state.as_str()),
                None => sql.push(" AND v.review_state NOT IN ('released', 'withdrawn', 'superseded')"),
            };
            if let Some(subject) = query.subject.as_deref().filter(|s| !s.is_empty()) {
                sql.push(" AND v.subject = ").push_bind(subject.to_owned());
            }
            if let Some(q) = query.q.as_deref().map(str::trim).filter(|s| !s.is_empty()) {
                sql.push(" AND (instr(v.title || ' ' || v.chapter || ' ' || l.id, ")
                    .push_bind(q.to_owned())
                    .push(") > 0)");
            }
        };
        let page = query.page();
        let mut list = select();
        filter(&mut list);
        list.push(" ORDER BY v.state_at, l.id");
        if query.mine.unwrap_or(false) {
            // Who may is decided by the rules and not in SQL, so all rows have to be looked at.
            let rows: Vec<ItemRow> = list.build_query_as().fetch_all(&self.0.read).await?;
            let items: Vec<ReviewItem> = rows
                .into_iter()
                .map(|row| row.item(by, reach))
                .collect::<DbResult<_>>()?;
            let mine: Vec<_> = items.into_iter().filter(|item| item.may).collect();
            let total = mine.len() as u64;
            let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
            let mine = mine.into_iter().skip(skip).take(page.page_size as usize);
            return Ok((mine.collect(), total));
        }
        let mut count = QueryBuilder::<Sqlite>::new(
            "SELECT count(*) FROM lessons l JOIN lesson_versions v ON v.lesson_id = l.id WHERE ",
        );
        filter(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&self.0.read).await?;
        list.push(" LIMIT ").push_bind(page.limit());
        list.push(" OFFSET ").push_bind(page.offset());
        let rows: Vec<ItemRow> = list.build_query_as().fetch_all(&self.0.read).await?;
        let items = rows
            .into_iter()
            .map(|row| row.item(by, reach))
            .collect::<DbResult<_>>()?;
        Ok((items, uint(total)))
    }

    /// One version under review (`None`: the newest) of a lesson owned within `scope`.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn item(
        &self,
        scope: &Scope,
        lesson: &LessonId,
        version: Option<u32>,
        by: &str,
        reach: &(dyn Fn(ReviewStep, Node) -> bool + Sync),
    ) -> DbResult<ReviewItem> {
        let mut one = select();
        one.push("l.id = ").push_bind(lesson.as_str()).push(" AND ");
        push_within(&mut one, scope);
        match version {
            Some(version) => one.push(" AND v.version = ").push_bind(i64::from(version)),
            None => one.push(" AND v.version = l.latest_version"),
        };
        let row: Option<ItemRow> = one.build_query_as().fetch_optional(&self.0.read).await?;
        row.ok_or_else(|| DbError::not_found("lesson", lesson))?
            .item(by, reach)
    }

    /// Everything that was done to a lesson's versions, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn history(&self, lesson: &LessonId) -> DbResult<Vec<ReviewEntry>> {
        let rows: Vec<(i64, String, String, String, String, i64, String)> = sqlx::query_as(
            "SELECT r.version, r.step, r.state, r.person, coalesce(nullif(u.display_name, ''), r.person), r.at, r.reason
             FROM lesson_reviews r LEFT JOIN users u ON u.username = r.person WHERE r.lesson_id = ? ORDER BY r.id",
        )
        .bind(lesson.as_str())
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter()
            .map(|(version, step, state, person, person_name, at, reason)| {
                Ok(ReviewEntry {
                    version: u32::try_from(version).unwrap_or(0),
                    step: parse(&step)?,
                    state: parse(&state)?,
                    person,
                    person_name,
                    at: instant(at),
                    reason,
                })
            })
            .collect()
    }
}
