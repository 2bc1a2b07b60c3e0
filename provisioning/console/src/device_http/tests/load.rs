//! Too many, too slow, and the end.

use super::*;

#[tokio::test]
async fn too_much_at_once_is_put_off_and_recovers() {
    let limits = Limits {
        downloads: 4,
        downloads_per_device: 1,
        ..Limits::default()
    };
    let door = Door::with(limits).await;
    let device = door.enrol("K7Q20191", "SN-1").await;
    let (_, lesson, video) = door.lesson("one", &device).await;
    let path = api::file_path(lesson.files[0].hash);
    // A turn that is taken elsewhere: the handler's own bookkeeping, without the luck of socket buffers.
    let full = Door::with(Limits {
        requests: 0,
        ..Limits::default()
    })
    .await;
    let answer = full
        .client(None)
        .get(format!("{}/x", full.url))
        .send()
        .await
        .unwrap();
    let (status, code, retry) = problem(answer).await;
    assert_eq!((status, code.as_str()), (503, "busy"));
    assert!((2..=15).contains(&retry.unwrap().parse::<u32>().unwrap()));
    // One after the other the same device may fetch as often as it likes: turns come back with the last byte.
    for _ in 0..8 {
        let mut tries = 0;
        let body = loop {
            let answer = device.get(&door, &path, &[]).await;
            if answer.status() == 200 {
                break answer.bytes().await.unwrap();
            }
            // The client has the last byte a moment before the server drops the turn.
            tries += 1;
            assert!(tries < 200, "a turn never came back");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(body, video);
    }
}

#[tokio::test]
async fn silence_and_noise_harm_nobody_and_shutdown_ends() {
    let door = Door::open().await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(door.address).await.unwrap());
    }
    let mut noisy = TcpStream::connect(door.address).await.unwrap();
    noisy.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let started = std::time::Instant::now();
    let answer = door
        .client(None)
        .get(format!("{}/x", door.url))
        .send()
        .await
        .unwrap();
    assert_eq!(problem(answer).await.1, "no_such_path");
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "silent clients kept an honest one waiting"
    );
    // The noisy one hears a TLS alert and no more; the silent ones are cut off after ten seconds.
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), noisy.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert!(rest.len() < 20 && !rest.starts_with(b"HTTP"), "{rest:?}");
    let mut cut = [0; 1];
    let read = tokio::time::timeout(Duration::from_secs(15), silent[0].read(&mut cut))
        .await
        .unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "a silent client was kept");
    door.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(10), door.running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(TcpStream::connect(door.address).await.is_err());
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    use tokio::io::AsyncReadExt;
    let door = Door::with(Limits {
        connections_each: 2,
        ..Limits::default()
    })
    .await;
    let dial = async || TcpStream::connect(door.address).await.unwrap();
    let held = (dial().await, dial().await);
    let mut third = dial().await;
    // Sooner than a silent client is dropped for its handshake.
    let mut byte = [0];
    let closed = tokio::time::timeout(Duration::from_secs(5), third.read(&mut byte));
    assert!(matches!(
        closed.await.expect("it is closed at once"),
        Ok(0) | Err(_)
    ));
    drop(held);
    let mut tries = 0;
    while door.client(None).get(&door.url).send().await.is_err() {
        tries += 1;
        assert!(tries < 200, "a place never came back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
