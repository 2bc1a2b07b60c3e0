import type zhCN from "../zh-CN/fleet";

/** A device's charts, events and network, and the names of readings. */
const en: typeof zhCN = {
  right: { fleet: { read: "See how the fleet is" } },
  series: {
    whole: "Show all", drag: "Drag the ends to choose a time, or set it here", window: "Chosen time", range: "Range", ranges: { "1d": "Last day", "7d": "Last 7 days", "30d": "Last 30 days", "1y": "Last year" },
    tier: { raw: "each sample", "5m": "5-minute means", "1h": "hourly means" }, group: { load: "Load", heat: "Heat and disk", network: "Network", use: "Use", traffic: "Traffic" }, gap: "Grey: no data, not zero", none: "No data in this time",
  },
  metric: {
    cpu_percent: "Processor", load_1m: "Load (1 min)", memory_total_bytes: "Memory", memory_available_bytes: "Memory available", memory_used_percent: "Memory used", memory_pressure_percent: "Waiting for memory", io_pressure_percent: "Waiting for disk", cpu_pressure_percent: "Waiting for processor",
    disk_total_bytes: "Disk", disk_free_bytes: "Disk free", disk_used_percent: "Disk used", disk_free_inodes: "Free inodes", inodes_used_percent: "Inodes used", emmc_wear_percent: "Flash wear", emmc_pre_eol: "Flash end of life", disk_wear_percent: "Disk wear", disk_reallocated_sectors: "Reallocated sectors",
    temperature_celsius: "Temperature", network_rx_bytes: "Received", network_tx_bytes: "Sent", link_mbps: "Port speed", agent_rss_bytes: "Agent's memory", lessons_ready: "Lessons ready", lessons_assigned: "Lessons assigned", lessons_pending: "Lessons pending", lessons_failed: "Lessons failed",
    fetched_bytes: "Fetched over the line", lan_in_bytes: "From other boards", lan_out_bytes: "To other boards", copied_bytes: "Copied from older versions", pack_bytes: "From USB disks", written_bytes: "Written to disk", peers: "Boards connected", screen_on_s: "Screen on", speaker_on_s: "Speaker on",
    player_errors: "Player errors", outbox_samples: "Waiting to be sent", wifi_signal_percent: "Wi-Fi signal", gateway_rtt_ms: "Round trip to gateway", console_rtt_ms: "Round trip to console", console_loss_percent: "Loss to console", dns_ms: "Name lookup", telemetry_bytes: "Telemetry",
    lessons_missing: "Lessons missing", reports_limited: "Reports held back", readings_implausible: "Readings beyond belief",
  },
  deviceTab: { events: "Events" },
  deviceEvent: { booted: "Power-up", usb: "USB device", app: "Program", tamper: "Tampering", player_error: "Player error", clock_step: "Clock step", link: "Link", storage: "Disk fault", bandwidth: "Bandwidth test", other: "Other" },
  eventSays: {
    booted: "Powered up; before: {reason}", bootedOff: " (off for {time})",
    usb: { attached: "USB device {ids} plugged in ({classes})", detached: "USB device {ids} pulled out", other: "USB device {ids} changed" },
    app: { started: "Program {app} started", ended: "Program {app} ended", other: "Program {app}" },
    firstIndex: "first start, there was no index yet", unlisted: "not on the list",
    tamper: { case_opened: "Case opened", pin_tries: "Technician's PIN tried too often", local_api: "Another page tried the board's API", file_changed: "A file of the agent was changed", other: "Tampering" },
    player_error: "Could not play: {code} (no. {count})", clock_step: "Clock stepped by {seconds} s, by {by}", link: { up: "Link up", down: "Link down" },
    storage: { read_only: "Disk became read-only", corrupt: "A lesson file was damaged and set aside", index_rebuilt: "Index rebuilt", write_failed: "A write failed", other: "Disk fault" },
    bandwidth: "Bandwidth test: down {down}, up {up}", bandwidthFailed: "Bandwidth test without a figure: {why}", other: "A kind that this version does not know",
  },
  clockBy: { console: "console", ntp: "NTP", rtc: "hardware clock", hand: "hand", peer: "another board" },
  usbClass: { storage: "storage", hid: "keyboard or mouse", hub: "hub", audio: "audio", video: "video", other: "other" },
  events: { kind: "Kind of event", all: "All events", none: "No event in this time", noneText: "Power-ups, USB devices, programs, disk and clock changes show here.", late: "came in {at}", more: "Earlier", technical: "As it came" },
  liveness: { online: "Online", offline: "Offline", off: "Switched off", unknown: "Unknown" },
  livenessWhy: { connected: "connected", lost: "lost though it should be there", after_hours: "switched off after school", never_heard: "never heard of", not_watched: "the console was not running", broker_down: "the broker is down", line_down: "the school's line is down", silent: "connected but silent" },
  fleetCard: { title: "Devices now", reason: "{state} ({why}): {count}", off: "switched off by the timetable; no fault", unknown: "cannot be told just now; no fault", why: "Why", incidents: "Open incidents", allIncidents: "All incidents", noIncidents: "No open incident", orders: "Open work orders", late: "{count} of them late" },
  asset: {
    owner: "Owner", builder: "Builder", maintainer: "Maintainer",
  },
};
export default en;
