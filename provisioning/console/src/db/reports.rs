//! Reports, their versions and the way they go up; and what is typed in by hand.

mod export;
mod facts;

use jiff::{Timestamp, civil::Date};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::{
    Db, DbError, DbResult, bump, instant, json,
    listing::{push_order, push_page},
    ms, parse,
    scope::{Node, Scope},
    to_json, uint,
};
use crate::{
    api::reports::{
        ManualFigure, ManualFigureChange, Report, ReportColumn, ReportQuery, ReportState, ReportStep,
        ReportStepKind, ReportVersion,
    },
    domain::indicators::Dictionary,
    reports::{
        body::{About, Body, Kind},
        seal::ReportSeal,
    },
};

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A region and everything below it.
    Region(i64),
    /// One school.
    School(i64),
}

impl Place {
    /// As two columns, region and school.
    pub const fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Region(id) => (Some(id), None),
            Self::School(id) => (None, Some(id)),
        }
    }

    const fn node(self) -> Node {
        match self {
            Self::Region(id) => Node::Region(id),
            Self::School(id) => Node::School(id),
        }
    }
}

/// Functions on reports.
#[derive(Debug)]
pub struct Reports<'a>(&'a Db);

impl Db {
    /// Functions on reports.
    pub const fn reports(&self) -> Reports<'_> {
        Reports(self)
    }
}

#[derive(FromRow)]
struct ReportRow {
    id: i64,
    kind: String,
    from_date: String,
    to_date: String,
    region_id: Option<i64>,
    school_id: Option<i64>,
    place: String,
    version: i64,
    state: String,
    digest: String,
    made_at: i64,
    made_by: String,
    total: i64,
}

const COLUMNS: &str = "SELECT r.id, r.kind, r.from_date, r.to_date, r.region_id, r.school_id,
        coalesce(g.name, s.name) AS place, v.version, v.state, v.digest, v.made_at, v.made_by, count(*) OVER () AS total
   FROM reports r JOIN report_versions v ON v.report_id = r.id
        AND v.version = (SELECT max(w.version) FROM report_versions w WHERE w.report_id = r.id)
   LEFT JOIN regions g ON g.id = r.region_id LEFT JOIN schools s ON s.id = r.school_id";

fn state(word: &str) -> DbResult<ReportState> {
    json(&format!("\"{word}\""))
}

fn word(value: impl serde::Serialize) -> DbResult<String> {
    Ok(to_json(&value)?.trim_matches('"').to_owned())
}

fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl ReportRow {
    fn read(self) -> DbResult<Report> {
        Ok(Report {
            id: self.id,
            kind: Kind::of(&self.kind).ok_or_else(|| DbError::Value(format!("report kind {}", self.kind)))?,
            from: parse(&self.from_date)?,
            to: parse(&self.to_date)?,
            region_id: self.region_id,
            school_id: self.school_id,
            place: self.place,
            version: small(self.version),
            state: state(&self.state)?,
            digest: self.digest,
            made_at: instant(self.made_at),
            made_by: self.made_by,
        })
    }
}

/// A version with what it says.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The report, as its newest version stands.
    pub report: Report,
    /// Which version this is.
    pub version: u32,
    /// How it stands.
    pub state: ReportState,
    /// BLAKE3 of the body's JSON.
    pub digest: String,
    /// What it says.
    pub body: Body,
    /// Once frozen: the signed word on it, as JSON.
    pub seal: Option<String>,
}

/// A body as it is kept: its JSON, and BLAKE3 of that.
///
/// # Errors
/// It cannot be written as JSON.
pub fn canonical(body: &Body) -> DbResult<(Vec<u8>, String)> {
    let text = serde_json::to_vec(body).map_err(|e| DbError::Value(e.to_string()))?;
    let digest = blake3::hash(&text).to_hex().to_string();
    Ok((text, digest))
}

fn packed(text: &[u8]) -> DbResult<Vec<u8>> {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer
        .write_all(text)
        .and_then(|()| packer.finish())
        .map_err(|e| DbError::Value(e.to_string()))
}

fn unpacked(blob: &[u8]) -> DbResult<Body> {
    serde_json::from_reader(std::io::BufReader::new(flate2::read::GzDecoder::new(blob)))
        .map_err(|e| DbError::Value(format!("a report's body cannot be read: {e}")))
}

