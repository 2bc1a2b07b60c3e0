import type zhCN from "../zh-CN/worksettings";

/** Times allowed, areas, parts, bandwidth rules, escalation by region, inspections by hand, new equipment, a device's network. */
const en: typeof zhCN = {
  page: { orderSettings: "Order settings", bandwidthRules: "Bandwidth rules" },
  orderSettings: { note: "How long each kind of order may take, who looks after which schools, how many parts are left", tab: { slas: "Times allowed", areas: "Areas", parts: "Spare parts" } },
  sla: {
    region: "Region", note: "What is not set here is as the region above has it. Class hours count the timetable's periods only, not evenings, weekends or holidays.",
    class: "Class", urgency: { urgent: "Urgent (no class)", normal: "Others" }, own: "From", ownHere: "This region", ownAbove: "Above or built in",
    clock: "By which clock", clocks: { class: "Class hours", wall: "Wall clock" }, respond: "Response (minutes)", repair: "Repair (minutes)",
    set: "Set for this region", tooShort: "A repair cannot be allowed less than the response.", save: "Save times", saved: "Saved; they hold from now on", changed: "Not saved yet",
  },
  areas: {
    note: "An area gives schools to people: new orders are told to the first tier, what is late climbs. A school is in one area at most.",
    new: "New area", edit: "Change area", name: "Name", region: "Region", vendor: "Maintainer", schools: "Schools", schoolCount: "{count} schools", people: "Who", nobody: "Nobody yet",
    tier: "Told", tiers: { t0: "first", t1: "when late", t2: "when later", t3: "last" }, account: "Account (user name)", addPerson: "Add somebody", removePerson: "Take {name} out",
    leaves: "These schools leave the area they are in: {schools}", none: "No area yet", noneText: "Once there are, orders go to their area by themselves, and technicians see their own area's orders only.",
    saved: "Area saved", remove: "Remove", removeSure: "Remove the area “{name}”? Nobody looks after its schools then, and its open orders are in no area.", removed: "Removed", without: "{count} schools are in no area",
  },
  parts: {
    note: "County and townships keep stocks of their own; parts are used from an order, and bought, counted and thrown away here.",
    code: "Code", name: "Name", unit: "Unit", stock: "Stock", lowAt: "Buy at", region: "Whose", low: "Buy", onlyLow: "Only what to buy", none: "No parts yet", noneText: "Once entered, technicians can use them from an order.",
    noMatch: "Nothing to buy", new: "Enter a part", made: "Entered", move: "In or out", moveOf: "{name}: in or out", change: "Change (in: positive, out: negative)", after: "{stock} {unit} afterwards", below: "There are not so many", reason: "Why", moved: "Changed", opening: "How many there are", count: "{count} kinds",
  },
  bandRules: {
    note: "Targets come from the regions' documents; rules have versions, and older verdicts keep theirs", button: "Bandwidth rules",
    follows: "Which rules each region follows", followsText: "Without a word of its own a region follows the one above; without any, only the contract counts.", region: "Region", own: "Set here", inherit: "As the region above", effective: "In effect", contract: "Contract only", followed: "Set",
    sets: "Rules (version {version}, {tolerance}% tolerance)", set: "Rules", source: "Source", years: "Demands", year: "from {year}", rate: "down {down}, up {up} Mbit/s", access: "access {access}%", noRate: "no rate: the contract counts",
    new: "New rules", edit: "Change rules", remove: "Remove", removeSure: "Remove the rules “{name}”? A region that follows them must follow others first.",
    id: "Id", idHint: "Small letters, digits and hyphens; cannot be changed later", name: "Name", fromYear: "From year", down: "Down Mbit/s", up: "Up Mbit/s", accessPercent: "Access %", denominator: "Of which schools", quote: "Words of the document", addYear: "Add a year", removeYear: "Take {year} out",
    tolerance: "Tolerance", toleranceText: "Measuring errs: so much below the target still meets it (0–10%).", saved: "Version {version} of the rules holds now", save: "Save as a new version", none: "No rules yet", sameYear: "Each year stands once.",
  },
  escalate: {
    place: "Where", everywhere: "Everywhere (where nothing else is set)", builtIn: "built in", add: "Set for a region", never: "never", minutes: "{count} min", remove: "Remove", removed: "{place}: removed, what is set above holds", change: "Change", title: "When the next tier is told", zero: "0: never.", saved: "Saved; it holds from now on",
  },
  inspect: {
    title: "Record an inspection", note: "Note each point that you look at; leave out what you did not see.", room: "Classroom", rest: "All others in order", value: "What you saw (optional)", result: "Result of {point}", chosen: "{count} points noted", order: "Order {id}", save: "Record", saved: "Recorded", savedOrder: "Recorded, and an order was opened", look: "See the order",
  },
  assetNew: { title: "Enter equipment", made: "Entered", wholeSchool: "In no classroom (the school's)", interactiveText: "Can be touched, interactive" },
  alertRule: {
    school_lost: "School lost as a whole", offline: "Board offline", disk_full: "Lessons' disk nearly full", emmc_reserve: "Storage chip runs out of reserve blocks", emmc_worn: "Storage chip nearly worn out", disk_worn: "Disk nearly worn out", disk_sectors: "Bad sectors on the disk", hot: "Too hot", memory_short: "Short of memory", busy: "Processor busy for long", line_lossy: "Loss on the way to the console", wifi_weak: "Weak Wi-Fi", port_slow: "Slow network port", lessons_failed: "Lessons cannot be completed", outbox_long: "Reports pile up on the board", reports_limited: "Reports too often", readings_implausible: "Readings that cannot be true", disk_read_only: "Disk became read-only", disk_failing: "Writes to the disk fail", files_corrupt: "Lesson files corrupt", crashes: "Crashes again and again", watchdog: "Restarted by the watchdog again and again", overheated: "Shut down by heat", player_failing: "Player fails again and again", case_opened: "Case opened", pin_tries: "Technician's PIN tried too often", agent_changed: "Agent's files changed", usb_unlisted: "USB device not allowed", app_unlisted: "Program not allowed",
  },
  network: {
    tab: "Network", link: "Link", port: "Port speed", addresses: "Addresses", both: "IPv4 and IPv6", v4: "IPv4 only", v6: "IPv6 only", noAddress: "none", metered: "paid by volume",
    gateway: "Gateway", dns: "Name service", console: "To the console", answers: "answers", silent: "does not answer", unknown: "unknown", rtt: "{ms} ms", loss: "{percent} lost", wifi: "Wi-Fi signal",
    at: "As of {at}", old: "The device is not online; this is what it said last.", never: "The device has not told of its network yet.", traffic: "Traffic", lastHours: "last {count} hours", lastDays: "last {count} days", in: "In, all told", out: "Out, all told",
    class: { lessons: "Lessons (line)", lan: "Lessons (from own school)", given: "Lessons (given to own school)", telemetry: "Telemetry", other: "Other" }, note: "Lessons between boards of one school do not use its line; “other” is what other programs and the system fetch.", history: "Over time",
  },
  reportOwn: "You handed it in; somebody else has to judge it.",
  incidentOrder: { title: "Work orders", none: "No order yet.", forIt: "for this incident", onBoards: "other orders on the boards affected", made: "Order opened; it and the incident name each other", school: "Which school", schoolText: "Several schools are affected; each has an order of its own.", text: "{incident}: {cause}, {open} not back of {all}.", from: "From incident", told: "Messages" },
};
export default en;
