//! A school's network on one machine: the console behind a shaped line, a router, a LAN of boards, each in a network namespace.
//!
//! ```text
//!  console ──line0 (shaped both ways)── router ──bridge── board 0 … board N−1, a classroom's laptop
//! 198.18.0.1                 198.18.0.2   198.18.1.1      198.18.1.10 …          198.18.1.9
//! ```
//! [`School::build_v6`] is the same with IPv6 alone: `fd62:6274::1` and `::2` on the line, `fd62:6274:0:1::1`, `::9`, `::10` … (the
//! last part as in IPv4, in decimal digits) on the LAN.
//!
//! Needs root. Names begin with `bbt<pid>`, so two runs stand side by side; everything goes when [`School`] is dropped.
//! What it measures is what stood on the wire: offloads that would count several packets as one are switched off on the line.

use std::{
    fs::{self, File},
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsRawFd,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// The console's address, as the school sees it.
pub const CONSOLE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1));
/// The same in a school of IPv6 alone.
pub const CONSOLE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd62, 0x6274, 0, 0, 0, 0, 0, 1));
/// The interface of the line, at the console and at the router.
const LINE: &str = "line0";

/// Which addresses a school has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// How the line is shaped.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// Kilobits per second, Ethernet headers counted, each way.
    pub rate_kbps: u32,
    /// What may pass at once, in bytes.
    pub burst_bytes: u32,
    /// So long a full queue takes to empty; what does not fit is dropped.
    pub queue_ms: u32,
}

/// One network namespace of a [`School`].
#[derive(Debug, Clone)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// The one of that name, whether it is there yet or not.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.into() }
    }

    /// As `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs here. Its process id is the program's own: `ip netns exec` becomes the program.
    pub fn command(&self, program: &Path) -> Command {
        command_in(Some(&self.name), program)
    }

    /// Takes the calling thread, and every thread it starts from now on, here. There is no way back.
    ///
    /// # Errors
    /// Not root, or the namespace is gone.
    #[expect(unsafe_code, reason = "setns has no safe form in std")]
    pub fn enter(&self) -> Result<()> {
        let file = File::open(format!("/run/netns/{}", self.name))
            .with_context(|| format!("Failed to open the namespace {}", self.name))?;
        // SAFETY: a plain system call on a descriptor that this function holds open.
        if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("Failed to enter the namespace {}", self.name));
        }
        Ok(())
    }

    /// Does `what` here, on a thread of its own.
    ///
    /// # Errors
    /// As [`Netns::enter`], or what `what` says.
    pub fn within<T: Send>(&self, what: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter()?;
                what()
            });
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread in {} panicked", self.name))?
        })
    }

    /// Bytes that an interface received and sent so far, Ethernet headers counted.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn bytes(&self, interface: &str) -> Result<Bytes> {
        let table = self.within(|| Ok(fs::read_to_string("/proc/thread-self/net/dev")?))?;
        let row = table
            .lines()
            .find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'))
            .with_context(|| format!("no interface {interface} in {}", self.name))?;
        let numbers: Vec<u64> = row.split_whitespace().flat_map(str::parse).collect();
        match numbers.as_slice() {
            [received, _, _, _, _, _, _, _, sent, ..] => Ok(Bytes {
                received: *received,
                sent: *sent,
            }),
            _ => bail!("/proc/net/dev cannot be read: {row}"),
        }
    }

    pub(crate) fn ip(&self, commands: &str) -> Result<()> {
        ip_batch(&["-n", &self.name], commands)
    }

    /// Ends what runs here, and the namespace.
    pub(crate) fn remove(&self) {
        // Whatever runs here was started by us: the namespace is ours alone.
        if let Ok(pids) = Command::new("ip").args(["netns", "pids", &self.name]).output() {
            for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
                let _ = Command::new("kill")
                    .args(["-9", pid])
                    .stderr(Stdio::null())
                    .status();
            }
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// What crossed an interface.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bytes {
    /// Towards the namespace.
    pub received: u64,
    /// Out of it.
    pub sent: u64,
}