impl Reports<'_> {
    /// Works out what a report on a place says. Days that are missing are made first.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a place out of reach.
    pub async fn work_out(
        &self,
        scope: &Scope,
        place: Place,
        kind: Kind,
        (from, to): (Date, Date),
        now: Timestamp,
    ) -> DbResult<Body> {
        let about = self.about(scope, place, kind, (from, to)).await?;
        self.0.device_days().fill(from, to, now).await?;
        let facts = facts::read(self.0, place, (from, to), now).await?;
        let dictionary = Dictionary::get().map_err(|e| DbError::Value(e.to_owned()))?;
        // Seconds of work for a county: not on a thread that serves others.
        tokio::task::spawn_blocking(move || Body::make(about, &facts, dictionary))
            .await
            .map_err(|e| DbError::Value(e.to_string()))
    }

    async fn about(
        &self,
        scope: &Scope,
        place: Place,
        kind: Kind,
        (from, to): (Date, Date),
    ) -> DbResult<About> {
        let (region, school) = place.columns();
        self.0.need_places(scope, region, school).await?;
        let (place_id, place_kind, code, name): (i64, &str, Option<String>, String) = match place {
            Place::Region(id) => {
                let row: (Option<String>, String) =
                    sqlx::query_as("SELECT code, name FROM regions WHERE id = ?")
                        .bind(id)
                        .fetch_one(&self.0.read)
                        .await?;
                (id, "region", row.0, row.1)
            }
            Place::School(id) => {
                let row: (String, String) = sqlx::query_as("SELECT code, name FROM schools WHERE id = ?")
                    .bind(id)
                    .fetch_one(&self.0.read)
                    .await?;
                (id, "school", Some(row.0), row.1)
            }
        };
        Ok(About {
            kind,
            from,
            to,
            place_kind: place_kind.to_owned(),
            place_id,
            place_code: code.unwrap_or_default(),
            place: name,
        })
    }

    /// Keeps a new report as a draft; its id.
    ///
    /// # Errors
    /// [`DbError::AlreadyExists`]: there is one of that place and time.
    pub async fn add(&self, place: Place, body: &Body, by: &str, now: Timestamp) -> DbResult<i64> {
        let (text, digest) = canonical(body)?;
        let (region, school) = place.columns();
        let mut tx = self.0.begin().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO reports (kind, from_date, to_date, region_id, school_id, created_at, created_by)
             VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(body.about.kind.as_str())
        .bind(body.about.from.to_string())
        .bind(body.about.to.to_string())
        .bind(region)
        .bind(school)
        .bind(ms(now))
        .bind(by)
        .fetch_one(&mut *tx)
        .await
        .map_err(|e| DbError::taken(e, "report", format!("{} {}", body.about.place, body.about.from)))?;
        let version = NewVersion {
            report: id,
            version: 1,
            corrects: None,
            why: "",
        };
        insert(&mut tx, &version, &text, &digest, by, now).await?;
        log(&mut tx, id, 1, ReportStepKind::Made, "", by, now).await?;
        crate::audit::object("report", id);
        crate::audit::node(place.node());
        crate::audit::note("digest", digest);
        bump(&mut tx, "report").await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Puts new figures into a draft, or opens a correction (更正) of a frozen version.
    ///
    /// # Errors
    /// [`DbError::Conflict`]: it is on its way up, or frozen and no reason for a correction is given.
    pub async fn renew(
        &self,
        found: &Stored,
        body: &Body,
        why: &str,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let (text, digest) = canonical(body)?;
        let (id, at) = (found.report.id, i64::from(found.version));
        let mut tx = self.0.begin().await?;
        let now_state = current(&mut tx, id, at).await?;
        let (version, step) = match (now_state, why) {
            (ReportState::Draft | ReportState::Returned, "") => {
                sqlx::query(
                    "UPDATE report_versions SET body = ?3, digest = ?4, made_at = ?5, made_by = ?6
                      WHERE report_id = ?1 AND version = ?2",
                )
                .bind(id)
                .bind(at)
                .bind(packed(&text)?)
                .bind(&digest)
                .bind(ms(now))
                .bind(by)
                .execute(&mut *tx)
                .await?;
                (at, ReportStepKind::Made)
            }
            (ReportState::Frozen, why) if !why.is_empty() => {
                let version = NewVersion {
                    report: id,
                    version: at + 1,
                    corrects: Some(at),
                    why,
                };
                insert(&mut tx, &version, &text, &digest, by, now).await?;
                (at + 1, ReportStepKind::Corrected)
            }
            (state, _) => {
                return Err(DbError::Conflict(format!(
                    "version {at} of report {id} is {}; a draft or a returned version is made again, a frozen one is corrected",
                    word(state)?
                )));
            }
        };
        log(&mut tx, id, version, step, why, by, now).await?;
        crate::audit::object("report", id);
        crate::audit::node(found.report.place_of().node());
        crate::audit::note("version", version);
        crate::audit::note("digest", digest);
        bump(&mut tx, "report").await?;
        tx.commit().await
    }

    /// Takes a report one step on.
    ///
    /// # Errors
    /// [`DbError::Conflict`]: the step is not open, or whoever handed it in is not who may judge it;
    /// [`DbError::NotFound`]: out of reach.
    pub async fn step(
        &self,
        found: &Stored,
        step: ReportStepKind,
        reason: &str,
        seal: Option<&str>,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        let (id, version) = (found.report.id, i64::from(found.version));
        let mut tx = self.0.begin().await?;
        let is = current(&mut tx, id, version).await?;
        let next = next(is, step).ok_or_else(|| {
            let (is, step) = (word(is).unwrap_or_default(), word(step).unwrap_or_default());
            DbError::Conflict(format!(
                "version {version} of report {id} is {is}; the step {step} is not open there"
            ))
        })?;
        if matches!(
            step,
            ReportStepKind::Approved | ReportStepKind::Returned | ReportStepKind::Frozen
        ) {
            let handed_in: Option<String> = sqlx::query_scalar(
                "SELECT by FROM report_steps WHERE report_id = ? AND version = ? AND step = 'submitted' ORDER BY n DESC LIMIT 1",
            )
            .bind(id)
            .bind(version)
            .fetch_optional(&mut *tx)
            .await?;
            if handed_in.as_deref() == Some(by) {
                return Err(DbError::Conflict(
                    "whoever handed a report in does not judge it; another account has to".to_owned(),
                ));
            }
        }
        sqlx::query(
            "UPDATE report_versions SET state = ?3, seal = coalesce(?4, seal) WHERE report_id = ?1 AND version = ?2",
        )
        .bind(id)
        .bind(version)
        .bind(word(next)?)
        .bind(seal)
        .execute(&mut *tx)
        .await?;
        log(&mut tx, id, version, step, reason, by, now).await?;
        crate::audit::object("report", id);
        crate::audit::node(found.report.place_of().node());
        crate::audit::note("version", version);
        if !reason.is_empty() {
            crate::audit::note("reason", reason);
        }
        bump(&mut tx, "report").await?;
        tx.commit().await
    }

    /// Whether `scope` reaches above a report's place, so that it may judge it: the region of a school, the region above a
    /// region; where there is none, that region itself.
    ///
    /// # Errors
    /// [`DbError::NotFound`]: it does not.
    pub async fn need_above(&self, scope: &Scope, report: &Report) -> DbResult<()> {
        let above: i64 = match report.place_of() {
            Place::School(id) => sqlx::query_scalar("SELECT region_id FROM schools WHERE id = ?").bind(id),
            Place::Region(id) => {
                sqlx::query_scalar("SELECT coalesce(parent_id, id) FROM regions WHERE id = ?").bind(id)
            }
        }
        .fetch_one(&self.0.read)
        .await?;
        scope
            .has_region(above)
            .then_some(())
            .ok_or_else(|| DbError::not_found("report", report.id))
    }

    /// Reports within `scope`, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, scope: &Scope, query: &ReportQuery) -> DbResult<(Vec<Report>, u64)> {
        let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
        sql.push(" WHERE true");
        narrow(&mut sql, scope);
        if let Some(kind) = query.kind {
            sql.push(" AND r.kind = ").push_bind(kind.as_str());
        }
        if let Some(state) = query.state {
            sql.push(" AND v.state = ").push_bind(word(state)?);
        }
        if let Some(region) = query.region_id {
            sql.push(" AND (r.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                .push_bind(region)
                .push(") OR s.region_id IN (SELECT descendant FROM region_closure WHERE ancestor = ")
                .push_bind(region)
                .push("))");
        }
        if let Some(school) = query.school_id {
            sql.push(" AND r.school_id = ").push_bind(school);
        }
        if let Some(year) = query.year {
            sql.push(" AND substr(r.from_date, 1, 4) = ")
                .push_bind(format!("{year:04}"));
        }
        let key = |sql: &mut QueryBuilder<Sqlite>, column| {
            sql.push(match column {
                ReportColumn::From => "r.from_date",
                ReportColumn::Kind => "CASE r.kind WHEN 'month' THEN 0 WHEN 'quarter' THEN 1 ELSE 2 END",
                ReportColumn::Place => "coalesce(g.name, s.name)",
                ReportColumn::State => {
                    "CASE v.state WHEN 'draft' THEN 0 WHEN 'returned' THEN 1 WHEN 'submitted' THEN 2 WHEN 'approved' THEN 3 ELSE 4 END"
                }
                ReportColumn::Version => "v.version",
                ReportColumn::MadeAt => "v.made_at",
                ReportColumn::MadeBy => "v.made_by",
            });
        };
        push_order(&mut sql, query.sort, key, "r.from_date DESC, r.kind, r.id DESC");
        push_page(&mut sql, query.page());
        let rows: Vec<ReportRow> = sql.build_query_as().fetch_all(&self.0.read).await?;
        let total = rows.first().map_or(0, |row| uint(row.total));
        let reports = rows.into_iter().map(ReportRow::read).collect::<DbResult<_>>()?;
        Ok((reports, total))
    }

    /// One report within `scope`.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn get(&self, scope: &Scope, id: i64) -> DbResult<Report> {
        let mut sql = QueryBuilder::<Sqlite>::new(COLUMNS);
        sql.push(" WHERE r.id = ").push_bind(id);
        narrow(&mut sql, scope);
        let row: Option<ReportRow> = sql.build_query_as().fetch_optional(&self.0.read).await?;
        row.ok_or_else(|| DbError::not_found("report", id))?.read()
    }

    /// A version of a report with what it says; without `version` the newest.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn version(&self, scope: &Scope, id: i64, version: Option<u32>) -> DbResult<Stored> {
        let report = self.get(scope, id).await?;
        let version = version.unwrap_or(report.version);
        let row: Option<(String, String, Vec<u8>, Option<String>)> = sqlx::query_as(
            "SELECT state, digest, body, seal FROM report_versions WHERE report_id = ? AND version = ?",
        )
        .bind(id)
        .bind(version)
        .fetch_optional(&self.0.read)
        .await?;
        let (is, digest, blob, seal) =
            row.ok_or_else(|| DbError::not_found("report", format!("{id}/{version}")))?;
        Ok(Stored {
            report,
            version,
            state: state(&is)?,
            digest,
            body: unpacked(&blob)?,
            seal,
        })
    }

    /// All versions of a report with the steps they took, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn versions(&self, id: i64) -> DbResult<Vec<ReportVersion>> {
        #[derive(FromRow)]
        struct VersionRow {
            version: i64,
            state: String,
            corrects: Option<i64>,
            why: String,
            digest: String,
            made_at: i64,
            made_by: String,
            sealed: bool,
        }
        let rows: Vec<VersionRow> = sqlx::query_as(
            "SELECT version, state, corrects, why, digest, made_at, made_by, seal IS NOT NULL AS sealed FROM report_versions
              WHERE report_id = ? ORDER BY version",
        )
        .bind(id)
        .fetch_all(&self.0.read)
        .await?;
        let steps: Vec<(i64, String, String, i64, String)> = sqlx::query_as(
            "SELECT version, step, reason, at, by FROM report_steps WHERE report_id = ? ORDER BY version, n",
        )
        .bind(id)
        .fetch_all(&self.0.read)
        .await?;
        let mut versions = Vec::with_capacity(rows.len());
        for row in rows {
            let own = steps.iter().filter(|(version, ..)| *version == row.version);
            let steps = own
                .map(|(_, step, reason, at, by)| {
                    Ok(ReportStep {
                        step: json(&format!("\"{step}\""))?,
                        reason: reason.clone(),
                        at: instant(*at),
                        by: by.clone(),
                    })
                })
                .collect::<DbResult<_>>()?;
            versions.push(ReportVersion {
                version: small(row.version),
                state: state(&row.state)?,
                corrects: row.corrects.map(small),
                why: row.why,
                digest: row.digest,
                made_at: instant(row.made_at),
                made_by: row.made_by,
                sealed: row.sealed,
                steps,
            });
        }
        Ok(versions)
    }

    /// What was typed in for a school's month.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school out of reach.
    pub async fn manual(&self, scope: &Scope, school: i64, month: Date) -> DbResult<Vec<ManualFigure>> {
        self.0.need_places(scope, None, Some(school)).await?;
        let rows: Vec<(String, i64, i64, String, i64, String)> = sqlx::query_as(
            "SELECT indicator, numerator, denominator, note, updated_at, updated_by FROM manual_figures
              WHERE school_id = ? AND month = ? ORDER BY indicator",
        )
        .bind(school)
        .bind(month.first_of_month().to_string())
        .fetch_all(&self.0.read)
        .await?;
        let figure = |(indicator, numerator, denominator, note, at, by)| ManualFigure {
            indicator,
            numerator,
            denominator,
            note,
            updated_at: instant(at),
            updated_by: by,
        };
        Ok(rows.into_iter().map(figure).collect())
    }

    /// Types a figure in.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for a school out of reach.
    pub async fn set_manual(
        &self,
        scope: &Scope,
        school: i64,
        change: &ManualFigureChange,
        by: &str,
        now: Timestamp,
    ) -> DbResult<()> {
        self.0.need_places(scope, None, Some(school)).await?;
        let mut tx = self.0.begin().await?;
        sqlx::query(
            "INSERT INTO manual_figures (school_id, month, indicator, numerator, denominator, note, updated_at, updated_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (school_id, month, indicator) DO UPDATE SET numerator = excluded.numerator,
                denominator = excluded.denominator, note = excluded.note, updated_at = excluded.updated_at,
                updated_by = excluded.updated_by",
        )
        .bind(school)
        .bind(change.month.first_of_month().to_string())
        .bind(&change.indicator)
        .bind(i64::from(change.numerator))
        .bind(i64::from(change.denominator))
        .bind(&change.note)
        .bind(ms(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        crate::audit::object("school", school);
        crate::audit::node(Node::School(school));
        crate::audit::note("indicator", change.indicator.clone());
        crate::audit::note("numerator", i64::from(change.numerator));
        crate::audit::note("denominator", i64::from(change.denominator));
        tx.commit().await
    }

    /// The seal of a frozen version as its signature says, unverified.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn seal_of(seal: &str) -> DbResult<contract::signed::Signed<ReportSeal>> {
        json(seal)
    }
}

