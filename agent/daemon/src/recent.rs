//! The newest lines of this process's own log, kept in memory for whoever collects them: boards whose journal cannot be read
//! have nothing else.

use std::{
    collections::VecDeque,
    io,
    sync::{LazyLock, Mutex, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that are kept.
const MOST: usize = 256 * 1024;

static LINES: LazyLock<Mutex<Ring>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Ring {
    fn add(&mut self, line: &str) {
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.bytes > MOST {
            let Some(gone) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= gone.len();
        }
    }
}

/// The lines, oldest first.
pub fn lines() -> String {
    let ring = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    ring.lines.iter().map(String::as_str).collect()
}

/// Where `tracing` writes them, beside standard error.
#[derive(Debug, Clone, Copy, Default)]
pub struct Recent;

impl io::Write for Recent {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut ring = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        ring.add(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Recent {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_first_and_it_never_grows() {
        let mut ring = Ring::default();
        for n in 0..10_000 {
            ring.add(&format!("{n} {}\n", "x".repeat(90)));
        }
        assert!(ring.bytes <= MOST && ring.lines.len() > 2_000);
        assert!(ring.lines.back().unwrap().starts_with("9999 "));
        ring.add(&"y".repeat(MOST + 1));
        assert!(ring.lines.is_empty() && ring.bytes == 0);
    }
}
