//! nginx as oracle: ten thousand generated requests, each to both, and the answers compared.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use super::tests::{bench, free_port, sample};

const REQUESTS: usize = 10_000;

/// What both must say the same of.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: u16,
    length: Option<usize>,
    media_type: String,
    range: Option<String>,
    ranges: Option<String>,
    etag: bool,
    body: Vec<u8>,
}

struct Server {
    stream: BufStream<TcpStream>,
    path: String,
    host: String,
    etag: String,
}

impl Server {
    async fn open(port: u16, path: &str) -> Self {
        let mut server = Self {
            stream: BufStream::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap()),
            path: path.to_owned(),
            host: format!("127.0.0.1:{port}"),
            etag: String::new(),
        };
        server.etag = server.ask("HEAD", &[]).await.1;
        server
    }

    /// One request over the connection that stays; the answer, and its tag.
    async fn ask(&mut self, method: &str, headers: &[(&str, String)]) -> (Said, String) {
        let mut request = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", self.path, self.host);
        for (name, value) in headers {
            request += &format!("{name}: {}\r\n", value.replace("{etag}", &self.etag));
        }
        let mut head = Vec::new();
        let mut closed = 0;
        loop {
            if head.is_empty() && closed < 2 {
                let sent = self.stream.write_all(format!("{request}\r\n").as_bytes()).await;
                let _ = sent.and(self.stream.flush().await);
            }
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(10), self.stream.read_line(&mut line));
            // A server may close between two requests; then the request is made again.
            if read.await.unwrap().unwrap_or(0) == 0 {
                closed += 1;
                assert!(head.is_empty() && closed < 2, "closed after {request:?}");
                self.stream = BufStream::new(TcpStream::connect(&self.host).await.unwrap());
                continue;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let find = |name: &str| {
            head.iter().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let status: u16 = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        let length: Option<usize> = find("content-length").map(|l| l.parse().unwrap());
        let mut body = Vec::new();
        if method == "GET" && status != 304 {
            body = vec![0; length.unwrap()];
            self.stream.read_exact(&mut body).await.unwrap();
        }
        let etag = find("etag").unwrap_or_default();
        let mut said = Said {
            status,
            length,
            media_type: find("content-type").unwrap_or_default(),
            range: find("content-range"),
            ranges: find("accept-ranges"),
            etag: !etag.is_empty(),
            body,
        };
        said.forget_what_is_free(method);
        (said, etag)
    }
}

impl Said {
    /// The boundary is anybody's choice, and an error's words and headers, too; nothing else is.
    fn forget_what_is_free(&mut self, method: &str) {
        if let Some(boundary) = self.media_type.strip_prefix("multipart/byteranges; boundary=") {
            let (boundary, length) = (boundary.to_owned(), boundary.len());
            self.media_type = "multipart/byteranges".into();
            let mut ends = 1;
            if method == "GET" {
                let body = std::mem::take(&mut self.body);
                let mark = format!("--{boundary}");
                let mut rest = &body[..];
                ends = 0;
                while let Some(at) = rest.windows(mark.len()).position(|w| w == mark.as_bytes()) {
                    self.body.extend_from_slice(&rest[..at]);
                    self.body.extend_from_slice(b"--|");
                    rest = &rest[at + mark.len()..];
                    ends += 1;
                }
                self.body.extend_from_slice(rest);
                self.length = self.length.map(|all| all - ends * length);
            } else {
                // How many boundaries there are is not known without the body.
                self.length = None;
            }
            assert!(ends > 0);
        }
        // A part says by itself that there are ranges.
        if self.status == 206 {
            self.ranges = None;
        }
        if self.status >= 400 || self.status == 304 {
            self.body.clear();
            self.length = None;
            self.media_type.clear();
            self.ranges = None;
            self.etag = false;
        }
    }
}

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn range(random: &mut StdRng, size: u64) -> String {
    let at = |random: &mut StdRng| match random.random_range(0..8) {
        0 => 0,
        1 => size.saturating_sub(1),
        2 => size,
        3 => size + random.random_range(0..1000),
        4 => u64::try_from(i64::MAX).unwrap(),
        _ => random.random_range(0..size.max(1)),
    };
    let space = |random: &mut StdRng| if random.random_range(0..12) == 0 { " " } else { "" };
    match random.random_range(0..14) {
        0 => format!("-{}", at(random)),
        1 => format!("{}-", at(random)),
        2 => "-".into(),
        3 => format!("{}", at(random)),
        4 => format!("{}-{}", random.random_range(10..20), random.random_range(0..12)),
        5 => [
            "a-b",
            "1-x",
            "--1",
            "1--2",
            "0x1-2",
            "+1-2",
            "1.5-3",
            "18446744073709551616-",
            "0-99999999999999999999",
            "1-2-3",
            " ",
            "",
        ][random.random_range(0..12)]
        .into(),
        _ => {
            let first = at(random);
            let last = first.saturating_add(random.random_range(0..3000));
            format!(
                "{}{first}{}-{}{last}{}",
                space(random),
                space(random),
                space(random),
                space(random)
            )
        }
    }
}

fn headers(random: &mut StdRng, size: u64) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    if random.random_range(0..20) > 0 {
        let unit = [
            "bytes=", "bytes=", "bytes=", "bytes=", "bytes=", "Bytes=", "bytes =", "items=", "bytes", "",
        ][random.random_range(0..10)];
        let count = [1, 1, 1, 1, 2, 2, 3, 5, 12][random.random_range(0..9)];
        let list: Vec<_> = (0..count).map(|_| range(random, size)).collect();
        headers.push(("Range", format!("{unit}{}", list.join(","))));
    }
    let tags = [
        "{etag}",
        "\"other\"",
        "W/{etag}",
        "*",
        "\"a\", {etag}",
        "\"a\",W/{etag}",
        "Wed, 21 Oct 2015 07:28:00 GMT",
    ];
    if random.random_range(0..5) == 0 {
        headers.push((
            "If-Range",
            tags[[0, 0, 0, 1, 2, 6][random.random_range(0..6)]].into(),
        ));
    }
    if random.random_range(0..12) == 0 {
        headers.push(("If-None-Match", tags[random.random_range(0..6)].into()));
    }
    if random.random_range(0..16) == 0 {
        headers.push(("If-Match", tags[[0, 1, 3, 4][random.random_range(0..4)]].into()));
    }
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_are_answered_as_nginx_does() {
    let lesson = sample();
    let bench = bench(&[&lesson]).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("long.mp4"), &lesson.bytes[0]).unwrap();
    fs::write(folder.path().join("empty.mp4"), "").unwrap();
    let port = free_port();
    let configuration = format!(
        "daemon off; master_process off; user root; pid {0}/pid; error_log stderr crit; events {{}}\n\
         http {{ access_log off; keepalive_requests 100000; types {{ video/mp4 mp4; }}\n\
         server {{ listen 127.0.0.1:{port}; root {0}; }} }}\n",
        folder.path().display()
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let _nginx = Nginx(
        Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .env("PATH", format!("{path}:/usr/sbin"))
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is the oracle: apt-get install nginx-light"),
    );
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let mut statuses = std::collections::BTreeMap::new();
    for (theirs, ours, size, share) in [
        (
            "/long.mp4",
            "/files/math-3/file-0.bin",
            lesson.bytes[0].len() as u64,
            REQUESTS * 9 / 10,
        ),
        ("/empty.mp4", "/files/math-3/file-2.bin", 0, REQUESTS / 10),
    ] {
        let mut oracle = Server::open(port, theirs).await;
        let mut own = Server::open(bench.at.port(), ours).await;
        for n in 0..share {
            let method = if random.random_range(0..6) == 0 {
                "HEAD"
            } else {
                "GET"
            };
            let headers = headers(&mut random, size);
            let (expected, _) = oracle.ask(method, &headers).await;
            let (answer, _) = own.ask(method, &headers).await;
            let same = answer == expected;
            let short = |said: &Said| {
                format!(
                    "{} {:?} {} {:?} {:?} {} bytes",
                    said.status,
                    said.length,
                    said.media_type,
                    said.range,
                    said.ranges,
                    said.body.len()
                )
            };
            assert!(
                same,
                "seed {seed}, request {n}: {method} {headers:?} of {size} bytes\n nginx: {}\n  ours: {}",
                short(&expected),
                short(&answer)
            );
            *statuses
                .entry((answer.status, answer.media_type.starts_with("multipart")))
                .or_insert(0) += 1;
        }
    }
    println!("{REQUESTS} requests equal to nginx, by status and whether in parts: {statuses:?}");
    for seen in [
        (200, false),
        (206, false),
        (206, true),
        (304, false),
        (412, false),
        (416, false),
    ] {
        assert!(statuses.contains_key(&seen), "no request came to {seen:?}");
    }
}