impl Report {
    /// What it is about.
    pub fn place_of(&self) -> Place {
        match (self.region_id, self.school_id) {
            (Some(region), _) => Place::Region(region),
            (None, school) => Place::School(school.unwrap_or(0)),
        }
    }
}

/// Where a step leads; none: it is not open.
const fn next(is: ReportState, step: ReportStepKind) -> Option<ReportState> {
    Some(match (is, step) {
        (ReportState::Draft | ReportState::Returned, ReportStepKind::Submitted) => ReportState::Submitted,
        (ReportState::Submitted, ReportStepKind::Approved) => ReportState::Approved,
        (ReportState::Submitted | ReportState::Approved, ReportStepKind::Returned) => ReportState::Returned,
        (ReportState::Approved, ReportStepKind::Frozen) => ReportState::Frozen,
        _ => return None,
    })
}

fn narrow(sql: &mut QueryBuilder<Sqlite>, scope: &Scope) {
    if let (Some(regions), Some(schools)) = (scope.regions(), scope.schools()) {
        sql.push(" AND (r.region_id IN (SELECT value FROM json_each(")
            .push_bind(regions.to_owned())
            .push(")) OR r.school_id IN (SELECT value FROM json_each(")
            .push_bind(schools.to_owned())
            .push(")))");
    }
}

