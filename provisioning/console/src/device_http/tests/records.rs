//! What a board noted down on its own, told over HTTPS.

use contract::records::{MAX_DAYS, MAX_RECORDS_BYTES, RecordsReply, RecordsRequest, UseDay};
use jiff::civil::Date;

use super::*;

async fn tell(door: &Door, client: &Client, request: &RecordsRequest) -> Response {
    client
        .post(format!("{}{}", door.url, api::RECORDS))
        .json(request)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_board_is_answered_what_is_kept_and_a_stranger_nothing() {
    let door = Door::open().await;
    let one = door.enrol("K7Q20191", "SN-1").await;
    let day = UseDay {
        date: Date::constant(2026, 11, 23),
        revision: 3,
        trusted: true,
        lessons: Vec::new(),
        periods: Vec::new(),
    };
    let request = RecordsRequest {
        days: vec![day.clone()],
        ..RecordsRequest::default()
    };
    for _ in 0..2 {
        let answer = tell(&door, &one.client, &request).await;
        assert_eq!(answer.status(), Status::OK);
        let reply: RecordsReply = answer.json().await.unwrap();
        assert_eq!(reply.days, [(day.date, 3)]);
    }
    let stranger = tell(&door, &door.client(None), &request).await;
    assert_eq!(problem(stranger).await.1, "certificate_required");
    let many = RecordsRequest {
        days: vec![day; MAX_DAYS + 1],
        ..RecordsRequest::default()
    };
    assert_eq!(
        problem(tell(&door, &one.client, &many).await).await.1,
        "invalid_field"
    );
    let post = |body: String| {
        let request = one.client.post(format!("{}{}", door.url, api::RECORDS));
        request
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    assert_eq!(
        problem(post("{".to_owned()).await.unwrap()).await.1,
        "bad_request"
    );
    let large = post(format!("{{\"x\":\"{}\"}}", "x".repeat(MAX_RECORDS_BYTES)))
        .await
        .unwrap();
    assert_eq!(problem(large).await.1, "too_large");
}

#[tokio::test]
async fn a_board_that_asks_in_a_loop_is_told_to_wait() {
    let door = Door::open().await;
    let one = door.enrol("K7Q20191", "SN-1").await;
    for _ in 0..crate::device_http::records::REQUESTS {
        assert_eq!(
            tell(&door, &one.client, &RecordsRequest::default())
                .await
                .status(),
            Status::OK
        );
    }
    let (_, code, wait) = problem(tell(&door, &one.client, &RecordsRequest::default()).await).await;
    assert_eq!(code, "busy");
    assert!(wait.unwrap().parse::<u32>().unwrap() > 60);
}