/// A command in the named namespace, or here.
pub(crate) fn command_in(netns: Option<&str>, program: &Path) -> Command {
    match netns {
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// The namespaces and what joins them; gone when dropped.
#[derive(Debug)]
pub struct School {
    /// Where the console stands.
    pub console: Netns,
    /// The school's router: the line on one side, the LAN's bridge on the other.
    pub router: Netns,
    /// A laptop on the LAN, which fetches nothing.
    pub laptop: Netns,
    /// The boards.
    pub boards: Vec<Netns>,
    family: Family,
    _neighbours: Neighbours,
}

/// The kernel counts the neighbours of all namespaces together, and 40 boards that know each other are more than it keeps:
/// room for more, until dropped.
#[derive(Debug)]
struct Neighbours(Vec<(String, String)>);

impl Neighbours {
    /// Most that are kept; built in are 1,024.
    const ROOM: &str = "32768";

    fn make_room() -> Result<Self> {
        let mut before = Vec::new();
        for family in ["ipv4", "ipv6"] {
            // From the largest down, so that the three stay in order.
            for n in [3, 2, 1] {
                let file = format!("/proc/sys/net/{family}/neigh/default/gc_thresh{n}");
                let Ok(was) = fs::read_to_string(&file) else {
                    continue;
                };
                fs::write(&file, Self::ROOM).with_context(|| format!("Failed to write {file}"))?;
                before.push((file, was));
            }
        }
        Ok(Self(before))
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        for (file, was) in self.0.iter().rev() {
            let _ = fs::write(file, was);
        }
    }
}

impl School {
    /// Builds it.
    ///
    /// # Errors
    /// Not root, a tool is missing, or the kernel has no namespaces or no token bucket.
    pub fn build(boards: usize, line: Line) -> Result<Self> {
        Self::build_with(boards, line, Family::V4)
    }

    /// The same without an IPv4 address anywhere but the loopback's.
    ///
    /// # Errors
    /// As [`School::build`], or the kernel has no IPv6.
    pub fn build_v6(boards: usize, line: Line) -> Result<Self> {
        Self::build_with(boards, line, Family::V6)
    }

    fn build_with(boards: usize, line: Line, family: Family) -> Result<Self> {
        ensure!(
            (1..=200).contains(&boards),
            "{boards} boards: the LAN has room for 1 to 200"
        );
        let prefix = format!("bbt{}", std::process::id());
        let name = |what: &str| Netns {
            name: format!("{prefix}-{what}"),
        };
        let school = Self {
            console: name("console"),
            router: name("router"),
            laptop: name("laptop"),
            boards: (0..boards).map(|n| name(&format!("b{n:02}"))).collect(),
            family,
            _neighbours: Neighbours::make_room()?,
        };
        let adds: String = school
            .all()
            .map(|ns| format!("netns add {}\n", ns.name))
            .collect();
        ip_batch(&[], &adds).context(
            "Failed to make network namespaces; this needs root and a kernel that has them (run as root, outside a container \
             without CAP_SYS_ADMIN)",
        )?;
        for ns in school.all() {
            // No waiting until an address proves to be free: each is used once.
            ns.within(|| {
                for which in ["all", "default"] {
                    fs::write(format!("/proc/sys/net/ipv6/conf/{which}/accept_dad"), "0").ok();
                }
                Ok(())
            })?;
            ns.ip("link set lo up\n")?;
        }
        school.line(line)?;
        school.lan()?;
        Ok(school)
    }

    /// Which congestion control new TCP connections over the line take, if their program does not choose. By route: the
    /// default of a namespace may only be one that the machine allows to everybody.
    ///
    /// # Errors
    /// The kernel has none of that name.
    pub fn congestion(&self, name: &str) -> Result<()> {
        self.console.ip(&format!(
            "route replace 198.18.1.0/24 via 198.18.0.2 congctl {name}\n"
        ))?;
        for board in &self.boards {
            board.ip(&format!("route replace default via 198.18.1.1 congctl {name}\n"))?;
        }
        Ok(())
    }

    fn line(&self, line: Line) -> Result<()> {
        let (console, router) = (&self.console, &self.router);
        let link = format!(
            "link add {LINE} netns {} type veth peer name {LINE} netns {}\n",
            console.name, router.name
        );
        ip_batch(&[], &link)?;
        let (here, there) = match self.family {
            Family::V4 => (
                format!(
                    "addr add {CONSOLE}/30 dev {LINE}\nlink set {LINE} up\nroute add 198.18.1.0/24 via 198.18.0.2\n"
                ),
                format!("addr add 198.18.0.2/30 dev {LINE}\nlink set {LINE} up\n"),
            ),
            Family::V6 => (
                format!(
                    "addr add {CONSOLE_V6}/64 dev {LINE} nodad\nlink set {LINE} up\n\
                     route add fd62:6274:0:1::/64 via fd62:6274::2\n"
                ),
                format!("addr add fd62:6274::2/64 dev {LINE} nodad\nlink set {LINE} up\n"),
            ),
        };
        console.ip(&here)?;
        router.ip(&there)?;
        for end in [console, router] {
            run(end
                .command(Path::new("ethtool"))
                .args(["-K", LINE, "tso", "off", "gso", "off", "gro", "off"]))?;
        }
        self.shape(line)
    }

    /// Shapes the line anew, both ways.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn shape(&self, line: Line) -> Result<()> {
        for end in [&self.console, &self.router] {
            run(Command::new("tc").args(["-n", &end.name]).args([
                "qdisc",
                "replace",
                "dev",
                LINE,
                "root",
                "tbf",
                "rate",
                &format!("{}kbit", line.rate_kbps),
                "burst",
                &line.burst_bytes.to_string(),
                "latency",
                &format!("{}ms", line.queue_ms),
            ]))?;
        }
        Ok(())
    }

    fn lan(&self) -> Result<()> {
        let (forward, address) = match self.family {
            Family::V4 => ("/proc/sys/net/ipv4/ip_forward", "198.18.1.1/24 dev lan"),
            Family::V6 => (
                "/proc/sys/net/ipv6/conf/all/forwarding",
                "fd62:6274:0:1::1/64 dev lan nodad",
            ),
        };
        self.router.within(|| Ok(fs::write(forward, "1")?))?;
        // As a plain switch: multicast goes to everybody.
        self.router.ip(&format!(
            "link add lan type bridge mcast_snooping 0 forward_delay 0\naddr add {address}\nlink set lan up\n"
        ))?;
        let laptop = std::iter::once((&self.laptop, 9));
        for (ns, host) in laptop.chain(self.boards.iter().zip(10..)) {
            let port = format!("lan{host}");
            let link = format!(
                "link add eth0 netns {} type veth peer name {port} netns {}\n",
                ns.name, self.router.name
            );
            ip_batch(&[], &link)?;
            self.router
                .ip(&format!("link set {port} master lan\nlink set {port} up\n"))?;
            ns.ip(&match self.family {
                Family::V4 => format!(
                    "addr add 198.18.1.{host}/24 dev eth0 broadcast 198.18.1.255\nlink set eth0 up\nroute add default via 198.18.1.1\n"
                ),
                Family::V6 => format!(
                    "addr add fd62:6274:0:1::{host}/64 dev eth0 nodad\nlink set eth0 up\nroute add default via fd62:6274:0:1::1\n"
                ),
            })?;
        }
        Ok(())
    }

    /// Address of a board on the LAN; of IPv4, unless the school was built without.
    pub fn address(&self, board: usize) -> IpAddr {
        if self.family == Family::V6 {
            let digits = u16::from_str_radix(&(10 + board).to_string(), 16).unwrap_or(u16::MAX);
            return IpAddr::V6(Ipv6Addr::new(0xfd62, 0x6274, 0, 1, 0, 0, 0, digits));
        }
        IpAddr::V4(Ipv4Addr::new(
            198,
            18,
            1,
            u8::try_from(10 + board).unwrap_or(u8::MAX),
        ))
    }

    /// What crossed the line so far: `received` is up, from the school; `sent` is down, to the school.
    ///
    /// # Errors
    /// The namespace is gone.
    pub fn line_bytes(&self) -> Result<Bytes> {
        self.console.bytes(LINE)
    }

    fn all(&self) -> impl Iterator<Item = &Netns> {
        [&self.console, &self.router, &self.laptop]
            .into_iter()
            .chain(&self.boards)
    }
}

impl Drop for School {
    fn drop(&mut self) {
        for ns in self.all() {
            ns.remove();
        }
    }
}

fn ip_batch(args: &[&str], commands: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(args)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("Failed to run ip (package iproute2)")?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(commands.as_bytes())?;
    }
    let done = child.wait_with_output()?;
    ensure!(
        done.status.success(),
        "ip {}: {} (of: {})",
        args.join(" "),
        String::from_utf8_lossy(&done.stderr).trim(),
        commands.trim()
    );
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let done = command
        .output()
        .with_context(|| format!("Failed to run {:?}", command.get_program()))?;
    ensure!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    );
    Ok(())
}
