//! What planning has to know: schools with boards that are there, their lines, their last tests.

use contract::report::NetworkReport;
use jiff::Timestamp;

use super::{Bandwidth, target_of};
use crate::{
    db::{DbError, DbResult, instant, json, ms, scope::Scope},
    domain::bandwidth::schedule::{Board, Candidate, Running},
};

type BoardRow = (i64, i64, String, Option<String>, Option<i64>);

impl Bandwidth<'_> {
    /// Tests under way.
    ///
    /// # Errors
    /// The database's.
    pub async fn running(&self, now: Timestamp) -> DbResult<Vec<Running>> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT school_id, expected_kbps FROM bandwidth_tests WHERE state = 'ordered' AND ends_at > ?",
        )
        .bind(ms(now))
        .fetch_all(&self.0.read)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(school, kbps)| Running {
                school,
                expected_kbps: u32::try_from(kbps).unwrap_or(u32::MAX),
            })
            .collect())
    }

    /// Schools with boards that are there and whose last test began before `before`, longest ago first, at most `most`.
    ///
    /// # Errors
    /// The database's.
    pub async fn candidates(&self, before: Timestamp, now: Timestamp, most: u32) -> DbResult<Vec<Candidate>> {
        let schools: Vec<i64> = sqlx::query_scalar(
            "SELECT s.id FROM schools s
               LEFT JOIN (SELECT school_id, max(starts_at) AS last FROM bandwidth_tests GROUP BY school_id) t ON t.school_id = s.id
              WHERE (t.last IS NULL OR t.last < ?1) AND EXISTS (
                SELECT 1 FROM classrooms c JOIN devices d ON d.classroom_id = c.id
                 WHERE c.school_id = s.id AND d.online = 1 AND d.standing = 'active' AND d.replaced_at IS NULL)
              ORDER BY t.last IS NOT NULL, t.last, s.id LIMIT ?2",
        )
        .bind(ms(before))
        .bind(most)
        .fetch_all(&self.0.read)
        .await?;
        let mut found = Vec::with_capacity(schools.len());
        for school in schools {
            found.push(self.candidate(&Scope::everything(), school, now).await?);
        }
        Ok(found)
    }

    /// The same of one school.
    ///
    /// # Errors
    /// [`DbError::NotFound`], also for one out of reach.
    pub async fn candidate(&self, scope: &Scope, school: i64, now: Timestamp) -> DbResult<Candidate> {
        scope.need_school(school)?;
        let mut reading = self.0.read.begin().await?;
        let target = target_of(&mut reading, school, now, now).await?;
        let line = crate::db::lines::effective(&mut reading, school, now).await?;
        let rows: Vec<BoardRow> = sqlx::query_as(
            "SELECT d.device_no, c.school_id, d.id, d.network,
                    (SELECT link_mbps FROM samples sm WHERE sm.device_no = d.device_no AND link_mbps IS NOT NULL
                      ORDER BY sm.received_at DESC LIMIT 1)
               FROM devices d JOIN classrooms c ON c.id = d.classroom_id
              WHERE c.school_id = ? AND d.online = 1 AND d.standing = 'active' AND d.replaced_at IS NULL ORDER BY d.device_no",
        )
        .bind(school)
        .fetch_all(&mut *reading)
        .await?;
        let tests: Vec<(i64, bool, String)> = sqlx::query_as(
            "SELECT starts_at, doubt, cause FROM bandwidth_tests WHERE school_id = ? ORDER BY starts_at DESC LIMIT 10",
        )
        .bind(school)
        .fetch_all(&mut *reading)
        .await?;
        let boards = rows
            .into_iter()
            .map(|(device_no, _, id, network, sampled)| {
                let network: Option<NetworkReport> = network.as_deref().map(json).transpose()?;
                let sampled = sampled.and_then(|mbps| u32::try_from(mbps).ok());
                Ok(Board {
                    device_no,
                    id,
                    wired: network.as_ref().map_or(sampled.is_some(), |n| {
                        n.link == contract::bandwidth::LinkKind::Wired
                    }),
                    port_mbps: network.and_then(|n| n.port_mbps).or(sampled),
                })
            })
            .collect::<DbResult<Vec<_>>>()?;
        Ok(Candidate {
            school,
            expected_kbps: target.down_kbps.max(line.line_kbps),
            line,
            last: tests.first().map(|(at, doubt, _)| (instant(*at), *doubt)),
            reruns: u32::try_from(tests.iter().take_while(|(_, _, cause)| cause == "doubt").count())
                .unwrap_or(u32::MAX),
            boards,
        })
    }

    /// Whether the boards of a school may be tested without force from now on for so long.
    ///
    /// # Errors
    /// [`DbError::NotFound`].
    pub async fn line(&self, school: i64, now: Timestamp) -> DbResult<crate::api::lines::EffectiveLine> {
        let mut reading = self.0.read.acquire().await?;
        crate::db::lines::effective(&mut reading, school, now).await
    }

    /// Boards of a school by their ids, whatever their ports.
    ///
    /// # Errors
    /// [`DbError::NotFound`] for one that is not there or not connected.
    pub fn named(candidate: &Candidate, ids: &[String]) -> DbResult<Vec<Board>> {
        ids.iter()
            .map(|id| {
                candidate
                    .boards
                    .iter()
                    .find(|board| board.id == *id)
                    .cloned()
                    .ok_or_else(|| DbError::not_found("connected board of this school", id))
            })
            .collect()
    }
}
