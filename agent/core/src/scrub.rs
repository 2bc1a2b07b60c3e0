//! Takes secrets out of lines before they leave the board. Knows words, not files.
//!
//! A line that says `pin=123456`, carries a key in PEM or a password in an address is of no more use to a technician with the
//! secret than without it. What looks like one goes; that now and then something harmless goes as well does no harm.

/// Stands where a secret stood.
const GONE: &str = "***";
/// A value behind one of these words is a secret, wherever the word stands in the key.
const WORDS: [&str; 14] = [
    "password",
    "passwd",
    "secret",
    "token",
    "ticket",
    "credential",
    "private",
    "authorization",
    "cookie",
    "psk",
    "totp",
    "session",
    "api_key",
    "apikey",
];
/// These only as the last part of a key: `settings_pin`, not `pinyin`.
const LAST: [&str; 2] = ["pin", "code"];
/// Base64 of this length is a key or worse; hashes are hexadecimal.
const BASE64: usize = 80;

/// Scrubs line by line; remembers whether it stands within a PEM block.
#[derive(Debug, Default)]
pub struct Scrubber {
    in_pem: bool,
}

impl Scrubber {
    /// The line without its secrets; `None` for one that is nothing else.
    pub fn line(&mut self, line: &str) -> Option<String> {
        if self.in_pem {
            self.in_pem = !line.contains("-----END ");
            return None;
        }
        if let Some(at) = line.find("-----BEGIN ") {
            let (before, block) = line.split_at(at);
            // A whole one in one line, as JSON writes it.
            self.in_pem = !block.contains("-----END ");
            return Some(format!("{}{GONE}", values(before)));
        }
        Some(values(&addresses(&blobs(line))))
    }

    /// A whole text.
    pub fn text(text: &str) -> String {
        let mut scrubber = Self::default();
        let mut out = String::with_capacity(text.len());
        for line in text.lines() {
            if let Some(line) = scrubber.line(line) {
                out.push_str(&line);
                out.push('\n');
            }
        }
        out
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let last = key.rsplit(['_', '-', '.', ' ']).next().unwrap_or_default();
    WORDS.iter().any(|word| key.contains(word)) || LAST.contains(&last)
}

/// `key = "value"`, `key=value`, `"key":"value"`, `key: value`: the value goes where the key is one of a secret. Quotation marks
/// may be escaped, however often: JSON within a string of JSON.
fn values(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = rest.split_at(at);
        let mark = &after[..1];
        let after = &after[1..];
        let bare = before.trim_end().trim_end_matches(['"', '\\']);
        let begins = bare
            .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .map_or(0, |at| at + bare[at..].chars().next().map_or(1, char::len_utf8));
        let (left, key) = bare.split_at(begins);
        // `\n` before a word, as JSON writes the end of a line.
        let second = key.strip_prefix(['n', 'r', 't']).filter(|_| left.ends_with('\\'));
        let key = second.filter(|second| is_secret(second)).unwrap_or(key);
        out.push_str(before);
        out.push_str(mark);
        rest = after;
        if !is_secret(key) {
            continue;
        }
        let space = rest.len() - rest.trim_start().len();
        let value = &rest[space..];
        let long = match quoted(value) {
            Some(long) => long,
            // `Authorization: Bearer abc` is one value.
            None if key.eq_ignore_ascii_case("authorization") => value.len(),
            None => value
                .find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '}' | ')'))
                .unwrap_or(value.len()),
        };
        if long > 0 {
            out.push_str(&rest[..space]);
            out.push_str(GONE);
            rest = &value[long..];
        }
    }
    out.push_str(rest);
    out
}

/// How long a quoted value is, with its marks; the end of a string around it ends it as well. `None` where no mark begins it.
fn quoted(value: &str) -> Option<usize> {
    let inner = value.trim_start_matches('\\').strip_prefix('"')?;
    let begins = value.len() - inner.len();
    // Each string around escapes what was escaped already: none, 1, 3, 7 backslashes before a mark of this depth.
    let depth = begins - 1;
    let mut escapes = 0;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'\\' => escapes += 1,
            b'"' if escapes < depth => return Some(begins + at - escapes),
            b'"' if (escapes - depth).is_multiple_of(2 * (depth + 1)) => return Some(begins + at + 1),
            _ => escapes = 0,
        }
    }
    Some(value.len())
}

