//! The emulated board: the board controller's program in QEMU, with its thermometer and its clock on the bus, its serial port at a
//! loopback TCP port, and its other wires in the test's hand.
//!
//! What the program drives is looked at where it drives it: pins in the chip's registers, pulse widths (which QEMU has none of) in
//! words of its memory, found by their names.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::stand::{Process, free_port};

/// Set by `cargo xtask`: the program, or [`NONE`].
const IMAGE: &str = "BBT_MCU_IMAGE";
/// This machine has no compiler for it, which was told before anything ran.
const NONE: &str = "none";
/// QEMU answers at once; on two busy cores it may take its time.
const LIMIT: Duration = Duration::from_secs(60);
/// Where RAM begins.
const RAM: u32 = 0x2000_0000;

/// The program that `cargo xtask mcu` builds; `None` on a machine that cannot build it, as `cargo xtask test` has told.
///
/// # Errors
/// It was not built, though it could be.
pub fn image() -> Result<Option<PathBuf>> {
    let image = match std::env::var_os(IMAGE) {
        Some(none) if none == NONE => return Ok(None),
        Some(image) => PathBuf::from(image),
        None => {
            let test = std::env::current_exe()?;
            let target = test
                .ancestors()
                .nth(3)
                .context("the test stands in no target folder")?;
            target.join("mcu/thumbv7m-none-eabi/release/board")
        }
    };
    ensure!(
        image.is_file(),
        "the board controller's program is not built ({}); run `cargo xtask mcu`, or this by `cargo xtask journeys board_controller`",
        image.display()
    );
    Ok(Some(image))
}

/// A pin of the chip: port A to G, number 0 to 7.
#[derive(Debug, Clone, Copy)]
pub struct Pin(pub char, pub u8);

impl Pin {
    fn port(self) -> Result<usize> {
        let port = u32::from(self.0)
            .checked_sub(u32::from('A'))
            .filter(|port| *port < 7);
        Ok(usize::try_from(
            port.with_context(|| format!("there is no port {}", self.0))?,
        )?)
    }

    fn data(self) -> Result<u32> {
        const PORTS: [u32; 7] = [
            0x4000_4000,
            0x4000_5000,
            0x4000_6000,
            0x4000_7000,
            0x4002_4000,
            0x4002_5000,
            0x4002_6000,
        ];
        // Bits 2 to 9 of the address choose the pins that are read: all.
        Ok(PORTS[self.port()?] + 0x3fc)
    }
}

/// A running emulated board.
#[derive(Debug)]
pub struct Emulator {
    /// Its serial port, `127.0.0.1:PORT`.
    pub port: u16,
    process: Process,
    control: BufReader<UnixStream>,
    wires: UnixStream,
    answers: mpsc::Receiver<String>,
    falls: Arc<AtomicU32>,
    /// QEMU's names of the ports.
    ports: Vec<String>,
    symbols: HashMap<String, (u32, u32)>,
    folder: PathBuf,
}

