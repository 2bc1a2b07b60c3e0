//! The committed API document is the one that the code makes; the pages' types are generated from it.

use std::path::Path;

#[test]
fn the_committed_document_is_the_generated_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/openapi.json");
    let committed: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(
        committed,
        bbt_console::router::openapi(),
        "run: cargo run -p bbt-console -- openapi > provisioning/web/openapi.json"
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
    let document = bbt_console::router::openapi();
    let text = document.to_string();
    assert_eq!(document["openapi"], "3.1.0");
    for part in text.split("\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"].get(name).is_some(),
            "no schema {name}"
        );
    }
    let names: Vec<_> = text
        .split("\"operationId\":\"")
        .skip(1)
        .map(|p| p.split('"').next().unwrap())
        .collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    assert!(names.len() > 25);
}
