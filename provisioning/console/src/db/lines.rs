//! Settings of schools' lines, and what boards say of their place in the school's network.

use contract::{
    id::DeviceId,
    report::{DeviceReport, HeldBack, PeerDoor},
    signed::{KeyRole, TrustedKey},
};
use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{Db, DbError, DbResult, bump, exams, instant, json, ms, scope::Scope, to_json, uint};
use crate::{
    api::lines::{Author, EffectiveLine, LineSettings, PlanState, RegionLine, SchoolLine},
    domain::line,
};

/// Most addresses of one board.
const MAX_ADDRESSES: usize = 8;
/// Longest key of an author, in characters; an Ed25519 key has 44.
const MAX_KEY_CHARS: usize = 100;

/// Functions on lines.
#[derive(Debug)]
pub struct Lines<'a>(&'a Db);

impl Db {
    /// Functions on lines.
    pub fn lines(&self) -> Lines<'_> {
        Lines(self)
    }
}

#[derive(FromRow)]
struct SetRow {
    settings: String,
    measured_at: Option<i64>,
    measured_by: Option<String>,
    updated_at: i64,
    updated_by: String,
}

#[derive(FromRow)]
struct AuthorRow {
    id: String,
    classroom: String,
    author_key: Option<String>,
    author: bool,
}

#[derive(FromRow)]
struct PlanRow {
    generation: i64,
    issued_at: i64,
    members: i64,
    told: i64,
    doors: i64,
}

/// What holds for a school, within a transaction or beside one.
pub(super) async fn effective(
    connection: &mut SqliteConnection,
    school: i64,
    now: Timestamp,
) -> DbResult<EffectiveLine> {
    Ok(effective_and_paid(connection, school, now).await?.0)
}

/// The same, with what the line is paid for in kbit/s, whoever measured it since.
pub(super) async fn effective_and_paid(
    connection: &mut SqliteConnection,
    school: i64,
    now: Timestamp,
) -> DbResult<(EffectiveLine, Option<u32>)> {
    let roster: Option<Option<i64>> =
        sqlx::query_scalar("SELECT contracted_down_mbps FROM schools WHERE id = ?")
            .bind(school)
            .fetch_optional(&mut *connection)
            .await?;
    let roster = roster.ok_or_else(|| DbError::not_found("school", school))?;
    // Nearer regions have more above them.
    let rows: Vec<(bool, String)> = sqlx::query_as(
        "SELECT l.school_id IS NOT NULL, l.settings FROM lines l
           LEFT JOIN schools s ON s.id = ?1
           LEFT JOIN region_closure rc ON rc.ancestor = l.region_id AND rc.descendant = s.region_id
          WHERE l.school_id = ?1 OR rc.ancestor IS NOT NULL
          ORDER BY l.school_id IS NULL,
                   (SELECT count(*) FROM region_closure up WHERE up.descendant = l.region_id) DESC",
    )
    .bind(school)
    .fetch_all(&mut *connection)
    .await?;
    let mut nearest_first = Vec::with_capacity(rows.len() + 1);
    if !rows.first().is_some_and(|(own, _)| *own) {
        nearest_first.push(LineSettings::default());
    }
    for (_, settings) in rows {
        nearest_first.push(json(&settings)?);
    }
    let roster = roster.and_then(|mbps| u32::try_from(mbps).ok());
    let exams = exams::windows(connection, school, now).await?;
    Ok((
        line::effective(&nearest_first, roster, &exams),
        line::paid_kbps(&nearest_first, roster),
    ))
}

