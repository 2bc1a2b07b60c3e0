//! Restarts the machine with the configured command.

use std::process::Stdio;

use tokio::process::Command;

/// Runs the command. Comes back only with bad news; a machine that restarts ends this process.
pub async fn restart(command: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("system.reboot_command is empty".to_owned());
    };
    tracing::warn!(command = %command.join(" "), "restarting the machine");
    let run = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .await;
    let output = run.map_err(|error| format!("{program} could not be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(200).collect();
    Err(format!("{program} ended with {}: {said}", output.status))
}
