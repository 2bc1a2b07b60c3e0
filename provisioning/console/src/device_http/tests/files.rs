//! What a device may fetch, and which bytes it gets.

use super::*;

#[tokio::test]
async fn without_a_certificate_of_ours_there_is_nothing_to_see() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (manifest, lesson, _) = door.lesson("one", &device).await;
    let file = api::file_path(lesson.files[0].hash);
    for path in [file.clone(), api::manifest_path(manifest)] {
        let answer = door
            .client(None)
            .get(format!("{}{path}", door.url))
            .send()
            .await
            .unwrap();
        assert_eq!(problem(answer).await, (401, "certificate_required".into(), None));
    }
    // Another authority's certificate, with the right name in it.
    let foreign = Pki::for_tests(&door.dir.path().join("foreign"), &[]).unwrap();
    let key = key();
    let csr = CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .pem()
        .unwrap();
    let issued = foreign
        .issue_device_cert(&csr, &device.reply.device_id, Timestamp::now())
        .unwrap();
    let stranger = door.client(Some((&issued.pem, &key)));
    assert!(
        stranger.get(format!("{}{file}", door.url)).send().await.is_err(),
        "the handshake is refused"
    );
    // Ours, but for a name that was never enrolled.
    let issued = door
        .http
        .pki
        .issue_device_cert(&csr, &DeviceId::new("d-ghost").unwrap(), Timestamp::now())
        .unwrap();
    let ghost = door.client(Some((&issued.pem, &key)));
    let answer = ghost.get(format!("{}{file}", door.url)).send().await.unwrap();
    assert_eq!(problem(answer).await, (403, "device_unknown".into(), None));
}

#[tokio::test]
async fn a_device_gets_its_own_lessons_and_no_others() {
    let door = Door::open().await;
    let (one, two) = (
        door.enrol("K7Q20191", "SN-1").await,
        door.enrol("K7Q20192", "SN-2").await,
    );
    let (manifest, lesson, video) = door.lesson("one", &one).await;
    let (manifest_path, file_path) = (api::manifest_path(manifest), api::file_path(lesson.files[0].hash));

    let answer = one.get(&door, &manifest_path, &[]).await;
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let document = answer.bytes().await.unwrap();
    assert_eq!(Hash::of(&document), manifest);
    let packed = one
        .get(&door, &manifest_path, &[("accept-encoding", "gzip")])
        .await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    assert!(
        packed.len() < document.len() * 3 / 4,
        "{} of {}",
        packed.len(),
        document.len()
    );
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut unpacked).unwrap();
    assert_eq!(unpacked, document);
    // A file is never packed: ranges of it must stay as they are.
    let whole = one.get(&door, &file_path, &[("accept-encoding", "gzip")]).await;
    assert!(!whole.headers().contains_key("content-encoding"));
    let signed: Signed<LessonManifest> = serde_json::from_slice(&document).unwrap();
    assert_eq!(signed.verify(&one.reply.keys).unwrap(), lesson);
    assert_eq!(
        one.get(&door, &manifest_path, &[("if-none-match", &etag)])
            .await
            .status(),
        304
    );

    let answer = one.get(&door, &file_path, &[]).await;
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    assert_eq!(answer.headers()["accept-ranges"], "bytes");
    assert!(
        answer.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    assert_eq!(answer.bytes().await.unwrap(), video);

    for path in [&manifest_path, &file_path] {
        assert_eq!(problem(two.get(&door, path, &[]).await).await.0, 404);
    }
    assert_eq!(
        problem(one.get(&door, "/device/v1/files/..%2Fconsole.db", &[]).await)
            .await
            .0,
        404
    );
    // Withdrawn is gone at once.
    let id = door
        .http
        .db
        .lessons()
        .list(&Scope::everything(), &LessonQuery::default())
        .await
        .unwrap()
        .0
        .remove(0)
        .id;
    door.http
        .db
        .lessons()
        .retire(&Scope::everything(), &id, Timestamp::now())
        .await
        .unwrap();
    assert_eq!(problem(one.get(&door, &file_path, &[]).await).await.0, 404);
}

#[tokio::test]
async fn ranges_heads_and_conditions() {
    let door = Door::open().await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (_, lesson, video) = door.lesson("one", &device).await;
    let (path, size) = (api::file_path(lesson.files[0].hash), video.len());
    let etag = format!("\"{}\"", lesson.files[0].hash);

    let part = device
        .get(&door, &path, &[("range", "bytes=-100"), ("if-range", &etag)])
        .await;
    assert_eq!(part.status(), 206);
    assert_eq!(
        part.headers()["content-range"],
        format!("bytes {}-{}/{size}", size - 100, size - 1).as_str()
    );
    assert_eq!(part.headers()["content-length"], "100");
    assert_eq!(part.bytes().await.unwrap(), video[size - 100..]);
    let whole = device
        .get(&door, &path, &[("range", "bytes=0-1"), ("if-range", "\"old\"")])
        .await;
    assert_eq!(
        (whole.status(), whole.bytes().await.unwrap().len()),
        (Status::OK, size)
    );
    let beyond = device
        .get(&door, &path, &[("range", &format!("bytes={size}-"))])
        .await;
    assert_eq!(
        beyond.headers()["content-range"],
        format!("bytes */{size}").as_str()
    );
    assert_eq!(problem(beyond).await.1, "range_not_satisfiable");
    assert_eq!(
        device
            .get(&door, &path, &[("if-none-match", &etag)])
            .await
            .status(),
        304
    );
    let head = device
        .client
        .head(format!("{}{path}", door.url))
        .header("range", "bytes=5-9")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            head.status().as_u16(),
            head.headers()["content-length"].as_bytes()
        ),
        (206, &b"5"[..])
    );
    assert!(head.bytes().await.unwrap().is_empty());
}

/// Any range a client may think of gives what a slice of the original gives.
#[test]
fn a_range_is_a_slice() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (door, device, path, video) = runtime.block_on(async {
        let door = Door::open().await;
        let device = door.enrol("K7Q20191", "SN-1").await;
        let (_, lesson, video) = door.lesson("one", &device).await;
        (door, device, api::file_path(lesson.files[0].hash), video)
    });
    let size = video.len();
    let edge = prop_oneof![
        0..=size + 10,
        Just(size - 1),
        Just(65_535),
        Just(65_536),
        Just(131_072)
    ];
    let config = ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let cases = (edge.clone(), edge, 0..3_u8);
    runner
        .run(&cases, |(a, b, form)| {
            let (range, expected) = match form {
                0 => (
                    format!("bytes={a}-{b}"),
                    if a <= b {
                        video.get(a..size.min(b + 1))
                    } else {
                        Some(&video[..])
                    },
                ),
                1 => (format!("bytes={a}-"), video.get(a..)),
                _ => (
                    format!("bytes=-{}", a + 1),
                    Some(&video[size.saturating_sub(a + 1)..]),
                ),
            };
            let (status, body) = runtime.block_on(async {
                let answer = device.get(&door, &path, &[("range", &range)]).await;
                (answer.status().as_u16(), answer.bytes().await.unwrap())
            });
            match expected {
                Some(bytes) if !bytes.is_empty() => {
                    prop_assert_eq!(status, if form == 0 && a > b { 200 } else { 206 });
                    prop_assert!(
                        body == bytes,
                        "{} gave {} bytes, not {}",
                        range,
                        body.len(),
                        bytes.len()
                    );
                }
                _ => prop_assert_eq!(status, 416),
            }
            Ok(())
        })
        .unwrap();
}