impl Lines<'_> {
    /// A school's line.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn school(&self, scope: &Scope, school: i64, now: Timestamp) -> DbResult<SchoolLine> {
        scope.need_school(school)?;
        let mut reading = self.0.read.begin().await?;
        let effective = effective(&mut reading, school, now).await?;
        let set: Option<SetRow> = sqlx::query_as(
            "SELECT settings, measured_at, measured_by, updated_at, updated_by FROM lines WHERE school_id = ?",
        )
        .bind(school)
        .fetch_optional(&mut *reading)
        .await?;
        let plan: Option<PlanRow> = sqlx::query_as(
            "SELECT p.generation, p.issued_at, json_array_length(p.body, '$.members') AS members,
                    (SELECT count(*) FROM school_plans_told t
                      JOIN devices d ON d.device_no = t.device_no AND d.standing = 'active' AND d.replaced_at IS NULL
                      WHERE t.school_id = p.school_id AND t.generation = p.generation) AS told,
                    (SELECT count(*) FROM json_each(p.body, '$.members') m
                      WHERE json_extract(m.value, '$.door') IS NOT NULL) AS doors
               FROM school_plans p WHERE p.school_id = ?",
        )
        .bind(school)
        .fetch_optional(&mut *reading)
        .await?;
        let own = match &set {
            Some(set) => json(&set.settings)?,
            None => LineSettings::default(),
        };
        let small = |count| u32::try_from(uint(count)).unwrap_or(u32::MAX);
        Ok(SchoolLine {
            school_id: school,
            own,
            effective,
            measured_at: set.as_ref().and_then(|s| s.measured_at).map(instant),
            measured_by: set.as_ref().and_then(|s| s.measured_by.clone()),
            updated_at: set.as_ref().map(|s| instant(s.updated_at)),
            updated_by: set.map(|s| s.updated_by),
            plan: plan.filter(|p| p.members > 0).map(|p| PlanState {
                generation: uint(p.generation),
                issued_at: instant(p.issued_at),
                members: small(p.members),
                told: small(p.told),
                doors: small(p.doors),
            }),
        })
    }

    /// Sets a school's line.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn set_school(
        &self,
        scope: &Scope,
        school: i64,
        new: &LineSettings,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        scope.need_school(school)?;
        let mut tx = self.0.begin().await?;
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
            .bind(school)
            .fetch_optional(&mut *tx)
            .await?;
        found.ok_or_else(|| DbError::not_found("school", school))?;
        let before: Option<SetRow> = sqlx::query_as(
            "SELECT settings, measured_at, measured_by, updated_at, updated_by FROM lines WHERE school_id = ?",
        )
        .bind(school)
        .fetch_optional(&mut *tx)
        .await?;
        let was: Option<LineSettings> = before.as_ref().map(|b| json(&b.settings)).transpose()?;
        // A figure that is only sent along was not measured again.
        let (measured_at, measured_by) = match (new.measured_kbps, &before) {
            (None, _) => (None, None),
            (kbps, Some(before)) if was.is_some_and(|was| was.measured_kbps == kbps) => {
                (before.measured_at, before.measured_by.clone())
            }
            _ => (Some(ms(now)), Some(by.to_owned())),
        };
        sqlx::query(
            "INSERT INTO lines (school_id, settings, measured_at, measured_by, updated_at, updated_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (school_id) DO UPDATE SET settings = ?2, measured_at = ?3, measured_by = ?4, updated_at = ?5,
                updated_by = ?6",
        )
        .bind(school)
        .bind(to_json(new)?)
        .bind(measured_at)
        .bind(measured_by)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        note_settings("school", school, new);
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }

    /// A region's defaults.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn region(&self, scope: &Scope, region: i64) -> DbResult<RegionLine> {
        scope.need_region(region)?;
        let known: Option<(i64, i64)> = sqlx::query_as(
            "SELECT (SELECT count(*) FROM schools s WHERE s.region_id IN
                        (SELECT descendant FROM region_closure WHERE ancestor = r.id)),
                    (SELECT count(*) FROM schools s JOIN lines l ON l.school_id = s.id WHERE s.region_id IN
                        (SELECT descendant FROM region_closure WHERE ancestor = r.id))
               FROM regions r WHERE r.id = ?",
        )
        .bind(region)
        .fetch_optional(&self.0.read)
        .await?;
        let (schools, own_schools) = known.ok_or_else(|| DbError::not_found("region", region))?;
        let set: Option<SetRow> = sqlx::query_as(
            "SELECT settings, measured_at, measured_by, updated_at, updated_by FROM lines WHERE region_id = ?",
        )
        .bind(region)
        .fetch_optional(&self.0.read)
        .await?;
        let small = |count| u32::try_from(uint(count)).unwrap_or(u32::MAX);
        Ok(RegionLine {
            region_id: region,
            own: match &set {
                Some(set) => json(&set.settings)?,
                None => LineSettings::default(),
            },
            updated_at: set.as_ref().map(|s| instant(s.updated_at)),
            updated_by: set.map(|s| s.updated_by),
            schools: small(schools),
            schools_with_own: small(own_schools),
        })
    }

    /// Sets a region's defaults.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn set_region(
        &self,
        scope: &Scope,
        region: i64,
        new: &LineSettings,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        scope.need_region(region)?;
        let mut tx = self.0.begin().await?;
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM regions WHERE id = ?")
            .bind(region)
            .fetch_optional(&mut *tx)
            .await?;
        found.ok_or_else(|| DbError::not_found("region", region))?;
        sqlx::query(
            "INSERT INTO lines (region_id, settings, updated_at, updated_by) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (region_id) DO UPDATE SET settings = ?2, updated_at = ?3, updated_by = ?4",
        )
        .bind(region)
        .bind(to_json(new)?)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        note_settings("region", region, new);
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }

    /// Boards of a school that made a key, or may sign.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn authors(&self, scope: &Scope, school: i64) -> DbResult<Vec<Author>> {
        scope.need_school(school)?;
        let known: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
            .bind(school)
            .fetch_optional(&self.0.read)
            .await?;
        known.ok_or_else(|| DbError::not_found("school", school))?;
        let rows: Vec<AuthorRow> = sqlx::query_as(
            "SELECT d.id, c.name AS classroom, d.author_key, d.author FROM devices d
               JOIN classrooms c ON c.id = d.classroom_id
              WHERE c.school_id = ? AND d.standing = 'active' AND d.replaced_at IS NULL ORDER BY c.code, d.device_no",
        )
        .bind(school)
        .fetch_all(&self.0.read)
        .await?;
        rows.into_iter()
            .map(|row| {
                let key: Option<TrustedKey> = row.author_key.as_deref().map(json).transpose()?;
                Ok(Author {
                    device_id: row.id,
                    classroom: row.classroom,
                    key_id: key.map(|key| key.key_id.to_string()),
                    trusted: row.author,
                })
            })
            .collect()
    }

    /// Says which boards of a school may sign its own lessons; those that are not named may not.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for the school or a board, also where one is out of reach or stands elsewhere.
    pub async fn set_authors(&self, scope: &Scope, school: i64, devices: &[DeviceId]) -> DbResult<()> {
        scope.need_school(school)?;
        let mut tx = self.0.begin().await?;
        let found: Option<i64> = sqlx::query_scalar("SELECT id FROM schools WHERE id = ?")
            .bind(school)
            .fetch_optional(&mut *tx)
            .await?;
        found.ok_or_else(|| DbError::not_found("school", school))?;
        for device in devices {
            let here: Option<i64> = sqlx::query_scalar(
                "SELECT d.device_no FROM devices d JOIN classrooms c ON c.id = d.classroom_id
                  WHERE d.id = ? AND c.school_id = ? AND d.standing = 'active' AND d.replaced_at IS NULL",
            )
            .bind(device.as_str())
            .bind(school)
            .fetch_optional(&mut *tx)
            .await?;
            here.ok_or_else(|| DbError::not_found("device", device))?;
        }
        sqlx::query(
            "UPDATE devices SET author = id IN (SELECT value FROM json_each(?1))
              WHERE classroom_id IN (SELECT id FROM classrooms WHERE school_id = ?2)
                AND author <> (id IN (SELECT value FROM json_each(?1)))",
        )
        .bind(to_json(&devices)?)
        .bind(school)
        .execute(&mut *tx)
        .await?;
        crate::audit::object("school", school);
        crate::audit::note(
            "authors",
            devices.iter().map(ToString::to_string).collect::<Vec<_>>(),
        );
        bump(&mut tx, "tree").await?;
        tx.commit().await
    }
}

