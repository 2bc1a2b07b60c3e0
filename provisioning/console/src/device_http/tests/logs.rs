//! A packed log that was asked for, handed over.

use contract::{
    controls::{LOGS_PART_BYTES, LogsReply},
    id::CommandId,
};

use super::*;

#[tokio::test]
async fn only_who_was_asked_hands_over_a_log_and_no_more_than_a_part() {
    let door = Door::open().await;
    let one = door.enrol("K7Q20191", "SN-1").await;
    let hand = async |client: &Client, query: &str, bytes: Vec<u8>| {
        let path = api::logs_path(&CommandId::new("c-1").unwrap());
        let url = format!("{}{path}?{query}", door.url);
        client.post(url).body(bytes).send().await.unwrap()
    };
    let hash = Hash::of(b"log").to_hex();
    let query = format!("offset=0&total=3&hash={hash}");
    let unasked = hand(&one.client, &query, b"log".to_vec()).await;
    assert_eq!(problem(unasked).await.1, "not_found");

    let order = contract::command::CommandEnvelope {
        id: CommandId::new("c-1").unwrap(),
        device_id: one.reply.device_id.clone(),
        issued_at: Timestamp::now(),
        expires_at: Timestamp::now() + jiff::SignedDuration::from_mins(10),
        body: contract::command::CommandBody::CollectLogs { hours: 1 },
    };
    door.http
        .db
        .commands()
        .add(&Scope::everything(), &order, "test")
        .await
        .unwrap();
    let taken = hand(&one.client, &query, b"log".to_vec()).await;
    assert_eq!(taken.status(), Status::OK);
    let reply: LogsReply = taken.json().await.unwrap();
    assert_eq!(reply.have_bytes, 3);

    let stranger = hand(&door.client(None), &query, b"log".to_vec()).await;
    assert_eq!(problem(stranger).await.1, "certificate_required");
    let large = hand(&one.client, &query, vec![0; LOGS_PART_BYTES as usize + 1]).await;
    assert_eq!(problem(large).await.1, "too_large");
    let odd = hand(&one.client, "offset=0&total=3&hash=zz", b"log".to_vec()).await;
    assert_eq!(problem(odd).await.1, "invalid_field");
}