impl Emulator {
    /// Starts it in a folder of its own, at 30 °C, its battery-backed clock at `clock`; falls of `watched` are counted from the start.
    ///
    /// # Errors
    /// There is no QEMU, or it is not as it should be.
    pub fn start(image: &Path, folder: &Path, clock: Timestamp, watched: Pin) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let port = free_port()?;
        let (control, wires) = (folder.join("control"), folder.join("wires"));
        let mut command = Command::new("qemu-system-arm");
        command
            .args([
                "-M",
                "lm3s6965evb",
                "-nographic",
                "-monitor",
                "none",
                "-accel",
                "tcg",
                "-S",
            ])
            .args([
                "-device",
                "tmp105,id=t0,address=0x48",
                "-device",
                "ds1338,id=rtc,address=0x68",
            ])
            .arg("-rtc")
            .arg(format!("base={},clock=vm", clock.strftime("%Y-%m-%dT%H:%M:%S")))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", control.display()))
            .args(["-qtest-log", "none", "-qtest"])
            .arg(format!("unix:{},server=on,wait=off", wires.display()))
            .arg("-serial")
            .arg(format!("tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on"))
            .arg("-kernel")
            .arg(image);
        let mut process = Process::start("qemu-system-arm", &mut command, &folder.join("qemu.log"))
            .context("the Debian package is qemu-system-arm; `cargo xtask mcu` installs it")?;
        let control = BufReader::new(connect(&mut process, &control)?);
        let wires = connect(&mut process, &wires)?;
        let falls = Arc::new(AtomicU32::new(0));
        let answers = hear(
            wires.try_clone()?,
            format!("IRQ lower {}", watched.1),
            Arc::clone(&falls),
        );
        let mut board = Self {
            port,
            process,
            control,
            wires,
            answers,
            falls,
            ports: Vec::new(),
            symbols: symbols(&fs::read(image)?)
                .context("the board controller's program is no ELF file of its chip")?,
            folder: folder.to_owned(),
        };
        board.control.read_line(&mut String::new())?;
        board.order("qmp_capabilities", json!({}))?;
        board.ports = board.find_ports()?;
        let watched = board.ports[watched.port()?].clone();
        board.wire(&format!("irq_intercept_out {watched}"))?;
        board.heat(30)?;
        board.order("cont", json!({}))?;
        Ok(board)
    }

    fn find_ports(&mut self) -> Result<Vec<String>> {
        let all = self.order("qom-list", json!({ "path": "/machine/unattached" }))?;
        let all = all.as_array().context("QEMU lists nothing")?;
        let mut ports: Vec<u32> = all
            .iter()
            .filter(|one| one["type"] == "child<pl061_luminary>")
            .filter_map(|one| {
                one["name"]
                    .as_str()?
                    .strip_prefix("device[")?
                    .strip_suffix(']')?
                    .parse()
                    .ok()
            })
            .collect();
        ports.sort_unstable();
        ensure!(ports.len() == 7, "QEMU has {} ports, not A to G", ports.len());
        Ok(ports
            .iter()
            .map(|n| format!("/machine/unattached/device[{n}]"))
            .collect())
    }

    fn order(&mut self, what: &str, arguments: Value) -> Result<Value> {
        let order = json!({ "execute": what, "arguments": arguments });
        writeln!(self.control.get_mut(), "{order}").context("Failed to tell QEMU")?;
        loop {
            let mut line = String::new();
            let heard = self
                .control
                .read_line(&mut line)
                .with_context(|| format!("QEMU does not answer {what}"))?;
            if heard == 0 {
                self.process.check_alive()?;
                bail!("QEMU hung up");
            }
            let mut answer: Value = serde_json::from_str(&line)?;
            ensure!(answer["error"].is_null(), "QEMU refused {order}: {answer}");
            // The rest is news.
            if !answer["return"].is_null() {
                return Ok(answer["return"].take());
            }
        }
    }

    fn wire(&mut self, order: &str) -> Result<()> {
        writeln!(self.wires, "{order}").context("Failed to tell QEMU")?;
        let answer = self
            .answers
            .recv_timeout(LIMIT)
            .with_context(|| format!("QEMU does not answer {order}"))?;
        ensure!(answer == "OK", "QEMU refused {order}: {answer}");
        Ok(())
    }

    /// Sets the thermometer, °C.
    ///
    /// # Errors
    /// QEMU does not.
    pub fn heat(&mut self, celsius: i32) -> Result<()> {
        let arguments =
            json!({ "path": "/machine/peripheral/t0", "property": "temperature", "value": celsius * 1_000 });
        self.order("qom-set", arguments).map(drop)
    }

    /// Drives a pin that listens.
    ///
    /// # Errors
    /// QEMU does not.
    pub fn drive(&mut self, pin: Pin, high: bool) -> Result<()> {
        let port = &self.ports[pin.port()?];
        let order = format!("set_irq_in {port} unnamed-gpio-in {} {}", pin.1, u8::from(high));
        self.wire(&order)
    }

    /// Whether a pin is high.
    ///
    /// # Errors
    /// QEMU does not say.
    pub fn is_high(&mut self, pin: Pin) -> Result<bool> {
        let words = self.words(pin.data()?, 1)?;
        Ok(words[0] & (1 << pin.1) != 0)
    }

    /// How often the watched pin went low.
    pub fn falls(&self) -> u32 {
        self.falls.load(Ordering::Relaxed)
    }

    /// A word of the program's memory.
    ///
    /// # Errors
    /// The program has none of that name.
    pub fn word(&mut self, name: &str) -> Result<u32> {
        let (at, _) = self.symbol(name)?;
        Ok(self.words(at, 1)?[0])
    }

    /// All bytes of a part of the program's memory.
    ///
    /// # Errors
    /// The program has none of that name.
    pub fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let (at, bytes) = self.symbol(name)?;
        self.memory(at, bytes)
    }

    /// The most of its stack that the program has used since it began: memory that it never wrote is still 0.
    ///
    /// # Errors
    /// QEMU does not say, or the program has no bounds of its stack.
    pub fn stack(&mut self) -> Result<Stack> {
        let ((end, _), (top, _)) = (self.symbol("_stack_end")?, self.symbol("_stack_start")?);
        let room = top.checked_sub(end).context("the stack ends above its start")?;
        let bytes = self.memory(end, room)?;
        let free = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok(Stack {
            used: room - u32::try_from(free)?,
            room,
            ram: top - RAM,
        })
    }

    fn symbol(&self, name: &str) -> Result<(u32, u32)> {
        let found = self.symbols.get(name).copied();
        found.with_context(|| format!("the board controller's program has no {name}"))
    }

    fn memory(&mut self, at: u32, bytes: u32) -> Result<Vec<u8>> {
        let file = self.folder.join("memory");
        self.order("pmemsave", json!({ "val": at, "size": bytes, "filename": file }))?;
        Ok(fs::read(file)?)
    }

    fn words(&mut self, at: u32, count: u32) -> Result<Vec<u32>> {
        let line = format!("xp /{count}wx {at:#x}");
        let said = self.order("human-monitor-command", json!({ "command-line": line }))?;
        let said = said.as_str().context("QEMU says nothing")?;
        let words = said.split_whitespace().filter_map(|word| word.strip_prefix("0x"));
        let words: Vec<u32> = words
            .map(|word| u32::from_str_radix(word, 16))
            .collect::<Result<_, _>>()?;
        ensure!(words.len() == usize::try_from(count)?, "{line}: {said}");
        Ok(words)
    }
}

