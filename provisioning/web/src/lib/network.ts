/** What a device says of its line, sorted for eyes. */

import type { DeviceTraffic, NetworkReport } from "@/api/network";

/** Which addresses it has; the key of a word. */
export function addresses(report: Pick<NetworkReport, "ipv4" | "ipv6">): "both" | "v4" | "v6" | "noAddress" {
  if (report.ipv4 && report.ipv6) return "both";
  return report.ipv4 ? "v4" : report.ipv6 ? "v6" : "noAddress";
}

/** Whether something answered; a device that did not look says nothing, which is not "no". */
export const answered = (word: boolean | null | undefined): "answers" | "silent" | "unknown" => (word === null || word === undefined ? "unknown" : word ? "answers" : "silent");

/** What went over the school's line (or its own network) in a stretch, by what it was for. What came in beyond the known is "other". */
export function classes(t: DeviceTraffic): { key: "lessons" | "lan" | "given" | "telemetry" | "other"; bytes: number }[] {
  const known = t.lessons_line_bytes + t.lessons_lan_bytes + t.lessons_given_bytes + t.telemetry_bytes;
  return [
    { key: "lessons", bytes: t.lessons_line_bytes },
    { key: "lan", bytes: t.lessons_lan_bytes },
    { key: "given", bytes: t.lessons_given_bytes },
    { key: "telemetry", bytes: t.telemetry_bytes },
    // Counters of different parts are read at different moments: the rest is never less than nothing.
    { key: "other", bytes: Math.max(0, t.rx_bytes + t.tx_bytes - known) },
  ];
}
