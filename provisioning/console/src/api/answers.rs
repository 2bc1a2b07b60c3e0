//! What any operation may answer besides what its own handler says: unreadable requests, nobody signed in, no right to it.
//! Written once, so that the document tells the whole of what a caller meets.

use serde_json::{Map, Value, json};

/// Name, status, what it says.
const COMMON: [(&str, &str, &str); 7] = [
    (
        "BadRequest",
        "400",
        "Path, query or body cannot be read (`bad_request`).",
    ),
    (
        "NotSignedIn",
        "401",
        "No session, or it ran out (`not_signed_in`).",
    ),
    (
        "Refused",
        "403",
        "The person's roles do not allow it (`forbidden`), or another site's page asked (`foreign_origin`).",
    ),
    (
        "TooLarge",
        "413",
        "The body is larger than allowed (`too_large`).",
    ),
    (
        "UnsupportedMediaType",
        "415",
        "The body's type is not the expected one (`unsupported_media_type`).",
    ),
    (
        "InvalidField",
        "422",
        "A value can be read and is outside its bounds; the detail says what is allowed (`invalid_field`).",
    ),
    (
        "Busy",
        "503",
        "Too much at once, or the clock cannot be believed; try again (`busy`, `clock_doubtful`).",
    ),
];

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const CSV: &str = "text/csv";
/// Files that come in several forms, which an attribute at the handler cannot say.
const FILES: [(&str, &[&str]); 9] = [
    ("/assets/template", &[XLSX]),
    ("/lesson-imports/template", &[XLSX, CSV]),
    ("/roster/template", &[XLSX, CSV]),
    ("/timetables/template", &[XLSX, CSV]),
    ("/classrooms/{id}/timetable.yaml", &["application/yaml"]),
    ("/lessons/{id}/files/{path}", &["*/*"]),
    (
        "/catalogue/{table}",
        &[CSV, "application/json", "application/vnd.apache.parquet"],
    ),
    ("/registers/{kind}/file", &[XLSX, CSV, "text/html"]),
    (
        "/reports/{id}/file",
        &[XLSX, "text/html", "application/json", "application/zip"],
    ),
];

/// Adds the common answers to every operation that can give them and does not name them itself.
pub fn complete(document: &mut Value) {
    let problem =
        json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    document["components"]["responses"] = COMMON
        .iter()
        .map(|(name, _, text)| {
            let answer = json!({ "description": text, "content": problem });
            ((*name).to_owned(), answer)
        })
        .collect::<Map<_, _>>()
        .into();
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        return;
    };
    for (path, kinds) in FILES {
        for status in ["200", "206"] {
            let answer = paths
                .get_mut(path)
                .and_then(|methods| methods.pointer_mut(&format!("/get/responses/{status}")));
            if let Some(answer) = answer {
                let content = kinds
                    .iter()
                    .map(|kind| ((*kind).to_owned(), json!({ "schema": {} })));
                answer["content"] = content.collect::<Map<_, _>>().into();
            }
        }
    }
    for methods in paths.values_mut() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            let body = operation.get("requestBody").is_some();
            let asks = body
                || operation
                    .get("parameters")
                    .and_then(Value::as_array)
                    .is_some_and(|all| !all.is_empty());
            let open = operation
                .get("security")
                .is_some_and(|security| *security == json!([]));
            let changes = method != "get";
            let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
                continue;
            };
            for (name, status, _) in COMMON {
                let may = match status {
                    "400" | "422" => asks,
                    "401" => !open,
                    "403" => !open || changes,
                    "413" | "415" => body,
                    _ => changes,
                };
                if may && !answers.contains_key(status) {
                    let answer = json!({ "$ref": format!("#/components/responses/{name}") });
                    answers.insert(status.to_owned(), answer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_says_what_it_may_answer_and_what_it_says_itself_stays() {
        let own = json!({ "description": "own" });
        let mut document = json!({ "paths": {
            "/a": {
                "get": { "responses": { "200": {} } },
                "put": { "requestBody": {}, "responses": { "403": own } },
            },
            "/open": { "post": { "security": [], "requestBody": {}, "responses": {} } },
        } });
        complete(&mut document);
        let of = |path: &str, method: &str| {
            let answers = document["paths"][path][method]["responses"].as_object().unwrap();
            let mut answers: Vec<_> = answers.keys().map(String::as_str).collect();
            answers.sort_unstable();
            answers
        };
        assert_eq!(of("/a", "get"), ["200", "401", "403"]);
        assert_eq!(of("/a", "put"), ["400", "401", "403", "413", "415", "422", "503"]);
        assert_eq!(of("/open", "post"), ["400", "403", "413", "415", "422", "503"]);
        assert_eq!(document["paths"]["/a"]["put"]["responses"]["403"], own);
        assert_eq!(document["components"]["responses"].as_object().unwrap().len(), 7);
    }
}
