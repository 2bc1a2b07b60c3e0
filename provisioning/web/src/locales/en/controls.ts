/** Power, screen, sound, lock, log: what a board is told. */
export default {
  right: { devices: { logs: "Fetch a device's log" } },
  control: {
    menu: "Control", state: "As it is", unknown: "not known", cannot: "This device cannot: its board has no way to, or its agent is older",
    power_off: "Switch off", screen_off: "Screen dark", screen_on: "Screen bright", volume: "Volume", mute: "Mute", unmute: "Unmute", lock: "Lock playing", unlock: "Unlock playing", collect_logs: "Collect log",
    title: { power_off: "Switch off the device of {place}?", screen_off: "Darken the screen of {place}?", screen_on: "Light the screen of {place}?", volume: "Volume of {place}", lock: "Lock playing in {place}?", collect_logs: "Collect the log of {place}" },
    text: {
      power_off: "It comes back by its power button, at its wake time, or when the mains come back. Not done in class hours or an exam, unless you tick “do it anyway”.",
      screen_off: "Only the screen; everything else runs on. Not done in class hours or an exam, unless you tick “do it anyway”.", screen_on: "The screen comes on; what the device is doing goes on as it is.",
      volume: "Not while an exam is silent; it is done afterwards.",
      lock: "Lessons, USB disks and live lessons do not play until you unlock it here, or a technician types the PIN at the board. Listening audio of exams is not kept back. In class hours it needs a reason.",
      collect_logs: "Only the agent's own log and state, without keys, passwords and PINs; sent as the school's line allows, kept here for 14 days. Who fetches it is written down.",
    },
    confirm: { power_off: "Switch off {place}", screen_off: "Darken", screen_on: "Light", volume: "Set", lock: "Lock", collect_logs: "Collect" },
    delay: "Done after", force: "Do it anyway in class hours or an exam", reasonNeeded: "Why (needed)", reasonShown: "Why (the classroom reads it; needed in class hours)", percent: "Volume", now: "Now: {what}.", offline: "The device is away. The order waits {minutes} minutes for it; after that it is void.", loud: "Sound", keep: "as it is", hours: "Of the last",
    said: { screen_off: "Ordered: screen dark", screen_on: "Ordered: screen bright", lock: "Ordered: lock playing", unlock: "Ordered: unlock playing", volume: "Ordered: volume" },
    on: "screen bright", off: "screen dark", level: "volume {n}%", muted: "mute", locked: "playing is locked", lockedBecause: "Playing is locked: {reason}", lockedSince: "since {at}",
    logs: "Fetch log ({size})", logsComing: "{have} of {total} is here", logsUntil: "kept until {at}", inverse: "Back: {what}", forced: "forced: {reason}",
  },
  commandReason: {
    class_hours: "A class was on; not done", exam: "An exam was on; not done", no_answer: "The device did not answer before it expired",
    lesson: "A lesson was playing; not done",
    no_pin: "Not locked: the classroom has no technician's PIN, so nobody could unlock it at the board. Set one first", busy: "Another log is still being collected; not done",
  },
};
