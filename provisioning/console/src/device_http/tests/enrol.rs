//! Tickets: used once, lost answers, guesses.

use super::*;

#[tokio::test]
async fn a_ticket_makes_a_device() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let reply = &device.reply;
    assert_eq!(reply.ca_pem, door.http.pki.ca_pem());
    assert_eq!(
        reply.broker,
        BrokerAddress {
            host: "mqtt.example".into(),
            port: 18883
        }
    );
    assert_eq!(
        (reply.placement.region.as_str(), reply.placement.school.as_str()),
        ("示范县", "一小")
    );
    assert_eq!(reply.keys, door.http.keys.trusted());
    assert_eq!(
        door.http
            .db
            .devices()
            .summary(&Scope::everything(), &reply.device_id)
            .await
            .unwrap()
            .serial,
        "SN-1"
    );
}

#[tokio::test]
async fn a_lost_answer_is_given_again_and_another_device_gets_none() {
    let door = Door::open().await;
    door.fresh_ticket("K7Q20191").await;
    let key = key();
    let first: EnrolReply = door
        .ask(&request("K7Q20191", "SN-1", &key))
        .await
        .json()
        .await
        .unwrap();
    // The same key, but another request: signatures differ each time.
    let again: EnrolReply = door
        .ask(&request("k7q2-0191", "SN-1", &key))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&first.device_id, &first.certificate_pem),
        (&again.device_id, &again.certificate_pem)
    );
    let other = door.ask(&request("K7Q20191", "SN-2", &self::key())).await;
    assert_eq!(problem(other).await, (403, "ticket_used".into(), None));
    assert_eq!(door.devices().await, 1);
}

#[tokio::test]
async fn the_same_request_twice_at_once_makes_one_device() {
    let door = Door::open().await;
    door.fresh_ticket("K7Q20191").await;
    let request = request("K7Q20191", "SN-1", &key());
    let answers = futures_util::future::join_all((0..8).map(|_| door.ask(&request))).await;
    let mut names = std::collections::HashSet::new();
    for answer in answers {
        names.insert(answer.json::<EnrolReply>().await.unwrap().certificate_pem);
    }
    assert_eq!((names.len(), door.devices().await), (1, 1));
}

#[tokio::test]
async fn expired_unknown_and_guessed_codes_open_nothing() {
    let door = Door::open().await;
    door.ticket("EXP1RED0", Timestamp::now() - Duration::from_secs(1))
        .await;
    let key = key();
    let expired = door.ask(&request("EXP1RED0", "SN-1", &key)).await;
    assert_eq!(problem(expired).await, (403, "ticket_expired".into(), None));
    door.fresh_ticket("K7Q20191").await;
    for n in 0..10 {
        let guessed = door.ask(&request(&format!("WR0NG{n:03}"), "SN-1", &key)).await;
        assert_eq!(problem(guessed).await.1, "ticket_unknown");
    }
    // From here on not even the right code helps this address.
    let (status, code, retry) = problem(door.ask(&request("K7Q20191", "SN-1", &key)).await).await;
    assert_eq!((status, code.as_str()), (429, "enrol_too_often"));
    assert!(retry.unwrap().parse::<u64>().unwrap() > 500);
    assert_eq!(door.devices().await, 0);
}

#[tokio::test]
async fn unfit_requests_are_refused_and_use_nothing_up() {
    let door = Door::open().await;
    door.fresh_ticket("K7Q20191").await;
    let key = key();
    let good = request("K7Q20191", "SN-1", &key);
    let with = |change: fn(&mut EnrolRequest)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    for (bad, code) in [
        (with(|r| r.csr_pem = "junk".into()), "bad_csr"),
        (with(|r| r.csr_pem.replace_range(100..101, "!")), "bad_csr"),
        (with(|r| r.serial = "  ".into()), "invalid_field"),
        (with(|r| r.board = "x".repeat(65)), "invalid_field"),
        (with(|r| r.agent_version = "1\n2".into()), "invalid_field"),
        (with(|r| r.csr_pem = "x".repeat(40_000)), "too_large"),
    ] {
        assert_eq!(problem(door.ask(&bad).await).await.1, code);
    }
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(
        problem(door.ask(&request("K7Q20191", "SN-1", &p384)).await)
            .await
            .1,
        "bad_csr"
    );
    let url = format!("{}{}", door.url, api::ENROL);
    let junk = door.client(None).post(&url).body("{").send().await.unwrap();
    assert_eq!(problem(junk).await.0, 400);
    assert_eq!(
        problem(door.client(None).get(&url).send().await.unwrap()).await.1,
        "method_not_allowed"
    );
    assert_eq!(door.devices().await, 0);
    assert_eq!(door.ask(&good).await.status(), Status::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_boards_behind_one_address_are_no_guessers() {
    let door = Arc::new(Door::open().await);
    let codes: Vec<String> = (0..40).map(|n| format!("K7Q2AA{}{}", n / 10, n % 10)).collect();
    for code in &codes {
        door.fresh_ticket(code).await;
    }
    // Eight wrong codes leave two tries; they are enough for any number of right ones.
    for n in 0..8 {
        let answer = door.ask(&request(&format!("ZZZZZZZ{n}"), "SN-X", &key())).await;
        assert_eq!(problem(answer).await.1, "ticket_unknown");
    }
    let mut all = Vec::new();
    for (n, code) in codes.into_iter().enumerate() {
        let door = Arc::clone(&door);
        all.push(tokio::spawn(async move {
            door.ask(&request(&code, &format!("SN-{n}"), &key()))
                .await
                .status()
        }));
    }
    for one in all {
        assert_eq!(one.await.unwrap(), Status::OK);
    }
    assert_eq!(door.devices().await, 40);
}
