//! What boards can be told and how they are, by their own word.

use contract::controls::{ControlsReport, LockReport};
use sqlx::SqliteConnection;

use crate::db::{DbResult, to_json};

/// Abilities that are kept of one board, and characters of one.
const MOST: usize = 32;
const WORD_CHARS: usize = 40;
/// Characters of a lock's reason.
const REASON_CHARS: usize = 200;

/// Takes over what a report says, within bounds.
pub(super) async fn note_report(
    tx: &mut SqliteConnection,
    device_no: i64,
    controls: Option<&ControlsReport>,
) -> DbResult<()> {
    let controls = controls.map(|controls| to_json(&bounded(controls))).transpose()?;
    sqlx::query("UPDATE devices SET controls = ?1 WHERE device_no = ?2 AND controls IS NOT ?1")
        .bind(controls)
        .bind(device_no)
        .execute(tx)
        .await?;
    Ok(())
}

fn bounded(controls: &ControlsReport) -> ControlsReport {
    let short = |text: &str, most: usize| -> String { text.chars().take(most).collect() };
    let abilities = controls.abilities.iter().take(MOST);
    ControlsReport {
        abilities: abilities.map(|word| short(word, WORD_CHARS)).collect(),
        locked: controls.locked.as_ref().map(|lock| LockReport {
            reason: short(&lock.reason, REASON_CHARS),
            since: lock.since,
        }),
        volume: controls.volume.map(|volume| volume.min(100)),
        ..controls.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_says_too_much_is_cut_short() {
        let loud = ControlsReport {
            abilities: vec!["x".repeat(1_000); 1_000],
            volume: Some(255),
            locked: Some(LockReport {
                reason: "字".repeat(9_999),
                since: None,
            }),
            ..ControlsReport::default()
        };
        let kept = bounded(&loud);
        assert_eq!((kept.abilities.len(), kept.abilities[0].len()), (32, 40));
        assert_eq!(
            (kept.volume, kept.locked.unwrap().reason.chars().count()),
            (Some(100), 200)
        );
    }
}
