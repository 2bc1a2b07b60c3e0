//! Photos of orders: rows here, pictures in files named by their hash (see [`crate::photos`]). And codes on walls.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{
    Orders,
    acts::{self, By},
};
use crate::{
    api::orders::{OrderAct, OrderBy, OrderPhoto, PhotoShows, WallCode},
    db::{
        Db, DbError, DbResult, bump, instant, int, ms,
        scope::{Node, Scope},
        to_json, uint,
    },
    domain::orders::{self as rules, MAX_PHOTOS},
};

/// A picture that is kept already.
#[derive(Debug, Clone)]
pub struct NewPhoto {
    /// BLAKE3 of the file.
    pub hash: String,
    /// What it shows.
    pub shows: PhotoShows,
    /// Pixels.
    pub size: (u32, u32),
    /// Bytes.
    pub size_bytes: u64,
}

/// All photos of an order.
pub(super) async fn of(tx: &mut SqliteConnection, order: i64) -> DbResult<Vec<OrderPhoto>> {
    type Row = (i64, String, String, u32, u32, i64, i64, String);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, hash, shows, width, height, size_bytes, added_at, added_by FROM order_photos WHERE order_id = ? ORDER BY id",
    )
    .bind(order)
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(
            |(id, hash, shows, width, height, size_bytes, added_at, added_by)| OrderPhoto {
                id,
                hash,
                shows: rules::shows_of(&shows).unwrap_or_default(),
                width,
                height,
                size_bytes: uint(size_bytes),
                added_at: instant(added_at),
                added_by,
            },
        )
        .collect())
}

impl Orders<'_> {
    /// Whether one more photo may be added, before its bytes are looked at.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach; [`DbError::Conflict`] when it has all it may have, or is over.
    pub async fn may_add_photo(&self, scope: &Scope, order: i64) -> DbResult<()> {
        let mut reading = self.0.read.begin().await?;
        room(&mut reading, scope, order).await.map(drop)
    }

    /// Of these hashes, those that no order names.
    ///
    /// # Errors
    /// The database's.
    pub async fn unnamed_photos(&self, hashes: &[String]) -> DbResult<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT hash FROM order_photos)",
        )
        .bind(to_json(&hashes)?)
        .fetch_all(&self.0.read)
        .await?)
    }

    /// Adds a photo that is kept; the same picture again changes nothing.
    ///
    /// # Errors
    /// As [`Self::may_add_photo`].
    pub async fn add_photo(
        &self,
        scope: &Scope,
        order: i64,
        new: &NewPhoto,
        (user, name): (i64, &str),
        now: Timestamp,
    ) -> DbResult<()> {
        let mut tx = self.0.begin().await?;
        let school = room(&mut tx, scope, order).await?;
        let added = sqlx::query(
            "INSERT INTO order_photos (order_id, hash, shows, width, height, size_bytes, added_at, added_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )
        .bind(order)
        .bind(&new.hash)
        .bind(rules::shows_word(new.shows))
        .bind(new.size.0)
        .bind(new.size.1)
        .bind(int(new.size_bytes))
        .bind(ms(now))
        .bind(name)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if added > 0 {
            let by = By {
                kind: OrderBy::User,
                name,
                user: Some(user),
            };
            acts::act(
                &mut tx,
                scope,
                order,
                OrderAct::Photo,
                &by,
                &rules::shows_word(new.shows),
                now,
            )
            .await?;
        }
        crate::audit::object("order", order);
        crate::audit::node(Node::School(school));
        crate::audit::note("photo", new.hash.as_str());
        tx.commit().await
    }

    /// Hash of a photo's file.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for an order out of reach.
    pub async fn photo(&self, scope: &Scope, order: i64, photo: i64) -> DbResult<String> {
        let found: Option<(String, i64)> = sqlx::query_as(
            "SELECT p.hash, o.school_id FROM order_photos p JOIN orders o ON o.id = p.order_id WHERE p.id = ? AND o.id = ?",
        )
        .bind(photo)
        .bind(order)
        .fetch_optional(&self.0.read)
        .await?;
        found
            .filter(|(_, school)| scope.has_school(*school))
            .map(|(hash, _)| hash)
            .ok_or_else(|| DbError::not_found("photo", photo))
    }

    /// The codes on a school's walls.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn wall_codes(&self, scope: &Scope, school: i64, web: &str) -> DbResult<Vec<WallCode>> {
        self.0.need_places(scope, None, Some(school)).await?;
        codes(self.0, school, web).await
    }

    /// Gives every classroom of a school a code that has none.
    ///
    /// # Errors
    /// As [`Self::wall_codes`].
    pub async fn make_wall_codes(
        &self,
        scope: &Scope,
        school: i64,
        web: &str,
        by: &str,
        now: Timestamp,
    ) -> DbResult<Vec<WallCode>> {
        self.0.need_places(scope, None, Some(school)).await?;
        let mut tx = self.0.begin().await?;
        let bare: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM classrooms c WHERE school_id = ? AND NOT EXISTS
                (SELECT 1 FROM classroom_codes k WHERE k.classroom_id = c.id AND k.revoked_at IS NULL) ORDER BY id",
        )
        .bind(school)
        .fetch_all(&mut *tx)
        .await?;
        for room in &bare {
            new_code(&mut tx, *room, by, now).await?;
        }
        crate::audit::object("school", school);
        crate::audit::node(Node::School(school));
        crate::audit::note("made", bare.len());
        bump(&mut tx, "order").await?;
        tx.commit().await?;
        codes(self.0, school, web).await
    }

    /// Gives a classroom another code: the one before opens nothing any more.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn renew_wall_code(
        &self,
        scope: &Scope,
        room: i64,
        web: &str,
        by: &str,
        now: Timestamp,
    ) -> DbResult<WallCode> {
        let school = self.0.need_classroom(scope, room).await?;
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "UPDATE classroom_codes SET revoked_at = ?2 WHERE classroom_id = ?1 AND revoked_at IS NULL",
        )
        .bind(room)
        .bind(ms(now))
        .execute(&mut *tx)
        .await?;
        new_code(&mut tx, room, by, now).await?;
        crate::audit::object("classroom", room);
        crate::audit::node(Node::School(school));
        bump(&mut tx, "order").await?;
        tx.commit().await?;
        codes(self.0, school, web)
            .await?
            .into_iter()
            .find(|code| code.classroom_id == room)
            .ok_or_else(|| DbError::not_found("classroom", room))
    }
}

