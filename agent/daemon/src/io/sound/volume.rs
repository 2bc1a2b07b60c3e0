//! The loudspeaker as the console sets it: volume, mute and heard. By the same mixer that an exam mutes.

use super::{Heard, Mixer, Set, Way};

impl Mixer {
    /// Whether a mixer answers, so that it can be muted; and whether its volume can be set as well.
    pub async fn can(&self) -> (bool, bool) {
        for way in self.ways() {
            if self.outputs(way).await.is_ok() {
                return (true, way != Way::Commands);
            }
        }
        (false, false)
    }

    /// Sets the volume of every output, in percent of what the mixer calls full. Mute stays as it is.
    ///
    /// # Errors
    /// What the mixers said, in one line.
    pub async fn set_volume(&self, percent: u8) -> Result<(), String> {
        let percent = percent.min(100);
        let mut reasons = Vec::new();
        for way in self.ways() {
            let outputs = match self.outputs(way).await {
                Ok(outputs) => outputs,
                Err(reason) => {
                    reasons.push(reason);
                    continue;
                }
            };
            for (name, _) in outputs {
                let level = format!("{percent}%");
                match way {
                    Way::Commands => {
                        return Err(
                            "[sound] names programs, and none of them sets a volume; name one in [control] \
                                    set_volume"
                                .to_owned(),
                        );
                    }
                    Way::Pactl => self.output("pactl", &["set-sink-volume", &name, &level]).await,
                    Way::Wpctl => {
                        let part = format!("{:.2}", f64::from(percent) / 100.0);
                        self.output("wpctl", &["set-volume", "@DEFAULT_AUDIO_SINK@", &part])
                            .await
                    }
                    Way::Amixer => self.output("amixer", &["sset", "Master", &level]).await,
                }?;
            }
            return Ok(());
        }
        Err(reasons.join("; "))
    }

    /// Mutes every output, or lets every output be heard.
    ///
    /// # Errors
    /// What the mixers said, in one line; or that it did not do as it was told.
    pub async fn set_mute(&self, mute: bool) -> Result<(), String> {
        let mut reasons = Vec::new();
        for way in self.ways() {
            let outputs = match self.outputs(way).await {
                Ok(outputs) => outputs,
                Err(reason) => {
                    reasons.push(reason);
                    continue;
                }
            };
            let set = if mute { Set::Mute } else { Set::Unmute };
            for (name, is_mute) in outputs {
                if is_mute != mute {
                    self.set(way, &name, set).await?;
                }
            }
            return match (self.look().await, mute) {
                (Heard::Mute, true) | (Heard::Open(_), false) => Ok(()),
                (Heard::Unknown(reason), _) => Err(reason),
                (Heard::Open(_), true) => Err("the loudspeaker did not fall silent".to_owned()),
                (Heard::Mute, false) => Err("the loudspeaker stayed mute".to_owned()),
            };
        }
        Err(reasons.join("; "))
    }
}
