import type zhCN from "../zh-CN/lines";

/** What schools' lines carry. */
const en: typeof zhCN = {
  page: { bandwidth: "Bandwidth" },
  right: {
    bandwidth: {
      read: "See bandwidth tests", rules_read: "See bandwidth rules", follow_read: "See which bandwidth rules a region follows", follow: "Set which bandwidth rules a region follows", test: "Test a school's line", rules: "Change bandwidth rules and how tests are planned",
    },
  },
  lineVerdict: { met: "Met", not_met: "Not met", port_cannot_prove: "Ports cannot prove it", no_target: "No target", no_figures: "Unknown" },
  lineCause: { schedule: "by schedule", doubt: "again, after a doubt", operator: "by hand" },
  lineDoubt: { board_missing: "a board gave no figure", out_of_step: "a board did not begin with the others", other_traffic: "boards had other traffic", near_target: "very near to the target", unlike_last: "far from the test before" },
  lineFailed: { class_began: "class began; stopped", playing: "was playing a lesson", no_route: "no way to the console", timeout: "timed out", refused: "the console did not take it", exam: "in an exam" },
  linkKind: { wired: "cable", wireless: "Wi-Fi", mobile: "mobile", none: "none" },
  bandwidth: {
    note: "Measured off hours, one verdict a school and month; where one port is too slow, several boards measure together",
    code: "School code", search: "School or code", doubtfulTests: "Doubtful", month: "Month", verdict: "Verdict", anyVerdict: "All verdicts", count: "{count} schools",
    down: "Down", up: "Up", downShort: "Down, Mbit/s", upShort: "Up, Mbit/s", downOf: "Down / target", upOf: "Up / target",
    tests: "Tests", doubtful: "{count} in doubt", testedAt: "By the test of",
    start: "Test now", startTitle: "Test the line of {school}", startText: "A test fills the school's line for about half a minute. It never runs in class hours or exams; if it must run in class, choose “In class, too”.", startNow: "Test", startForced: "In class, too", started: "Ordered",
    rows: "Evidence", none: "No school", noneText: "Try another region or month.",
    of: "{school} · {month}", rate: "{rate} Mbit/s", test: "Test", noTests: "No test in this month yet.", running: "under way", runningText: "Under way; known by {at} at the latest.",
    against: "target {target} Mbit/s", noTarget: "no target", payload: "payload {rate} Mbit/s",
    quote: "By “{quote}” (rules version {version}, {tolerance}% tolerance)", ports: "Ports that took part: {mbps} Mbit/s in all", portsUnknown: "The speed of a port is not known",
    doubts: "This verdict is in doubt; it is tested again", boards: "Boards that took part ({count}; {seconds} s each way, {streams} connections each)",
    port: "Port", other: "Other traffic", rtt: "Round trip", inStep: "In step", yes: "yes", no: "no",
    evidence: "Evidence of this month",
    settings: "How tests are planned", saved: "Saved",
    set: { uplink: "Of the console's own line, at most (Mbit/s)", uplinkText: "Left empty, nothing is tested by itself.", schools_at_once: "Schools at a time", every_days: "Each school every (days)", seconds: "Seconds each way", streams: "Connections a board", boards_at_once: "Boards at a time" },
  },
};
export default en;
