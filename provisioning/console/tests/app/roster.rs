//! The roster as a county fills it in, over HTTP.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};

use crate::common::{Answer, TestConsole};

const SCHOOLS: &str = "学校代码,学校名称,教学点,乡镇,合同下行带宽,合同上行带宽\n\
    3145000001,城关镇中心小学,否,城关镇,200,40\n3145000002,石山教学点,是,石山乡,20,\n";
const ROOMS: &str = "学校代码,班级代码,班级名称,年级,班,主管单位,建设单位,运维单位,现有设备\n\
    3145000001,0301,三年级（1）班,三年级,1,城关小学,县教育局,某公司,75寸一体机\n\
    3145000002,1,一年级,一年级,,,,,投影（2012，未接入）\n";

async fn import(console: &TestConsole, region: i64, query: &str, language: &str, file: &[u8]) -> Answer {
    let mut body = b"--X\r\ncontent-disposition: form-data; name=\"file\"; filename=\"r\"\r\n\r\n".to_vec();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--X--\r\n");
    let request = Request::post(format!("/api/v1/regions/{region}/roster?{query}"))
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=X")
        .header(header::ACCEPT_LANGUAGE, language)
        .body(Body::from(body))
        .unwrap();
    console.send(request).await
}

async fn region(console: &TestConsole, name: &str) -> i64 {
    let made = console
        .post("/regions", json!({ "kind": "county", "name": name }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    made.json()["id"].as_i64().unwrap()
}

async fn school(console: &TestConsole, code: &str) -> Value {
    let tree = console.get("/tree").await.json();
    let regions = tree["regions"].as_array().unwrap();
    let mut schools = regions.iter().flat_map(|r| r["schools"].as_array().unwrap());
    let found = schools
        .find(|s| s["code"] == code)
        .unwrap_or_else(|| panic!("no school {code} in {tree}"));
    console.get(&format!("/schools/{}", found["id"])).await.json()
}

#[tokio::test]
async fn rehearsed_then_imported_then_the_same_again_changes_nothing() {
    let console = TestConsole::signed_in().await;
    let county = region(&console, "样例县").await;
    let rehearsal = import(&console, county, "", "zh-CN", SCHOOLS.as_bytes()).await;
    assert_eq!(rehearsal.status, StatusCode::OK, "{}", rehearsal.json());
    let report = rehearsal.json();
    assert_eq!(
        (&report["applied"], &report["schools"]["added"]),
        (&json!(false), &json!(2))
    );
    let tree = console.get("/tree").await.json();
    assert_eq!(
        tree["regions"].as_array().unwrap().len(),
        1,
        "a rehearsal makes no township"
    );

    for (file, noun) in [(SCHOOLS, "schools"), (ROOMS, "classrooms")] {
        let report = import(&console, county, "apply=true", "zh-CN", file.as_bytes())
            .await
            .json();
        assert_eq!(
            (&report["applied"], &report[noun]["added"]),
            (&json!(true), &json!(2)),
            "{report}"
        );
        let again = import(&console, county, "apply=true", "zh-CN", file.as_bytes())
            .await
            .json();
        assert_eq!(
            again[noun],
            json!({ "added": 0, "changed": 0, "same": 2 }),
            "{again}"
        );
        assert_eq!(again["change_count"], 0);
    }
    let point = school(&console, "3145000002").await;
    assert_eq!(point["kind"], "teaching_point");
    let whole = school(&console, "3145000001").await;
    assert_eq!(
        (&whole["contracted_down_mbps"], &whole["contracted_up_mbps"]),
        (&json!(200), &json!(40))
    );
    assert_eq!(
        (&point["contracted_down_mbps"], &point["contracted_up_mbps"]),
        (&json!(20), &Value::Null)
    );
    let room = &whole["classrooms"][0];
    for (key, value) in [
        ("class", "1"),
        ("owner", "城关小学"),
        ("builder", "县教育局"),
        ("maintainer", "某公司"),
        ("equipment", "75寸一体机"),
    ] {
        assert_eq!(room[key], value, "{room}");
    }
    // Four imports, two of which found nothing to change; the rehearsal was no act.
    let rows = console.get("/audit?action=roster.import").await.json();
    let rows = rows["items"].as_array().unwrap();
    let unchanged = rows
        .iter()
        .filter(|row| row["detail"]["unchanged"] == true)
        .count();
    assert_eq!((rows.len(), unchanged), (4, 2), "{rows:?}");
    let before = whole["classrooms"][0]["id"].clone();

    // Renamed in GBK, by code; an empty cell leaves what is there.
    let renamed = ROOMS
        .replace("三年级（1）班", "四年级（1）班")
        .replace("某公司", "");
    let (gbk, _, _) = encoding_rs::GBK.encode(&renamed);
    let report = import(&console, county, "apply=true", "zh-CN", &gbk).await.json();
    assert_eq!(
        report["changes"][0]["what"],
        json!(["班级名称：三年级（1）班 → 四年级（1）班"]),
        "{report}"
    );
    let after = school(&console, "3145000001").await["classrooms"][0].clone();
    assert_eq!((&after["id"], &after["name"]), (&before, &json!("四年级（1）班")));
}

#[tokio::test]
async fn one_bad_row_keeps_all_out_and_is_told_in_the_callers_language() {
    let console = TestConsole::signed_in().await;
    let county = region(&console, "样例县").await;
    let bad = SCHOOLS.replace("200", "很快");
    for (language, word) in [("zh-CN", "带宽"), ("en", "bandwidth")] {
        let answer = import(&console, county, "apply=true", language, bad.as_bytes()).await;
        let report = answer.json();
        assert_eq!(
            (answer.status, &report["applied"]),
            (StatusCode::OK, &json!(false))
        );
        let error = &report["errors"][0];
        assert_eq!(
            (&error["row"], &error["column"]),
            (&json!(2), &json!("合同下行带宽"))
        );
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
    let tree = console.get("/tree").await.json();
    assert_eq!(tree["regions"].as_array().unwrap().len(), 1, "nothing was made");
    for (file, code) in [
        (&b""[..], "roster_empty"),
        (b"\xd0\xcf\x11\xe0", "roster_old_file"),
        (b"a\0", "roster_kind_of_file"),
        (b"\xff\xff\xff", "roster_letters"),
        (b"PK\x03\x04", "roster_file"),
    ] {
        let answer = import(&console, county, "", "zh-CN", file).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, code)
        );
    }
}

#[tokio::test]
async fn a_code_of_another_county_is_refused_without_saying_whose() {
    let console = TestConsole::signed_in().await;
    let (here, there) = (region(&console, "甲县").await, region(&console, "乙县").await);
    let first = import(&console, there, "apply=true", "zh-CN", SCHOOLS.as_bytes())
        .await
        .json();
    assert_eq!(first["applied"], true);
    let report = import(&console, here, "apply=true", "zh-CN", SCHOOLS.as_bytes())
        .await
        .json();
    assert_eq!(
        (&report["applied"], &report["error_count"]),
        (&json!(false), &json!(2))
    );
    assert!(!report.to_string().contains("乙县"));
    assert_eq!(
        import(&console, 9999, "", "zh-CN", SCHOOLS.as_bytes())
            .await
            .status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_taken_and_one_more_is_not() {
    let console = TestConsole::signed_in().await;
    let county = region(&console, "样例县").await;
    assert_eq!(
        import(&console, county, "apply=true", "zh-CN", SCHOOLS.as_bytes())
            .await
            .json()["applied"],
        true
    );
    let mut file = "学校代码,班级代码,班级名称\n".to_owned();
    for n in 1..100_000 {
        file += &format!("3145000001,{n:06},班{n}\n");
    }
    let report = import(&console, county, "", "zh-CN", file.as_bytes())
        .await
        .json();
    assert_eq!(report["classrooms"]["added"], 99_999, "{}", report["errors"]);
    file += "3145000001,x1,班\n3145000001,x2,班\n";
    let answer = import(&console, county, "", "zh-CN", file.as_bytes()).await;
    assert_eq!(answer.code(), "roster_too_many_rows");
}

#[tokio::test]
async fn the_template_can_be_had() {
    let console = TestConsole::signed_in().await;
    let xlsx = console.get("/roster/template").await;
    assert_eq!(xlsx.status, StatusCode::OK);
    assert!(xlsx.body.starts_with(b"PK"));
    let csv = console.get("/roster/template?format=csv").await;
    assert!(String::from_utf8_lossy(&csv.body).contains("班级代码"));
}
