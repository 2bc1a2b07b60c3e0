//! What passes in a network namespace, packet by packet: who talks to whom, by which port.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{ErrorKind, Read},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::FromRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::netns::Netns;

/// Headers are all that is of interest.
const SNAP: usize = 256;
/// So much may wait for us in the kernel.
const BUFFER: libc::c_int = 64 << 20;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// TCP; `opens` is the first packet of a connection (SYN alone).
    Tcp {
        /// Port of the sender.
        from: u16,
        /// Port of the receiver.
        to: u16,
        /// Who sends this one begins the connection.
        opens: bool,
    },
    /// UDP.
    Udp {
        /// Port of the sender.
        from: u16,
        /// Port of the receiver.
        to: u16,
    },
    /// ICMPv6, its type.
    Icmp6(u8),
    /// Any other protocol on IP, by its number.
    Ip(u8),
    /// No IP: its EtherType.
    Ether(u16),
}

/// Who sends what to whom; [`What::Ether`] has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Sender.
    pub from: IpAddr,
    /// Receiver.
    pub to: IpAddr,
    /// What.
    pub what: What,
}

/// How much passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Packets.
    pub packets: u64,
    /// Their bytes with Ethernet's header, as far as IP says how long they are.
    pub bytes: u64,
}

/// A running capture on every interface of a namespace; the loopback's own traffic is left out.
#[derive(Debug)]
pub struct Capture {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<BTreeMap<Flow, Passed>>>>,
}

impl Capture {
    /// Begins; everything that passes from now on is seen.
    ///
    /// # Errors
    /// Not root.
    pub fn start(netns: &Netns) -> Result<Self> {
        let mut socket = netns.within(packet_socket)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut flows: BTreeMap<Flow, Passed> = BTreeMap::new();
            let mut frame = [0; SNAP];
            loop {
                match socket.read(&mut frame) {
                    Ok(read) => {
                        if let Some(flow) = flow(&frame[..read]).filter(|flow| !on_loopback(flow)) {
                            let passed = flows.entry(flow).or_default();
                            passed.packets += 1;
                            passed.bytes += length(&frame[..read]);
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        // Only once nothing waits any more.
                        if told.load(Ordering::Relaxed) {
                            break;
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error).context("Failed to read packets"),
                }
            }
            let lost = lost(&socket)?;
            ensure!(
                lost == 0,
                "{lost} packets were lost by the capture: it shows nothing"
            );
            Ok(flows)
        });
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Ends, and gives every flow with its number of packets.
    ///
    /// # Errors
    /// Packets were lost, or could not be read.
    pub fn stop(self) -> Result<BTreeMap<Flow, u64>> {
        let flows = self.stop_with_bytes()?.into_iter();
        Ok(flows.map(|(flow, passed)| (flow, passed.packets)).collect())
    }

    /// The same with bytes.
    ///
    /// # Errors
    /// Packets were lost, or could not be read.
    pub fn stop_with_bytes(mut self) -> Result<BTreeMap<Flow, Passed>> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the capture was stopped before")?;
        thread.join().map_err(|_| anyhow!("the capture panicked"))?
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[expect(unsafe_code, reason = "std has no packet sockets")]
fn packet_socket() -> Result<File> {
    let every = i32::from(u16::try_from(libc::ETH_P_ALL)?.to_be());
    // SAFETY: a plain system call; its result is checked below.
    let socket = unsafe {
        libc::socket(
            libc::AF_PACKET,
            libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            every,
        )
    };
    if socket < 0 {
        return Err(std::io::Error::last_os_error()).context("Failed to open a packet socket");
    }
    // SAFETY: a descriptor that was made just now and is nobody else's.
    let file = unsafe { File::from_raw_fd(socket) };
    let room = BUFFER;
    let (value, size) = (&raw const room, size_of_val(&room));
    // SAFETY: the option is an int, and `value` points to one for as long as the call takes.
    let set = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            value.cast(),
            libc::socklen_t::try_from(size)?,
        )
    };
    ensure!(set == 0, "SO_RCVBUFFORCE: {}", std::io::Error::last_os_error());
    Ok(file)
}

/// Packets that found no room.
#[expect(unsafe_code, reason = "std has no packet sockets")]
fn lost(socket: &File) -> Result<u32> {
    use std::os::fd::AsRawFd;
    // packets, drops
    let mut counts = [0_u32; 2];
    let mut size = libc::socklen_t::try_from(size_of_val(&counts))?;
    // SAFETY: the option is two unsigned ints, and `counts` has room for them.
    let read = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            counts.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    ensure!(
        read == 0,
        "PACKET_STATISTICS: {}",
        std::io::Error::last_os_error()
    );
    Ok(counts[1])
}

fn on_loopback(flow: &Flow) -> bool {
    // A namespace's loopback frames carry loopback addresses, or its own address on both ends.
    !matches!(flow.what, What::Ether(_)) && (flow.from.is_loopback() || flow.from == flow.to)
}

/// Of the whole packet: only its beginning was read.
fn length(frame: &[u8]) -> u64 {
    let word = |at: usize| {
        Some(u64::from(u16::from_be_bytes(
            frame.get(at..at + 2)?.try_into().ok()?,
        )))
    };
    let length = match word(12) {
        Some(0x86dd) => word(18).map(|payload| payload + 54),
        Some(0x0800) => word(16).map(|all| all + 14),
        _ => None,
    };
    length.unwrap_or(frame.len() as u64)
}

fn flow(frame: &[u8]) -> Option<Flow> {
    let word = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
    let (from, to, protocol, at): (IpAddr, IpAddr, u8, usize) = match word(12)? {
        0x86dd => {
            let address = |at: usize| {
                let bytes: [u8; 16] = frame.get(at..at + 16)?.try_into().ok()?;
                Some(IpAddr::from(bytes))
            };
            let (mut next, mut at) = (*frame.get(20)?, 54);
            // Hop-by-hop options, as in MLD.
            if next == 0 {
                next = *frame.get(at)?;
                at += (usize::from(*frame.get(at + 1)?) + 1) * 8;
            }
            (address(22)?, address(38)?, next, at)
        }
        0x0800 => {
            let address = |at: usize| {
                let bytes: [u8; 4] = frame.get(at..at + 4)?.try_into().ok()?;
                Some(IpAddr::from(bytes))
            };
            let header = usize::from(frame.get(14)? & 0xf) * 4;
            (address(26)?, address(30)?, *frame.get(23)?, 14 + header)
        }
        0x0806 => {
            return Some(Flow {
                from: Ipv4Addr::UNSPECIFIED.into(),
                to: Ipv4Addr::UNSPECIFIED.into(),
                what: What::Ether(0x0806),
            });
        }
        other => {
            return Some(Flow {
                from: Ipv6Addr::UNSPECIFIED.into(),
                to: Ipv6Addr::UNSPECIFIED.into(),
                what: What::Ether(other),
            });
        }
    };
    let what = match protocol {
        6 => What::Tcp {
            from: word(at)?,
            to: word(at + 2)?,
            opens: frame.get(at + 13)? & 0x12 == 0x02,
        },
        17 => What::Udp {
            from: word(at)?,
            to: word(at + 2)?,
        },
        58 => What::Icmp6(*frame.get(at)?),
        other => What::Ip(other),
    };
    Some(Flow { from, to, what })
}