struct NewVersion<'a> {
    report: i64,
    version: i64,
    corrects: Option<i64>,
    why: &'a str,
}

async fn insert(
    tx: &mut SqliteConnection,
    new: &NewVersion<'_>,
    text: &[u8],
    digest: &str,
    by: &str,
    now: Timestamp,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO report_versions (report_id, version, state, corrects, why, body, digest, made_at, made_by)
         VALUES (?, ?, 'draft', ?, ?, ?, ?, ?, ?)",
    )
    .bind(new.report)
    .bind(new.version)
    .bind(new.corrects)
    .bind(new.why)
    .bind(packed(text)?)
    .bind(digest)
    .bind(ms(now))
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

async fn log(
    tx: &mut SqliteConnection,
    report: i64,
    version: i64,
    step: ReportStepKind,
    reason: &str,
    by: &str,
    now: Timestamp,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO report_steps (report_id, version, n, step, reason, at, by)
         SELECT ?1, ?2, coalesce(max(n), 0) + 1, ?3, ?4, ?5, ?6 FROM report_steps WHERE report_id = ?1 AND version = ?2",
    )
    .bind(report)
    .bind(version)
    .bind(word(step)?)
    .bind(reason)
    .bind(ms(now))
    .bind(by)
    .execute(tx)
    .await?;
    Ok(())
}

async fn current(tx: &mut SqliteConnection, report: i64, version: i64) -> DbResult<ReportState> {
    let found: Option<(String, bool)> = sqlx::query_as(
        "SELECT state, version = (SELECT max(version) FROM report_versions WHERE report_id = ?1) FROM report_versions
          WHERE report_id = ?1 AND version = ?2",
    )
    .bind(report)
    .bind(version)
    .fetch_optional(tx)
    .await?;
    match found {
        None => Err(DbError::not_found("report", format!("{report}/{version}"))),
        Some((_, false)) => Err(DbError::Conflict(format!(
            "version {version} of report {report} is not its newest"
        ))),
        Some((is, true)) => state(&is),
    }
}