/// The order's school, if it has room for one more photo.
async fn room(tx: &mut SqliteConnection, scope: &Scope, order: i64) -> DbResult<i64> {
    let standing = acts::standing(tx, scope, order).await?;
    let photos: i64 = sqlx::query_scalar("SELECT count(*) FROM order_photos WHERE order_id = ?")
        .bind(order)
        .fetch_one(tx)
        .await?;
    if rules::over(standing.facts().state) {
        return Err(DbError::Conflict(
            "the order is over; nothing is added to it any more".to_owned(),
        ));
    }
    if usize::try_from(photos).unwrap_or(usize::MAX) >= MAX_PHOTOS {
        return Err(DbError::Conflict(format!(
            "the order has {photos} photos; {MAX_PHOTOS} are kept of one"
        )));
    }
    Ok(standing.school_id)
}

async fn new_code(tx: &mut SqliteConnection, room: i64, by: &str, now: Timestamp) -> DbResult<()> {
    // 80 bits, in letters that cannot be taken for another.
    const LETTERS: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyzw";
    let bytes: [u8; 16] = rand::random();
    let code: String = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    sqlx::query(
        "INSERT INTO classroom_codes (code, classroom_id, created_at, created_by) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(code)
    .bind(room)
    .bind(ms(now))
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

async fn codes(db: &Db, school: i64, web: &str) -> DbResult<Vec<WallCode>> {
    let rows: Vec<(i64, String, Option<String>)> = sqlx::query_as(
        "SELECT c.id, c.name, k.code FROM classrooms c
           LEFT JOIN classroom_codes k ON k.classroom_id = c.id AND k.revoked_at IS NULL
          WHERE c.school_id = ? ORDER BY c.code, c.id",
    )
    .bind(school)
    .fetch_all(&db.read)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(classroom_id, classroom, code)| WallCode {
            classroom_id,
            classroom,
            url: code
                .as_ref()
                .map(|code| format!("{}/r/{code}", web.trim_end_matches('/'))),
            code,
        })
        .collect())
}
