//! 隐私看得见: every field that leaves the board, generated from the contract's own types, with words for each.
//!
//! The list is not written by hand: a field that somebody adds to the contract appears here, and without words for it in
//! `privacy/*.toml` a test fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::get,
};
use contract::{
    claim::ClaimRequest,
    command::CommandStatus,
    controls::PackedLog,
    diag::Diagnosis,
    enrol::EnrolRequest,
    health::TelemetryBatch,
    pack::{DiskReceipt, SignedReceipt},
    records::{FaultReport, RepairConfirmation, SilenceRecord, UseDay},
    renew::RenewRequest,
    report::{DeviceReport, Presence},
};
use schemars::schema_for;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{home::fresh, shelf_json::Api};

/// What is told together, in the order of the page: the words' key, and the schemas of what is sent.
fn sections() -> Vec<(&'static str, Vec<Value>)> {
    vec![
        ("use", vec![schema_for!(UseDay).to_value()]),
        (
            "faults",
            vec![
                schema_for!(FaultReport).to_value(),
                schema_for!(RepairConfirmation).to_value(),
            ],
        ),
        ("exam", vec![schema_for!(SilenceRecord).to_value()]),
        (
            "report",
            vec![
                schema_for!(DeviceReport).to_value(),
                schema_for!(Presence).to_value(),
            ],
        ),
        ("health", vec![schema_for!(TelemetryBatch).to_value()]),
        ("commands", vec![schema_for!(CommandStatus).to_value()]),
        ("logs", vec![schema_for!(PackedLog).to_value()]),
        (
            "identity",
            vec![
                schema_for!(EnrolRequest).to_value(),
                schema_for!(ClaimRequest).to_value(),
                schema_for!(RenewRequest).to_value(),
            ],
        ),
        (
            "disk",
            vec![
                schema_for!(DiskReceipt).to_value(),
                schema_for!(SignedReceipt).to_value(),
            ],
        ),
        ("code", vec![schema_for!(Diagnosis).to_value()]),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    /// What is never told.
    never: Vec<String>,
    sections: BTreeMap<String, SectionWords>,
    /// By type and field.
    fields: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionWords {
    title: String,
    /// To whom and when.
    every: String,
}

#[derive(Debug, Serialize)]
struct View {
    sections: Vec<Section>,
    never: Both<Vec<String>>,
}

#[derive(Debug, Default, Serialize)]
struct Both<T> {
    zh: T,
    en: T,
}

#[derive(Debug, Serialize)]
struct Section {
    id: &'static str,
    #[serde(flatten)]
    title: Both<String>,
    every: String,
    every_en: String,
    fields: Vec<Field>,
}

#[derive(Debug, Serialize)]
struct Field {
    /// As it stands in what is sent: the type and its field.
    name: String,
    #[serde(flatten)]
    words: Both<String>,
}

static VIEW: LazyLock<View> = LazyLock::new(|| view(&words(ZH_CN), &words(EN)));
const ZH_CN: &str = include_str!("privacy/zh-CN.toml");
const EN: &str = include_str!("privacy/en.toml");

fn words(text: &str) -> Words {
    toml::from_str(text).unwrap_or_default()
}

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/privacy", get(privacy))
}

async fn privacy() -> Response {
    fresh(Json(&*VIEW).into_response())
}

fn view(zh: &Words, en: &Words) -> View {
    let section_word = |words: &Words, id: &str, what: fn(&SectionWords) -> &String| {
        words.sections.get(id).map(what).cloned().unwrap_or_default()
    };
    let field_word = |words: &Words, of: &str, field: &str| {
        let found = words.fields.get(of).and_then(|fields| fields.get(field));
        found.cloned().unwrap_or_else(|| field.to_owned())
    };
    let mut told = BTreeSet::new();
    let sections = sections().into_iter().map(|(id, schemas)| {
        let mut fields = Vec::new();
        for (of, field) in schemas.iter().flat_map(fields_of) {
            // Told once, where it is sent first.
            if told.insert((of.clone(), field.clone())) {
                fields.push(Field {
                    words: Both {
                        zh: field_word(zh, &of, &field),
                        en: field_word(en, &of, &field),
                    },
                    name: format!("{of}.{field}"),
                });
            }
        }
        Section {
            id,
            title: Both {
                zh: section_word(zh, id, |words| &words.title),
                en: section_word(en, id, |words| &words.title),
            },
            every: section_word(zh, id, |words| &words.every),
            every_en: section_word(en, id, |words| &words.every),
            fields,
        }
    });
    View {
        sections: sections.collect(),
        never: Both {
            zh: zh.never.clone(),
            en: en.never.clone(),
        },
    }
}

/// Every type of a schema with each of its fields.
fn fields_of(schema: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let title = schema["title"].as_str().unwrap_or_default();
    own_fields(title, schema, &mut found);
    for (name, part) in schema["$defs"].as_object().into_iter().flatten() {
        own_fields(name, part, &mut found);
    }
    found
}

/// The fields of one type; those of an enum's variants are its own.
fn own_fields(of: &str, part: &Value, found: &mut Vec<(String, String)>) {
    for name in part["properties"]
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys())
    {
        let pair = (of.to_owned(), name.clone());
        if !found.contains(&pair) {
            found.push(pair);
        }
    }
    for among in ["oneOf", "anyOf", "allOf"] {
        for variant in part[among].as_array().into_iter().flatten() {
            own_fields(of, variant, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::records::RecordsRequest;

    use super::*;

    /// Parts of names that could stand for a person, or for what a sensor takes of one.
    const PERSONAL: [&str; 30] = [
        "name",
        "pupil",
        "student",
        "teacher",
        "person",
        "people",
        "phone",
        "mobile",
        "face",
        "voice",
        "camera",
        "mic",
        "microphone",
        "photo",
        "video",
        "audio",
        "email",
        "mail",
        "address",
        "birth",
        "gender",
        "sex",
        "age",
        "idcard",
        "wechat",
        "user",
        "account",
        "parent",
        "text",
        "comment",
    ];
    /// What such a word means in them, looked at one by one.
    const HARMLESS: [(&str, &str); 3] = [
        ("SilenceRecord.name", "what the exam is called"),
        ("PeerDoor.addresses", "of the board on the school's network"),
        ("Diagnosis.a", "whether the board has a network address"),
    ];

    fn all() -> BTreeSet<(String, String)> {
        sections()
            .iter()
            .flat_map(|(_, schemas)| schemas.iter().flat_map(fields_of))
            .collect()
    }

    #[test]
    fn every_field_that_leaves_the_board_has_words_in_both_languages_and_no_words_are_left_over() {
        let fields = all();
        assert!(fields.len() > 100, "{}", fields.len());
        for (language, text) in [("zh-CN", ZH_CN), ("en", EN)] {
            let words: Words = toml::from_str(text).unwrap();
            let missing: Vec<_> = fields
                .iter()
                .filter(|(of, field)| {
                    let said = words.fields.get(of).and_then(|fields| fields.get(field));
                    said.is_none_or(|said| said.trim().len() < 2)
                })
                .map(|(of, field)| format!("{of}.{field}"))
                .collect();
            assert!(missing.is_empty(), "{language}: no words for {missing:#?}");
            for (of, of_type) in &words.fields {
                for field in of_type.keys() {
                    assert!(
                        fields.contains(&(of.clone(), field.clone())),
                        "{language}: {of}.{field} is not sent"
                    );
                }
            }
            let known: BTreeSet<_> = sections().iter().map(|(id, _)| (*id).to_owned()).collect();
            assert_eq!(words.sections.keys().cloned().collect::<BTreeSet<_>>(), known);
            assert!(words.never.len() >= 3);
        }
    }

    #[test]
    fn no_field_is_named_as_if_it_held_something_of_a_person() {
        for (of, field) in all() {
            let name = format!("{of}.{field}");
            if HARMLESS.iter().any(|(known, _)| *known == name) {
                continue;
            }
            for part in field.split('_') {
                let part = part.to_lowercase();
                assert!(
                    !PERSONAL.contains(&part.as_str()) && !PERSONAL.contains(&part.trim_end_matches('s')),
                    "{name}: may it name a person? If not, say so in HARMLESS"
                );
            }
        }
    }

    #[test]
    fn whatever_the_board_notes_down_on_its_own_is_listed() {
        let listed = all();
        let schema = schema_for!(RecordsRequest).to_value();
        for (of, field) in fields_of(&schema)
            .into_iter()
            .filter(|(of, _)| of != "RecordsRequest")
        {
            assert!(listed.contains(&(of.clone(), field.clone())), "{of}.{field}");
        }
    }

    #[test]
    fn a_field_of_a_variant_is_found() {
        let found = fields_of(&schema_for!(CommandStatus).to_value());
        assert!(found.iter().any(|(_, field)| field == "reason"), "{found:?}");
    }

    /// `docs/src/reference/fields.md`, from the schemas and the words.
    fn fields_page() -> String {
        let (zh, en) = (words(ZH_CN), words(EN));
        let view = view(&zh, &en);
        let mut page = String::from(
            "# Every field that leaves a board\n\nGenerated from the contract's types and the words of the board's own privacy page \
             (`BBT_BLESS=1 cargo test -p bbt-agent --lib privacy`). A field that is not listed here fails a test, and nothing is \
             sent that has no type.\n\nNever: ",
        );
        page.push_str(&view.never.en.join(" · "));
        page.push('\n');
        for section in &view.sections {
            page.push_str(&format!(
                "\n## {} ({})\n\n{}.\n\n| Field | 中文 | English |\n|---|---|---|\n",
                section.title.en, section.title.zh, section.every_en
            ));
            for field in &section.fields {
                page.push_str(&format!(
                    "| `{}` | {} | {} |\n",
                    field.name, field.words.zh, field.words.en
                ));
            }
        }
        page
    }

    #[test]
    fn the_published_list_has_every_field_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/reference/fields.md");
        let page = fields_page();
        if std::env::var_os("BBT_BLESS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap_or_default();
        let rows = |page: &str| -> BTreeSet<String> {
            let named = page
                .lines()
                .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
            named.map(|(name, _)| name.to_owned()).collect()
        };
        let unlisted: Vec<_> = rows(&page).difference(&rows(&published)).cloned().collect();
        assert!(
            unlisted.is_empty(),
            "these fields leave the board and are not in docs/src/reference/fields.md: {unlisted:?}; if they may, publish them \
             with BBT_BLESS=1 cargo test -p bbt-agent --lib privacy"
        );
        assert!(
            published == page,
            "docs/src/reference/fields.md is not what BBT_BLESS=1 writes"
        );
    }

    /// What really is on the line: each key of a message as the agent writes it is one of the list.
    #[test]
    fn every_key_of_a_message_is_in_the_list() {
        let listed: BTreeSet<String> = all().into_iter().map(|(_, field)| field).collect();
        let events = [
            serde_json::json!({"event": "booted", "reason": "power_loss", "by": "agent", "off_s": 1}),
            serde_json::json!({"event": "usb", "action": "attached", "ids": "a:b", "classes": [8], "unlisted": true}),
            serde_json::json!({"event": "app", "action": "started", "app": "x", "unlisted": true}),
            serde_json::json!({"event": "tamper", "what": "pin_tries", "detail": "x"}),
            serde_json::json!({"event": "player_error", "lesson": "x", "code": "x", "count": 1}),
            serde_json::json!({"event": "clock_step", "step_ms": 5000, "by": "ntp"}),
            serde_json::json!({"event": "link", "up": true, "console_s": 1}),
            serde_json::json!({"event": "storage", "what": "corrupt", "detail": "x"}),
        ];
        let events = events.into_iter().map(|mut event| {
            event["boot_id"] = "b".into();
            event["seq"] = 1.into();
            event["uptime_ms"] = 1.into();
            let event: contract::event::DeviceEvent = serde_json::from_value(event).unwrap();
            assert_ne!(event.what, contract::event::EventKind::Other);
            event
        });
        let mut readings = contract::health::Readings::default();
        for name in agent_core::health::readings::NAMES {
            agent_core::health::readings::set(&mut readings, name, Some(1.0));
        }
        let word = contract::health::BootSeq {
            boot_id: contract::id::BootId::new("b").unwrap(),
            up_to_seq: 1,
        };
        let batch = TelemetryBatch {
            device_id: contract::id::DeviceId::new("d").unwrap(),
            forgotten: vec![word.clone()],
            dropped_total: 1,
            samples: vec![contract::health::HealthSample {
                boot_id: word.boot_id.clone(),
                seq: 1,
                uptime_ms: 1,
                wall_time: "2026-11-23T00:00:00Z".parse().ok(),
                readings,
            }],
            events: events.collect(),
            events_forgotten: vec![word],
            events_dropped_total: 1,
            quiet: true,
        };
        let mut keys = BTreeSet::new();
        keys_of(&serde_json::to_value(&batch).unwrap(), &mut keys);
        assert!(keys.len() > 60, "{}", keys.len());
        let unlisted: Vec<_> = keys.difference(&listed).collect();
        assert!(unlisted.is_empty(), "{unlisted:?}");
    }

    fn keys_of(value: &Value, keys: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    keys.insert(key.clone());
                    keys_of(value, keys);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| keys_of(value, keys)),
            _ => {}
        }
    }
}