fn note_settings(kind: &'static str, id: i64, new: &LineSettings) {
    crate::audit::object(kind, id);
    let note = |key: &str, value: Option<u32>| {
        if let Some(value) = value {
            crate::audit::note(key, value);
        }
    };
    note("contracted_kbps", new.contracted_kbps);
    note("measured_kbps", new.measured_kbps);
    note("budget_kbps", new.budget_kbps);
    note("class_hours_percent", new.class_hours_percent.map(u32::from));
    if let Some(metered) = new.metered {
        crate::audit::note("metered", metered);
    }
}

const fn held_back_word(held: HeldBack) -> &'static str {
    match held {
        HeldBack::ClassHours => "class_hours",
        HeldBack::Exam => "exam",
        HeldBack::Metered => "metered",
        HeldBack::Other => "other",
    }
}

/// Addresses that can be one, of a board that takes part. What does not parse is left out: other boards would be sent there.
fn checked_door(door: &PeerDoor) -> Option<PeerDoor> {
    let good = |address: &&String| {
        address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| !ip.is_unspecified() && !ip.is_multicast())
    };
    let addresses: Vec<String> = door
        .addresses
        .iter()
        .filter(good)
        .take(MAX_ADDRESSES)
        .cloned()
        .collect();
    (!addresses.is_empty() && door.port != 0).then_some(PeerDoor {
        addresses,
        port: door.port,
    })
}

