//! The doors to the world, one file each.

pub mod bandwidth;
pub mod board;
pub mod claim;
pub mod console;
pub mod enrol;
pub mod fetch;
pub mod hardware;
pub mod lan;
pub mod link;
pub mod logs;
pub mod metrics;
pub mod mqtt;
pub mod net;
pub mod pack;
pub mod probes;
pub mod reboot;
pub mod records;
pub mod renew;
pub mod sound;
pub mod standing;
pub mod time;
pub mod tls;
pub mod usb;
pub mod ways;

/// An error with all its causes in one line.
pub fn whole_reason(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        cause = next.source();
    }
    reason
}
