//! What one device should hold, out of the pushes that cover it.

use std::collections::HashMap;

use contract::assignment::AssignedLesson;

/// One push's claim that a device should hold one lesson, at that lesson's newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which push; older ones have lower numbers.
    pub push: i64,
    /// The lesson's place in that push.
    pub position: i64,
    /// The lesson as the push wants it.
    pub lesson: AssignedLesson,
}

/// The union of the claims, each lesson once, in the order in which they should arrive: pinned first, then by when they
/// are first taught, then in the order of pushing.
///
/// A lesson wanted by several pushes is pinned if any of them pins it, and needed as early as the earliest says.
pub fn wanted(mut claims: Vec<Claim>) -> Vec<AssignedLesson> {
    claims.sort_by_key(|c| (c.push, c.position));
    let mut places = HashMap::new();
    let mut lessons: Vec<AssignedLesson> = Vec::new();
    for Claim { lesson, .. } in claims {
        match places.get(&lesson.lesson) {
            None => {
                places.insert(lesson.lesson.clone(), lessons.len());
                lessons.push(lesson);
            }
            Some(&at) => {
                let held: &mut AssignedLesson = &mut lessons[at];
                held.pinned |= lesson.pinned;
                held.needed_by = match (held.needed_by, lesson.needed_by) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
    }
    // Stable, so the order of pushing decides between equals.
    lessons.sort_by_key(|l| (!l.pinned, l.needed_by.is_none(), l.needed_by));
    lessons
}

#[cfg(test)]
mod tests {
    use contract::{hash::Hash, id::LessonId};
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn claim(push: i64, position: i64, id: &str, pinned: bool, needed_s: Option<i64>) -> Claim {
        let lesson = AssignedLesson {
            lesson: LessonId::new(id).unwrap(),
            version: 1,
            manifest: Hash::of(id.as_bytes()),
            size_bytes: 1,
            pinned,
            needed_by: needed_s.map(|s| Timestamp::from_second(s).unwrap()),
        };
        Claim {
            push,
            position,
            lesson,
        }
    }

    fn names(lessons: &[AssignedLesson]) -> Vec<&str> {
        lessons.iter().map(|l| l.lesson.as_str()).collect()
    }

    #[test]
    fn pinned_then_soonest_then_pushed_first() {
        let claims = vec![
            claim(2, 0, "late", false, Some(200)),
            claim(2, 1, "soon", false, Some(100)),
            claim(1, 0, "first", false, None),
            claim(1, 1, "second", false, None),
            claim(3, 0, "pinned", true, None),
        ];
        assert_eq!(
            names(&wanted(claims)),
            ["pinned", "soon", "late", "first", "second"]
        );
    }

    #[test]
    fn a_lesson_of_two_pushes_takes_the_stronger_wish() {
        let both = wanted(vec![
            claim(1, 0, "a", false, Some(50)),
            claim(2, 0, "a", true, None),
        ]);
        assert_eq!(both.len(), 1);
        assert!(both[0].pinned);
        assert_eq!(both[0].needed_by.unwrap().as_second(), 50);
    }

    proptest! {
        #[test]
        fn the_order_of_reading_rows_changes_nothing(
            rows in prop::collection::vec((1i64..4, 0i64..4, "[a-d]", any::<bool>(), prop::option::of(1i64..4)), 0..12),
            seed in any::<u64>(),
        ) {
            let mut seen = std::collections::HashSet::new();
            let claims: Vec<_> = rows.into_iter()
                .filter(|(push, position, ..)| seen.insert((*push, *position)))
                .map(|(push, position, id, pinned, needed)| claim(push, position, &id, pinned, needed))
                .collect();
            let mut shuffled = claims.clone();
            shuffled.sort_by_key(|c| (c.push as u64 * 7 + c.position as u64).wrapping_mul(seed | 1));
            prop_assert_eq!(wanted(claims), wanted(shuffled));
        }
    }
}
