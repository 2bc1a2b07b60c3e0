//! `docs/asyncapi.json` is the MQTT side for people outside; this test holds it against the types.
//!
//! `BBT_BLESS=1 cargo test -p contract --test asyncapi` writes it anew.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::PathBuf};

use contract::{
    assignment::Assignment,
    classroom::ClassroomPlan,
    command::{CommandEnvelope, CommandStatus},
    health::{IngestAck, TelemetryBatch},
    report::{DeviceReport, Presence},
    school::SchoolPlan,
    signed::Signed,
    topic::{Direction, Leaf, PREFIX},
    trust::{Snapshot, TrustBundle, TrustRoot},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

struct Message {
    leaf: Leaf,
    name: &'static str,
    /// The type inside a signed document, where it is one.
    body: Option<&'static str>,
    summary: &'static str,
}

const MESSAGES: [Message; 10] = [
    Message {
        leaf: Leaf::Assignment,
        name: "SignedAssignment",
        body: Some("Assignment"),
        summary: "What the device should hold; replaces every lower generation.",
    },
    Message {
        leaf: Leaf::Command,
        name: "SignedCommandEnvelope",
        body: Some("CommandEnvelope"),
        summary: "One order; executed at most once.",
    },
    Message {
        leaf: Leaf::Ack,
        name: "IngestAck",
        body: None,
        summary: "Sent after the console's commit; the device may forget these samples.",
    },
    Message {
        leaf: Leaf::School,
        name: "SignedSchoolPlan",
        body: Some("SchoolPlan"),
        summary: "The boards of the school, its line, its class hours; replaces every lower generation.",
    },
    Message {
        leaf: Leaf::Trust,
        name: "TrustBundle",
        body: None,
        summary: "Which keys may sign what, and which lessons were withdrawn.",
    },
    Message {
        leaf: Leaf::Classroom,
        name: "SignedClassroomPlan",
        body: Some("ClassroomPlan"),
        summary: "The classroom's timetable, planned lessons and help; replaces every lower generation.",
    },
    Message {
        leaf: Leaf::Report,
        name: "DeviceReport",
        body: None,
        summary: "What the device holds.",
    },
    Message {
        leaf: Leaf::Telemetry,
        name: "TelemetryBatch",
        body: None,
        summary: "Health samples, oldest first.",
    },
    Message {
        leaf: Leaf::Status,
        name: "CommandStatus",
        body: None,
        summary: "What became of a command.",
    },
    Message {
        leaf: Leaf::Presence,
        name: "Presence",
        body: None,
        summary: "Connected or gone; also the last will.",
    },
];

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    serde_json::to_value(generator.subschema_for::<T>()).unwrap()
}

fn document() -> Value {
    let mut generator = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let payloads = [
        schema::<Signed<Assignment>>(&mut generator),
        schema::<Signed<CommandEnvelope>>(&mut generator),
        schema::<IngestAck>(&mut generator),
        schema::<Signed<SchoolPlan>>(&mut generator),
        schema::<TrustBundle>(&mut generator),
        schema::<Signed<ClassroomPlan>>(&mut generator),
        schema::<DeviceReport>(&mut generator),
        schema::<TelemetryBatch>(&mut generator),
        schema::<CommandStatus>(&mut generator),
        schema::<Presence>(&mut generator),
    ];
    // The bodies inside signed documents are strings on the wire; their shapes stand beside them.
    schema::<Assignment>(&mut generator);
    schema::<CommandEnvelope>(&mut generator);
    schema::<SchoolPlan>(&mut generator);
    schema::<ClassroomPlan>(&mut generator);
    schema::<TrustRoot>(&mut generator);
    schema::<Snapshot>(&mut generator);

    let (mut channels, mut operations, mut messages) = (json!({}), json!({}), json!({}));
    for (message, payload) in MESSAGES.iter().zip(payloads) {
        let leaf = message.leaf.as_str();
        let mut description = message.summary.to_owned();
        if let Some(body) = message.body {
            description += &format!(" `signed` holds the JSON text of #/components/schemas/{body}.");
        }
        messages[message.name] = json!({ "name": message.name, "summary": description, "contentType": "application/json", "payload": payload });
        channels[leaf] = json!({
            "address": format!("{PREFIX}/{{device}}/{leaf}"),
            "parameters": { "device": { "description": "Device id: the subject of the client's certificate." } },
            "messages": { message.name: { "$ref": format!("#/components/messages/{}", message.name) } },
            "bindings": { "mqtt": { "bindingVersion": "0.2.0" } },
        });
        // Actions are told from the device's side.
        let action = match message.leaf.direction() {
            Direction::Down => "receive",
            Direction::Up => "send",
        };
        operations[format!("{action}_{leaf}")] = json!({
            "action": action,
            "channel": { "$ref": format!("#/channels/{leaf}") },
            "bindings": { "mqtt": { "qos": message.leaf.qos(), "retain": message.leaf.retained(), "bindingVersion": "0.2.0" } },
        });
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "班班通终端: console and devices over MQTT",
            "version": "1",
            "description": "MQTT 5 over mutual TLS. A device's client id is its device id, which is the subject of its certificate. It may send and receive only on its own channels. Every message may arrive more than once.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": generator.take_definitions(true) },
    })
}

/// Keys in order, whatever features of the JSON reader the rest of the workspace turns on.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[test]
fn the_document_is_what_the_types_say() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/asyncapi.json");
    let now = serde_json::to_string_pretty(&sorted(document())).unwrap() + "\n";
    if std::env::var_os("BBT_BLESS").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == now,
        "{} is not what the types say: run with BBT_BLESS=1 and read the diff",
        file.display()
    );
}

#[test]
fn every_leaf_has_its_channel() {
    let leaves: BTreeSet<_> = Leaf::ALL.iter().map(|l| l.as_str()).collect();
    let told: BTreeSet<_> = MESSAGES.iter().map(|m| m.leaf.as_str()).collect();
    assert_eq!(leaves, told);
}

/// The golden files, as sent by a real peer, must be valid by the published schemas.
#[test]
fn golden_files_are_valid_by_the_document() {
    let document = document();
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let check = |schema: &str, prefix: &str, exclude: &str| {
        let whole =
            json!({ "$ref": format!("#/components/schemas/{schema}"), "components": document["components"] });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let mut seen = 0;
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with(prefix) || (!exclude.is_empty() && name.contains(exclude)) {
                continue;
            }
            seen += 1;
            let mut value: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert!(
                validator.is_valid(&value),
                "{name} is not a {schema}: {:?}",
                validator.iter_errors(&value).next()
            );
            value.as_object_mut().unwrap().remove("device_id");
            assert!(
                !validator.is_valid(&value),
                "{name}: the schema of {schema} would let anything through"
            );
        }
        assert!(seen > 0, "no golden file {prefix}*");
    };
    check("Assignment", "assignment.json", "");
    check("CommandEnvelope", "command.", "signed");
    check("IngestAck", "ingest_ack", "");
    check("DeviceReport", "report.", "");
    check("TelemetryBatch", "telemetry_batch", "");
    check("CommandStatus", "command_status", "");
    check("Presence", "presence", "");
}