/// Takes over what a report says of the board's place in its school. Only a change is written: each one makes a new plan.
pub(super) async fn note_report(
    tx: &mut SqliteConnection,
    device_no: i64,
    report: &DeviceReport,
) -> DbResult<()> {
    let door = report.peer.as_ref().and_then(checked_door);
    let door = door.as_ref().map(to_json).transpose()?;
    let key = report
        .author_key
        .as_ref()
        .filter(|key| key.role == KeyRole::School && key.public_key.len() <= MAX_KEY_CHARS);
    let key = key.map(to_json).transpose()?;
    sqlx::query(
        "UPDATE devices SET peer_door = ?1, held_back = ?2, author_key = ?3
          WHERE device_no = ?4 AND (peer_door IS NOT ?1 OR held_back IS NOT ?2 OR author_key IS NOT ?3)",
    )
    .bind(door)
    .bind(report.held_back.map(held_back_word))
    .bind(key)
    .bind(device_no)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_leads_to_addresses_and_nowhere_else() {
        let door = |addresses: &[&str], port| PeerDoor {
            addresses: addresses.iter().map(ToString::to_string).collect(),
            port,
        };
        let good = checked_door(&door(
            &["10.0.0.2", "evil.example", "0.0.0.0", "fd00::2", "224.0.0.1"],
            8009,
        ));
        assert_eq!(good, Some(door(&["10.0.0.2", "fd00::2"], 8009)));
        assert_eq!(checked_door(&door(&["x"], 8009)), None);
        assert_eq!(checked_door(&door(&["10.0.0.2"], 0)), None);
        let many: Vec<String> = (0..20).map(|n| format!("10.0.0.{n}")).collect();
        let many = PeerDoor {
            addresses: many,
            port: 1,
        };
        assert_eq!(
            checked_door(&many).map(|d| d.addresses.len()),
            Some(MAX_ADDRESSES)
        );
    }
}
