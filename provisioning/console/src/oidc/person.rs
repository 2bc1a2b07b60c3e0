//! What a verified ID token says about a person, and what that is worth here. Decides only.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::config::{Mapping, Place};
use crate::access::Role;

/// Everything in the token that the protocol does not name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl openidconnect::AdditionalClaims for Claims {}

/// Most values of the claim that are looked at.
const VALUES: usize = 500;
const NAME: usize = 60;

impl Claims {
    /// The values of a claim: a text, a list of texts, or (`realm_access.roles`) one inside of another.
    pub(super) fn values(&self, claim: &str) -> BTreeSet<String> {
        let found = self.all.get(claim).or_else(|| {
            let mut at: Option<&Value> = None;
            for part in claim.split('.') {
                at = match at {
                    None => self.all.get(part),
                    Some(inner) => inner.get(part),
                };
                at?;
            }
            at
        });
        match found {
            Some(Value::String(one)) => BTreeSet::from([one.clone()]),
            Some(Value::Array(some)) => some
                .iter()
                .take(VALUES)
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect(),
            _ => BTreeSet::new(),
        }
    }
}

/// Somebody for whom the provider vouches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider.
    pub issuer: String,
    /// The provider's own id for the person; never given to another.
    pub subject: String,
    /// Name for signing in, as the provider suggests it.
    pub username: String,
    /// Name for people.
    pub display_name: String,
    /// What the values of the claim are worth.
    pub grants: Vec<(Role, Place)>,
}

/// What `values` are worth, each once, in the order of the configuration.
pub(super) fn worth(values: &BTreeSet<String>, map: &[Mapping]) -> Vec<(Role, Place)> {
    let mut grants = Vec::new();
    for mapping in map.iter().filter(|m| values.contains(&m.value)) {
        let grant = (mapping.role, mapping.place.clone());
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    grants
}

/// A name as the provider gives it, without what has no place in one.
pub(super) fn name(given: Option<&str>) -> Option<String> {
    let name: String = given?.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let name = name.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn values_come_from_a_text_a_list_or_from_within() {
        let of = |value: Value, claim: &str| claims(value).values(claim).into_iter().collect::<Vec<_>>();
        assert_eq!(of(json!({ "groups": "a" }), "groups"), ["a"]);
        assert_eq!(of(json!({ "groups": ["b", "a", 7] }), "groups"), ["a", "b"]);
        assert_eq!(
            of(
                json!({ "realm_access": { "roles": ["r"] } }),
                "realm_access.roles"
            ),
            ["r"]
        );
        assert_eq!(of(json!({ "https://x.y/g": ["r"] }), "https://x.y/g"), ["r"]);
        assert!(of(json!({ "groups": { "a": 1 } }), "groups").is_empty());
        assert!(of(json!({}), "a.b").is_empty());
    }

    #[test]
    fn only_what_the_map_names_is_worth_anything() {
        let mapping = |value: &str, role| Mapping {
            value: value.into(),
            role,
            place: Place::Root,
        };
        let map = [
            mapping("a", Role::Auditor),
            mapping("b", Role::Auditor),
            mapping("c", Role::SystemAdmin),
        ];
        let values = |list: &[&str]| list.iter().map(|v| (*v).to_owned()).collect();
        assert_eq!(
            worth(&values(&["a", "b", "x"]), &map),
            [(Role::Auditor, Place::Root)]
        );
        assert!(worth(&values(&["A", "x"]), &map).is_empty());
    }

    #[test]
    fn a_name_is_cut_and_cleaned() {
        assert_eq!(name(Some(" 张\u{0}三\n ")).as_deref(), Some("张三"));
        assert_eq!(name(Some("\t")), None);
        assert_eq!(name(Some(&"x".repeat(500))).unwrap().len(), NAME);
    }
}