/// `https://user:password@host` without the user.
fn addresses(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#'))
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(user) => {
                out.push_str(GONE);
                &after[user..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

/// Long runs of base64.
fn blobs(line: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(begin) = rest.find(plain) {
        let (before, run) = rest.split_at(begin);
        let end = run.find(|c| !plain(c)).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        out.push_str(before);
        // A path is no blob, nor is a hash or a row of one character.
        let hex = run.bytes().all(|c| c.is_ascii_hexdigit());
        let mixed =
            run.bytes().any(|c| c.is_ascii_lowercase()) && run.bytes().any(|c| c.is_ascii_uppercase());
        out.push_str(if run.len() >= BASE64 && !hex && mixed {
            GONE
        } else {
            run
        });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_and_what_a_technician_needs_stays() {
        for (line, left) in [
            ("pin=123456 tries=3", "pin=*** tries=3"),
            ("settings_pin = \"24 68\"", "settings_pin = ***"),
            (
                r#"{"token":"abc","lesson":"l-1"}"#,
                r#"{"token":***,"lesson":"l-1"}"#,
            ),
            ("Authorization: Bearer abc.def", "Authorization: ***"),
            (
                "ticket.code=7K3M9QX2, device.id=d-1",
                "ticket.code=***, device.id=d-1",
            ),
            (
                "GET https://user:pw@host.example/a?b",
                "GET https://***@host.example/a?b",
            ),
            (
                "GET https://host.example:8443/a",
                "GET https://host.example:8443/a",
            ),
            ("pinyin: zhong1", "pinyin: zhong1"),
            (
                "command.id=c-0197 state=Succeeded",
                "command.id=c-0197 state=Succeeded",
            ),
            ("课程 标题：三角形 secret：", "课程 标题：三角形 secret："),
            // A mark within a value is not its end.
            (r#"{"token":"a\"b\\","n":1}"#, r#"{"token":***,"n":1}"#),
            // JSON within a string, and within a string of that.
            (
                r#"{"text":"{\"pin\":\"24 68\",\"lesson\":\"l-1\"}","n":1}"#,
                r#"{"text":"{\"pin\":***,\"lesson\":\"l-1\"}","n":1}"#,
            ),
            (
                r#"{"text":"{\n  \"token\" : \"a\\\"b\\\\\",\n  \"n\": 1}"}"#,
                r#"{"text":"{\n  \"token\" : ***,\n  \"n\": 1}"}"#,
            ),
            (
                r#""{\"a\":\"{\\\"pin\\\":\\\"2468\\\",\\\"n\\\":1}\"}""#,
                r#""{\"a\":\"{\\\"pin\\\":***,\\\"n\\\":1}\"}""#,
            ),
            // Cut off: what is left of it goes, and what is around it stays.
            (
                r#"{"text":"{\"pin\":\"24","n":1}"#,
                r#"{"text":"{\"pin\":***","n":1}"#,
            ),
            (r#"{"text":"a\npin=2468 b"}"#, r#"{"text":"a\npin=*** b"}"#),
            (
                r#"{"text":"GET /\r\nAuthorization: Bearer abc"}"#,
                r#"{"text":"GET /\r\nAuthorization: ***"#,
            ),
        ] {
            assert_eq!(Scrubber::default().line(line).as_deref(), Some(left), "{line}");
        }
        let hash = "ab".repeat(32);
        let line = format!("chunk {hash} stored");
        assert_eq!(Scrubber::default().line(&line).unwrap(), line);
        let key = "aB3+".repeat(30);
        assert!(
            !Scrubber::default()
                .line(&format!("x {key} y"))
                .unwrap()
                .contains(&key)
        );
    }

    #[test]
    fn keys_go_as_a_whole() {
        let text = "before\n-----BEGIN PRIVATE KEY-----\nMIIB\nAAAA\n-----END PRIVATE KEY-----\nafter\n\
                    {\"ca_pem\":\"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n\"}\nend\n";
        let scrubbed = Scrubber::text(text);
        assert!(
            !scrubbed.contains("MIIB") && !scrubbed.contains("AAAA"),
            "{scrubbed}"
        );
        for word in ["before", "after", "end"] {
            assert!(scrubbed.lines().any(|line| line == word), "{scrubbed}");
        }
    }
}
