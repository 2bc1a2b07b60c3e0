/**
 * The fault code (诊断二维码) that a board shows when something is wrong: read here in the browser, so that a photo is enough and
 * nothing is sent to anybody. The shape is `contract::diag::Diagnosis`; its short names are spelled out on the way in.
 */

/** Most bytes of JSON that a code holds. */
export const MAX_DIAG_BYTES = 900;

export interface Diagnosis {
  device: string;
  serial: string;
  board: string;
  agent: string;
  at: string | null;
  clockTrusted: boolean;
  uptimeS: number;
  online: boolean;
  consoleSeenS: number | null;
  linkMbps: number | null;
  address: boolean;
  cpuPercent: number | null;
  memoryMib: number | null;
  diskFreeMib: number | null;
  emmcWearPercent: number | null;
  celsius: number | null;
  ready: number;
  arriving: number;
  failed: number;
  waitingSamples: number;
  membership: string;
  errors: string[];
  faultsWaiting: number;
}

/** Why a text is no fault code: it begins otherwise, is damaged, or too long. */
export type DiagFault = "beginning" | "damaged" | "long";
export type Decoded = { ok: true; diagnosis: Diagnosis } | { ok: false; fault: DiagFault };

const bad = (fault: DiagFault): Decoded => ({ ok: false, fault });

/** Reads `<address>/diag#1.…`, `#1.…` or `BBT1.…`. */
export function decodeDiag(given: string): Decoded {
  const body = /(?:^BBT1\.|\/diag#1\.|^#?1\.)([\w-]+={0,2})$/.exec(given.trim())?.[1];
  if (!body) return bad(/(?:^BBT1\.|\/diag#1\.|^#1\.)/.test(given.trim()) ? "damaged" : "beginning");
  if (body.length > MAX_DIAG_BYTES * 2) return bad("long");
  let raw: Record<string, unknown>;
  try {
    const bytes = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    if (bytes.length > MAX_DIAG_BYTES) return bad("long");
    const found: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (found === null || typeof found !== "object" || Array.isArray(found)) return bad("damaged");
    raw = found as Record<string, unknown>;
  } catch {
    return bad("damaged");
  }
  const text = (key: string): string => (typeof raw[key] === "string" ? (raw[key] as string).slice(0, 200) : "");
  const number = (key: string): number | null => (typeof raw[key] === "number" && Number.isFinite(raw[key]) ? (raw[key] as number) : null);
  const lessons = Array.isArray(raw.L) ? raw.L.map((n) => (typeof n === "number" ? n : 0)) : [];
  return {
    ok: true,
    diagnosis: {
      device: text("d"), serial: text("s"), board: text("b"), agent: text("v"), at: text("t") || null, clockTrusted: raw.c === true,
      uptimeS: number("u") ?? 0, online: raw.o === true, consoleSeenS: number("n"), linkMbps: number("l"), address: raw.a === true,
      cpuPercent: number("p"), memoryMib: number("m"), diskFreeMib: number("f"), emmcWearPercent: number("w"), celsius: number("h"),
      ready: lessons[0] ?? 0, arriving: lessons[1] ?? 0, failed: lessons[2] ?? 0, waitingSamples: number("q") ?? 0, membership: text("e"),
      errors: Array.isArray(raw.E) ? raw.E.filter((e): e is string => typeof e === "string").slice(0, 8).map((e) => e.slice(0, 60)) : [],
      faultsWaiting: number("r") ?? 0,
    },
  };
}

/** What to look at first, most telling first; empty: nothing stands out. Each is a key of `diag.advice`. */
export function findings(d: Diagnosis): string[] {
  const out: string[] = [];
  if (d.membership) out.push("membership");
  if (d.linkMbps === null && !d.online && !d.address) out.push("cable");
  else if (!d.address) out.push("address");
  else if (!d.online) out.push("console");
  if (!d.clockTrusted) out.push("clock");
  if (d.diskFreeMib !== null && d.diskFreeMib < 1024) out.push("disk");
  if (d.celsius !== null && d.celsius >= 80) out.push("hot");
  if (d.memoryMib !== null && d.memoryMib < 200) out.push("memory");
  if (d.emmcWearPercent !== null && d.emmcWearPercent >= 80) out.push("worn");
  if (d.linkMbps !== null && d.linkMbps < 100) out.push("slowLink");
  if (d.failed > 0) out.push("lessons");
  return out;
}