/// How much of its stack a program has used, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Stack {
    /// At most at once.
    pub used: u32,
    /// What variables leave.
    pub room: u32,
    /// All RAM that the program may use.
    pub ram: u32,
}

fn connect(process: &mut Process, socket: &Path) -> Result<UnixStream> {
    let start = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(error) if start.elapsed() > LIMIT => {
                return Err(error).with_context(|| format!("Failed to connect to {}", socket.display()));
            }
            Err(_) => process.check_alive()?,
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Answers go to the channel, what `counted` says is counted.
fn hear(wires: UnixStream, counted: String, count: Arc<AtomicU32>) -> mpsc::Receiver<String> {
    let (answer, answers) = mpsc::channel();
    thread::spawn(move || {
        let _ = wires.set_read_timeout(None);
        for line in BufReader::new(wires).lines().map_while(Result::ok) {
            if line == counted {
                count.fetch_add(1, Ordering::Relaxed);
            }
            if !line.starts_with("IRQ ") && answer.send(line).is_err() {
                return;
            }
        }
    });
    answers
}

/// Name, address and size of everything in an ELF file of 32 bits.
fn symbols(elf: &[u8]) -> Option<HashMap<String, (u32, u32)>> {
    const SYMBOLS: u32 = 2;
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(*elf.get(at..)?.first_chunk()?)));
    let word = |at: usize| Some(u32::from_le_bytes(*elf.get(at..)?.first_chunk()?));
    let place = |at: usize| usize::try_from(word(at)?).ok();
    let (table, each) = (place(32)?, half(46)?);
    let section = |n: usize| table + n * each;
    let mut found = HashMap::new();
    for at in (0..half(48)?).map(section) {
        if word(at + 4)? != SYMBOLS {
            continue;
        }
        let (begin, bytes, names) = (place(at + 16)?, place(at + 20)?, section(place(at + 24)?));
        let names = elf.get(place(names + 16)?..)?;
        for symbol in (begin..begin + bytes).step_by(16) {
            let name = names.get(place(symbol)?..)?.split(|byte| *byte == 0).next()?;
            let name = String::from_utf8_lossy(name).into_owned();
            found.insert(name, (word(symbol + 4)?, word(symbol + 8)?));
        }
    }
    (!found.is_empty()).then_some(found)
}
