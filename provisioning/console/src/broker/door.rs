//! Who stands at the embedded broker's door, and the console's part in letting it in.
//!
//! [`super::policy`] decides by certificate and topic alone. What needs more than that, because a device was revoked or its
//! disk copied, the console decides behind [`Door`]; the broker knows neither database nor list.

use std::{fmt::Debug, net::SocketAddr};

use async_trait::async_trait;
use contract::{
    hardware::{CONNECT_BOOT, CONNECT_HARDWARE, Hardware},
    id::{BootId, DeviceId},
};
use rmqtt::types::ConnectInfo;

use crate::domain::clones::Told;

/// Longest JSON of a board's marks, in bytes.
const MAX_HARDWARE_BYTES: usize = 4_096;

/// A device that wants to come in, or is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The certificate's common name, which is its client id.
    pub device: DeviceId,
    /// The certificate's serial number, lower-case hexadecimal.
    pub serial: Option<String>,
    /// What it told of its board.
    pub told: Told,
    /// From where.
    pub peer: SocketAddr,
}

/// Why somebody stays out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shut {
    /// For the technician.
    pub reason: String,
    /// Whether it is worth a line in the log; repeats are not.
    pub news: bool,
    /// Nothing speaks against it, it could only not be looked up: it must not hear a no, which a board takes for a word about
    /// itself.
    pub unknown: bool,
}

/// The console's part in letting a device in.
#[async_trait]
pub trait Door: Debug + Send + Sync + 'static {
    /// Whether `caller` may come in, while `live` has its session open: admitting it ends that one.
    ///
    /// # Errors
    /// Why not.
    async fn admit(&self, caller: &Caller, live: Option<&Caller>) -> Result<(), Shut>;
}

/// Lets everybody in whom the policy lets in: for tests, and where nobody is ever revoked.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenDoor;

#[async_trait]
impl Door for OpenDoor {
    async fn admit(&self, _: &Caller, _: Option<&Caller>) -> Result<(), Shut> {
        Ok(())
    }
}

impl Caller {
    /// Reads a device's CONNECT; `Err` is a reason why it cannot be used.
    pub(super) fn read(device: DeviceId, connect: &ConnectInfo) -> Result<Self, String> {
        let peer = connect.id().remote_addr.ok_or("the connection has no address")?;
        // rmqtt writes the number without leading zeros; ours begin with none.
        let serial = connect.cert().and_then(|cert| cert.serial.clone());
        Ok(Self {
            device,
            serial,
            told: told(connect)?,
            peer,
        })
    }
}

/// What a CONNECT says of the board. MQTT 3.1.1 has no room for it, so such a client tells nothing.
fn told(connect: &ConnectInfo) -> Result<Told, String> {
    let ConnectInfo::V5(_, connect) = connect else {
        return Ok(Told::default());
    };
    let property = |name: &str| {
        let mut found = connect.user_properties.iter().filter(|(key, _)| &**key == name);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(format!("user property {name} stands twice")),
            (one, _) => Ok(one.map(|(_, value)| value.to_string())),
        }
    };
    let hardware = property(CONNECT_HARDWARE)?
        .map(|text| {
            if text.len() > MAX_HARDWARE_BYTES {
                return Err(format!(
                    "user property {CONNECT_HARDWARE} has {} bytes",
                    text.len()
                ));
            }
            let hardware: Hardware = serde_json::from_str(&text)
                .map_err(|e| format!("user property {CONNECT_HARDWARE} cannot be read: {e}"))?;
            match hardware.is_bounded() {
                true => Ok(hardware),
                false => Err(format!("user property {CONNECT_HARDWARE} is beyond its bounds")),
            }
        })
        .transpose()?;
    let boot = property(CONNECT_BOOT)?
        .map(|text| BootId::new(text).map_err(|e| format!("user property {CONNECT_BOOT}: {e}")))
        .transpose()?;
    Ok(Told { hardware, boot })
}
