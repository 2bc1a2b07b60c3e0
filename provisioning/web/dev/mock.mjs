// A stand-in console for working on the pages: SPEC-shaped answers from memory, serving dist/ under the real CSP.
//   node dev/mock.mjs            two schools, a few dozen devices, lessons arriving
//   MOCK=empty node dev/mock.mjs a county on its first day
//   MOCK=restored …              put back from an older copy, and no backup since
//   MOCK_DEVICES=5000 …          a whole county with coordinates
// Any user name signs in with the password "demo-demo"; some names choose other rights, see mock-people.mjs.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { backup } from "./mock-backup.mjs";
import { catalogue } from "./mock-catalogue.mjs";
import { enrol } from "./mock-enrol.mjs";
import { county, lists } from "./mock-lists.mjs";
import { assets, figures, fleet, reports } from "./mock-figures.mjs";
import { ops } from "./mock-ops.mjs";
import { orders } from "./mock-orders.mjs";
import { people } from "./mock-people.mjs";
import { settings } from "./mock-settings.mjs";
import { teaching } from "./mock-teaching.mjs";

const PORT = Number(process.env.PORT ?? 8090);
const EMPTY = process.env.MOCK === "empty";
const TROUBLED = process.env.MOCK === "restored";
/** The built page; another folder while somebody else embeds dist/. */
const DIST = process.env.MOCK_DIST ?? fileURLToPath(new URL("../dist", import.meta.url));
const CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; frame-ancestors 'none'";
const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const iso = (msAgo = 0) => new Date(Date.now() - msAgo).toISOString();
let seed = 7;
const rand = () => ((seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648);
const hex = (n) => Array.from({ length: n }, () => Math.floor(rand() * 16).toString(16)).join("");

const regions = EMPTY ? [] : [
  { id: 1, parent_id: null, kind: "county", name: "青山县" },
  { id: 2, parent_id: 1, kind: "township", name: "云溪镇" },
  { id: 3, parent_id: 1, kind: "township", name: "石门乡" },
];
const schools = EMPTY ? [] : [
  { id: 1, region_id: 2, code: "3145000101", name: "云溪镇中心小学", kind: "school", contracted_down_mbps: 100, contracted_up_mbps: 30, latitude: 25.412, longitude: 110.318 },
  { id: 2, region_id: 3, code: "3145000102", name: "石门乡大坪教学点", kind: "teaching_point", contracted_down_mbps: 20, contracted_up_mbps: 4, latitude: 25.503, longitude: 110.402 },
];
const grades = ["一年级", "二年级", "三年级", "四年级", "五年级", "六年级"];
const classrooms = EMPTY ? [] : [
  ...grades.flatMap((g, i) => [1, 2, 3, 4].map((n) => ({ id: i * 4 + n, school_id: 1, code: `${i + 1}0${n}`, name: `${g}（${n}）班`, grade: g, class: `${n}班`, owner: "云溪镇中心小学", builder: "县电教馆", maintainer: "恒讯科技", equipment: n % 2 ? "希沃一体机 86 寸（2021）、实物展台" : "投影机、电子白板" }))),
  { id: 30, school_id: 2, code: "1", name: "复式一班", grade: "一年级" },
  { id: 31, school_id: 2, code: "2", name: "复式二班", grade: "三年级" },
  { id: 32, school_id: 2, code: "3", name: "接收教室", grade: "" },
];
const meta = (title, subject, grade, chapter, period = "第1课时", volume = "上册") => ({ title, stage: "小学", subject, edition: "人教版", grade, volume, chapter, period });
const lesson = (id, m, size, items, days, version = 1) => ({ id, version, meta: m, item_count: items, item_kinds: ["video", "pdf"], size_bytes: Math.round(size), retired_at: null, created_at: iso(days * 86400e3), owner: { kind: "region", id: 1, name: "青山县" }, review_state: id === "sci-4-sound" ? "first" : "released", released_version: id === "sci-4-sound" ? null : version, withdrawn_up_to: null });
const lessons = EMPTY ? [] : [
  lesson("math-3-multiple", meta("倍的认识", "数学", "三年级", "第五单元 倍的认识"), 148 * MiB, 4, 0.1, 2),
  lesson("cn-3-autumn", meta("秋天的雨", "语文", "三年级", "第二单元"), 96.4 * MiB, 3, 2),
  lesson("sci-4-sound", meta("声音的产生", "科学", "四年级", "第一单元 声音"), 212 * MiB, 5, 3),
  lesson("en-5-school", meta("What's he like?", "英语", "五年级", "Unit 1"), 44 * MiB, 3, 5),
  lesson("music-1-lark", meta("云雀之歌", "音乐", "一年级", "第三课"), 18.2 * MiB, 2, 8),
  lesson("math-4-triangle", meta("三角形的内角和", "数学", "四年级", "第五单元 三角形", "第2课时", "下册"), 131 * MiB, 4, 9),
];
const LESSON_OF = new Map(lessons.map((l) => [l.id, l]));

const devices = EMPTY ? [] : classrooms.filter((c) => c.id !== 32).map((c, i) => {
  const state = i === 4 || i === 17 ? "offline" : i === 22 ? "unknown" : "online";
  return {
    id: `bbt-${hex(8)}`, serial: `QS2026${String(1100 + i)}`, board: i % 3 ? "x86-ops-c" : "rk3568-tv-rev-b", agent_version: "0.1.0", standing: i === 17 ? "stolen" : "active",
    classroom_id: c.id, state, last_seen_at: state === "unknown" ? null : iso(state === "offline" ? 3.2 * 3600e3 + i * 1e6 : rand() * 40e3), enrolled_at: iso((3 + i / 10) * 86400e3),
    wanted_generation: 4, held_generation: state === "online" ? 4 : 3, disk_total_bytes: 58 * GiB, disk_free_bytes: i === 9 ? 0.9 * GiB : (20 + rand() * 20) * GiB,
    cpu_percent: 4 + rand() * 40, memory_percent: 35 + rand() * 30, temperature_celsius: i === 6 ? 81.5 : 43 + rand() * 14, player_urls: [`http://192.168.1.${20 + i}:8008/`],
    held: [
      { lesson_id: "math-3-multiple", state: i === 9 ? "failed" : state !== "online" ? "queued" : i % 4 === 1 ? "fetching" : "ready", done: i % 4 === 1 ? 0.3 + rand() * 0.5 : 0 },
      { lesson_id: "cn-3-autumn", state: "ready", done: 1 },
      ...(i % 5 === 0 ? [{ lesson_id: "sci-4-sound", state: i === 0 ? "fetching" : "ready", done: 0.42 }] : []),
    ],
  };
});
if (!EMPTY) county({ regions, schools, classrooms, devices, count: Number(process.env.MOCK_DEVICES ?? 0), iso, rand, hex, GiB });
const roomOf = (id) => classrooms.find((c) => c.id === id);
const schoolOf = (id) => schools.find((s) => s.id === id);
const regionOf = (id) => regions.find((r) => r.id === id);
function under(regionId) {
  const out = [regionId];
  for (let i = 0; i < out.length; i += 1) out.push(...regions.filter((r) => r.parent_id === out[i]).map((r) => r.id));
  return out;
}
const lessonRows = (d) => d.held.map((h) => {
  const l = LESSON_OF.get(h.lesson_id);
  return { lesson_id: l.id, title: l.meta.title, version: l.version, assigned: true, state: h.state, done_bytes: Math.round(h.state === "ready" ? l.size_bytes : l.size_bytes * h.done), total_bytes: Math.round(l.size_bytes), reason: h.state === "failed" ? "disk_full" : null, detail: h.state === "failed" ? "need 155189248 bytes, 12582912 left above the reserve" : null, retrying: h.state === "failed" ? true : null };
});
function summary(d) {
  const room = roomOf(d.classroom_id);
  const school = schoolOf(room.school_id);
  const rest = { ...d, held: undefined };
  const rows = lessonRows(d);
  return { ...rest, classroom: room.name, school: school.name, school_id: school.id, region: regionOf(school.region_id).name, region_id: school.region_id, lessons_ready: rows.filter((l) => l.state === "ready").length, lessons_failed: rows.filter((l) => l.state === "failed").length, lessons_assigned: rows.length };
}
const boots = (d) => [
  { boot_id: `${hex(8)}-${hex(4)}-4${hex(3)}-9${hex(3)}-${hex(12)}`, first_seen_at: iso(7 * 3600e3), samples: 420, contiguous_seq: 420, forgotten_up_to: 0 },
  { boot_id: `${hex(8)}-${hex(4)}-4${hex(3)}-9${hex(3)}-${hex(12)}`, first_seen_at: iso(31 * 3600e3), samples: 1106, contiguous_seq: 1106, forgotten_up_to: 0 },
  ...(d.state === "offline" ? [{ boot_id: hex(32), first_seen_at: iso(60 * 3600e3), samples: 300, contiguous_seq: 388, forgotten_up_to: 88 }] : []),
];
let health_boot = hex(32);
function health(d, from, to, max) {
  const all = [];
  const step = Math.max(60e3, (to - from) / max);
  let seq = 1;
  for (let at = from; at < to; at += step) {
    const hour = (Date.now() - at) / 3600e3;
    if ((hour > 11 && hour < 13.5) || (hour < 0.55 && hour > 0.4)) continue;
    if (d.state !== "online" && hour < 3) continue;
    const wave = Math.sin(at / 4e6) * 12;
    all.push({ at: new Date(at).toISOString(), boot_id: health_boot, seq: seq++, readings: {
      cpu_percent: Math.max(1, 22 + wave + rand() * 18), load_1m: 0.6, memory_total_bytes: 4 * GiB, memory_available_bytes: (2.1 - wave / 60 + rand() * 0.1) * GiB,
      memory_pressure_percent: rand() * 1.5, io_pressure_percent: Math.max(0, wave / 3 + rand() * 3), disk_total_bytes: 58 * GiB, disk_free_bytes: (31 - hour / 20) * GiB,
      temperature_celsius: 50 + wave / 2 + rand() * 2, network_rx_bytes: Math.round(step / 1000 * (20e3 + Math.max(0, wave) * 90e3 * rand())), network_tx_bytes: Math.round(step / 1000 * 6e3 * rand()), link_mbps: 100, agent_rss_bytes: 17 * MiB } });
  }
  return { points: all, total: Math.round((to - from) / 60e3), downsampled: step > 60e3 };
}
const commands = new Map();
if (devices[0]) commands.set(devices[0].id, [
  { id: `c-${hex(8)}`, body: { kind: "notice", level: "standard", title: "下午两点停电检修", text: "请在 13:50 前保存课件并关机。", show_for_s: 300 }, state: "succeeded", reason: null, issued_by: "admin", issued_at: iso(40 * 60e3), expires_at: iso(30 * 60e3), updated_at: iso(39.8 * 60e3), history: [{ state: "queued", at: iso(40 * 60e3) }, { state: "accepted", at: iso(39.95 * 60e3) }, { state: "succeeded", at: iso(39.8 * 60e3) }] },
  { id: `c-${hex(8)}`, body: { kind: "lock", reason: "更换灯泡，下午恢复" }, state: "succeeded", reason: null, issued_by: "zhang", issued_at: iso(20 * 60e3), expires_at: iso(10 * 60e3), updated_at: iso(19.9 * 60e3), history: [{ state: "queued", at: iso(20 * 60e3) }, { state: "succeeded", at: iso(19.9 * 60e3) }] },
  { id: `c-${hex(8)}`, body: { kind: "power_off", delay_s: 60, force: false, reason: "" }, state: "failed", reason: "class_hours", issued_by: "admin", issued_at: iso(3 * 3600e3), expires_at: iso(2.8 * 3600e3), updated_at: iso(2.9 * 3600e3), history: [{ state: "queued", at: iso(3 * 3600e3) }, { state: "failed", at: iso(2.9 * 3600e3) }] },
  { id: `c-${hex(8)}`, body: { kind: "collect_logs", hours: 24 }, state: "succeeded", reason: null, issued_by: "admin", issued_at: iso(5 * 3600e3), expires_at: iso(4.8 * 3600e3), updated_at: iso(4.9 * 3600e3), logs: { total_bytes: 734003, have_bytes: 734003, complete: true, until: iso(-13 * 24 * 3600e3) }, history: [{ state: "queued", at: iso(5 * 3600e3) }, { state: "succeeded", at: iso(4.9 * 3600e3) }] },
  { id: `c-${hex(8)}`, body: { kind: "reboot", delay_s: 60 }, state: "expired", reason: null, issued_by: "admin", issued_at: iso(26 * 3600e3), expires_at: iso(25.8 * 3600e3), updated_at: iso(25.8 * 3600e3), history: [{ state: "queued", at: iso(26 * 3600e3) }, { state: "expired", at: iso(25.8 * 3600e3) }] },
]);
const pushes = EMPTY ? [] : [
  { id: 3, lesson_ids: ["math-3-multiple"], target: { kind: "region", id: 1 }, pinned: false, needed_by: null, created_at: iso(11 * 60e3), created_by: "admin", withdrawn_at: null },
  { id: 2, lesson_ids: ["cn-3-autumn"], target: { kind: "school", id: 1 }, pinned: true, needed_by: iso(-20 * 3600e3), created_at: iso(2 * 86400e3), created_by: "admin", withdrawn_at: null },
  { id: 1, lesson_ids: ["sci-4-sound", "en-5-school"], target: { kind: "classroom", id: 32 }, pinned: false, needed_by: null, created_at: iso(3 * 86400e3), created_by: "wang", withdrawn_at: null },
];
const covers = (target) => devices.filter((d) => {
  const room = roomOf(d.classroom_id);
  if (target.kind === "device") return d.id === target.id;
  if (target.kind === "classroom") return room.id === Number(target.id);
  if (target.kind === "school") return room.school_id === Number(target.id);
  return under(Number(target.id)).includes(schoolOf(room.school_id).region_id);
});
const nameOf = ({ kind, id }) => kind === "region" ? regionOf(Number(id))?.name : kind === "school" ? schoolOf(Number(id))?.name : kind === "classroom" ? `${schoolOf(roomOf(Number(id)).school_id).name} ${roomOf(Number(id)).name}` : summary(devices.find((d) => d.id === id)).classroom;
const pushRows = (p) => covers(p.target).map((d) => {
  const rows = p.lesson_ids.map((id) => lessonRows(d).find((l) => l.lesson_id === id) ?? { state: "waiting", done_bytes: 0, total_bytes: LESSON_OF.get(id).size_bytes });
  const state = ["failed", "fetching", "queued", "waiting"].find((s) => rows.some((r) => r.state === s)) ?? "ready";
  const bad = rows.find((r) => r.state === "failed");
  return { device: summary(d), state, done_bytes: rows.reduce((n, r) => n + r.done_bytes, 0), total_bytes: rows.reduce((n, r) => n + r.total_bytes, 0), lessons_ready: rows.filter((r) => r.state === "ready").length, lessons_total: rows.length, reason: bad?.reason ?? null, detail: bad?.detail ?? null };
});
function pushView(p) {
  const rows = pushRows(p);
  const count = (s) => rows.filter((r) => r.state === s).length;
  return { id: p.id, lessons: p.lesson_ids.map((id) => ({ id, title: LESSON_OF.get(id).meta.title, version: LESSON_OF.get(id).version, retired: false })), target: p.target, target_name: nameOf(p.target), pinned: p.pinned, needed_by: p.needed_by, created_at: p.created_at, created_by: p.created_by, withdrawn_at: p.withdrawn_at,
    totals: { devices: rows.length, ready: count("ready"), fetching: count("fetching"), queued: count("queued"), failed: count("failed"), waiting: count("waiting") }, bytes_done: rows.reduce((n, r) => n + r.done_bytes, 0), bytes_total: rows.reduce((n, r) => n + r.total_bytes, 0) };
}
const tickets = EMPTY ? [] : [
  { id: 4, classroom_id: null, school_id: 1, serial: "QS20262001", created_at: iso(600e3), expires_at: iso(-71 * 3600e3), used_at: null, revoked_at: null, device_id: null },
  { id: 3, classroom_id: 32, created_at: iso(3600e3), expires_at: iso(-70 * 3600e3), used_at: null, revoked_at: null, device_id: null, batch_id: 2 },
  { id: 2, classroom_id: 31, created_at: iso(50 * 3600e3), expires_at: iso(-22 * 3600e3), used_at: iso(48 * 3600e3), revoked_at: null, device_id: devices.at(-1)?.id },
  { id: 1, classroom_id: 30, created_at: iso(200 * 3600e3), expires_at: iso(128 * 3600e3), used_at: null, revoked_at: null, device_id: null },
];
const page = (rows, q) => {
  const n = Number(q.get("page") ?? 1);
  const size = Number(q.get("page_size") ?? 20);
  return { items: rows.slice((n - 1) * size, n * size), total: rows.length, page: n, page_size: size };
};

const streams = new Set();
const tell = (kind, id) => streams.forEach((s) => s.write(`event: ${kind}\ndata: ${JSON.stringify({ id })}\n\n`));
setInterval(() => {
  for (const d of devices) for (const h of d.held) if (h.state === "fetching") {
    h.done = Math.min(1, h.done + 0.004);
    if (h.done === 1) h.state = "ready";
    tell("device", d.id);
  }
  tell("push", 3);
}, 2000);

const routes = [];
const on = (method, path, handler) => routes.push({ method, pattern: new RegExp(`^${path.replace(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`), handler });
const problem = (status, code, message, detail = "") => ({ status, body: { type: "about:blank", title: "", status, code, message, detail, request_id: `01J${hex(10).toUpperCase()}` } });
const ok = (body, status = 200) => ({ status, body });
let signed = new Set();

backup({ on, ok, iso, empty: EMPTY, troubled: TROUBLED, schools, classrooms, devices });
settings({ on, ok, problem, iso, rand, empty: EMPTY, regions, schools, classrooms, devices });
people({ on, ok, problem, page, iso, hex, tell, empty: EMPTY, regions, schools, devices });
catalogue({ on, ok, problem, page, iso, hex, empty: EMPTY, lessons, schools, classrooms, devices, lessonOf: (id) => LESSON_OF.get(id) });
teaching({ on, ok, problem, page, iso, hex, tell, empty: EMPTY, regions, schools, classrooms, devices, lessons, lessonOf: (id) => LESSON_OF.get(id), under });
const shared = { orders: [], incidents: [] };
ops({ on, ok, problem, page, iso, hex, tell, shared, empty: EMPTY, regions, schools, classrooms, devices });
assets({ on, ok, page, iso, empty: EMPTY, schools, classrooms, devices });
fleet({ on, ok, iso, hex, rand, empty: EMPTY, devices });
reports({ on, ok, problem, page, iso, hex, empty: EMPTY, schools, classrooms, devices });
figures({ on, ok, problem, page, iso, hex, rand, empty: EMPTY, regions, schools, classrooms, devices });
orders({ on, ok, problem, page, iso, hex, tell, shared, empty: EMPTY, schools, classrooms, devices });
enrol({ on, ok, problem, iso, hex, tell, empty: EMPTY, classrooms, schools, devices, tickets });
on("DELETE", "/api/v1/session", () => { signed = new Set(); return { status: 204 }; });
on("GET", "/api/v1/tree", () => ok({ regions: regions.map((r) => ({ ...r, schools: schools.filter((s) => s.region_id === r.id).map((s) => {
  const rooms = classrooms.filter((c) => c.school_id === s.id);
  const here = devices.filter((d) => rooms.some((c) => c.id === d.classroom_id));
  return { id: s.id, name: s.name, kind: s.kind, code: s.code, classrooms: rooms.length, devices: here.length, online: here.filter((d) => d.state === "online").length, offline: here.filter((d) => d.state === "offline").length, off: here.filter((d) => d.state === "off").length, unknown: here.filter((d) => d.state === "unknown").length, latitude: s.latitude ?? null, longitude: s.longitude ?? null };
}) })) }));
const next = (rows) => rows.reduce((n, r) => Math.max(n, r.id), 0) + 1;
on("POST", "/api/v1/regions", ({ json }) => { const r = { parent_id: null, ...json, id: next(regions) }; regions.push(r); return ok(r, 201); });
on("POST", "/api/v1/schools", ({ json }) => {
  if (schools.some((s) => s.code === json.code)) return problem(409, "school_code_taken", `学校标识码 ${json.code} 已被“${schools.find((s) => s.code === json.code).name}”使用。请核对后改用正确的标识码。`);
  const s = { ...json, id: next(schools) }; schools.push(s); return ok(s, 201);
});
on("POST", "/api/v1/classrooms", ({ json }) => { const c = { ...json, id: next(classrooms) }; classrooms.push(c); return ok(c, 201); });
for (const [noun, rows] of [["regions", regions], ["schools", schools], ["classrooms", classrooms]]) on("PATCH", `/api/v1/${noun}/{id}`, ({ params, json }) => ok(Object.assign(rows.find((r) => r.id === Number(params.id)), json)));
on("GET", "/api/v1/schools/{id}", ({ params }) => {
  const s = schoolOf(Number(params.id));
  if (!s) return problem(404, "school_unknown", "没有这所学校。");
  return ok({ ...s, classrooms: classrooms.filter((c) => c.school_id === s.id).map((c) => { return { ...c, devices: devices.filter((x) => x.classroom_id === c.id).map(summary) }; }) });
});
on("GET", "/api/v1/overview", () => {
  const all = devices.flatMap(lessonRows);
  const count = (s) => devices.filter((d) => d.state === s).length;
  return ok({ devices_total: devices.length, online: count("online"), offline: count("offline"), unknown: count("unknown"), lessons: lessons.length, pushes_active: pushes.filter((p) => !p.withdrawn_at).length, lessons_arriving: all.filter((l) => l.state === "fetching" || l.state === "queued").length, failed: all.filter((l) => l.state === "failed").length, samples_last_hour: count("online") * 60 });
});
on("GET", "/api/v1/setup", () => {
  const ready = devices.filter((d) => lessonRows(d).some((l) => l.state === "ready")).length;
  const released = lessons.filter((l) => l.released_version).length;
  const draft = lessons.find((l) => l.review_state !== "released");
  const steps = [["county", regions.length], ["places", classrooms.length], ["device", devices.length], ["lesson", released], ["push", ready]].map(([step, n]) => ({ step, done: n > 0 }));
  return ok({
    steps, next: steps.find((s) => !s.done)?.step ?? null, empty: regions.length === 0, regions: regions.length, schools: schools.length, classrooms: classrooms.length,
    devices_total: devices.length, devices_heard: devices.length, devices_ready: ready, tickets_open: tickets.length, lessons: lessons.length, lessons_released: released, pushes: pushes.length,
    waiting_lesson: draft ? { id: draft.id, title: draft.meta.title, state: draft.review_state, waits_for: "second" } : null,
    addresses: { devices_url: "https://console.qingshan.example:8443", mqtt: "console.qingshan.example:8883", web_url: "https://console.qingshan.example", local_only: EMPTY },
    further: [{ what: "people", done: !EMPTY }, { what: "backup", done: false }, { what: "channel", done: !EMPTY }],
  });
});
lists({ on, ok, problem, page, iso, hex, tell, empty: EMPTY, devices, schools, summary, under });
const deviceOr404 = (id, then) => { const d = devices.find((x) => x.id === id); return d ? then(d) : problem(404, "device_unknown", `没有编号为 ${id} 的终端。请从终端列表中重新选择。`); };
on("GET", "/api/v1/devices/{id}", ({ params }) => deviceOr404(params.id, (d) => ok({ ...summary(d), lessons: lessonRows(d), boots: boots(d), boot_id: null, samples_dropped: 0, misuse: d === devices[3] ? 1 : 0, controls: d === devices[3] ? null : { abilities: ["reboot", "notice", "test_bandwidth", "power_off", "screen", "volume", "mute", "lock", "collect_logs"], screen_on: true, volume: 60, muted: false, locked: d === devices[0] ? { reason: "更换灯泡，下午恢复", since: iso(20 * 60e3) } : null }, latest_at: d.last_seen_at, latest: {} })));
on("PATCH", "/api/v1/devices/{id}", ({ params, json }) => deviceOr404(params.id, (d) => { d.classroom_id = json.classroom_id; tell("device", d.id); return ok(summary(d)); }));
on("GET", "/api/v1/devices/{id}/health", ({ params, q }) => deviceOr404(params.id, (d) => ok(health(d, Date.parse(q.get("from")), Date.parse(q.get("to")), Number(q.get("max_points") ?? 500)))));
on("GET", "/api/v1/devices/{id}/commands", ({ params }) => ok(commands.get(params.id) ?? []));
on("POST", "/api/v1/devices/{id}/commands", ({ params, json }) => deviceOr404(params.id, (d) => {
  const c = { id: `c-${hex(8)}`, body: json.body, state: "queued", reason: null, issued_by: "admin", issued_at: iso(), expires_at: iso(-json.ttl_s * 1000), updated_at: iso(), history: [{ state: "queued", at: iso() }] };
  commands.set(d.id, [c, ...(commands.get(d.id) ?? [])]);
  if (d.state === "online") for (const [i, state] of ["accepted", "executing", "succeeded"].entries()) setTimeout(() => { c.state = state; c.updated_at = iso(); c.history.push({ state, at: iso() }); tell("device", d.id); }, 1500 * (i + 1));
  return ok(c, 201);
}));
on("GET", "/api/v1/lessons", ({ q }) => ok(page(lessons.filter((l) => (!q.get("subject") || l.meta.subject === q.get("subject")) && (!q.get("grade") || l.meta.grade === q.get("grade")) && (!q.get("q") || l.meta.title.includes(q.get("q")))), q)));
on("GET", "/api/v1/lessons/{id}", ({ params }) => {
  const l = LESSON_OF.get(params.id);
  if (!l) return problem(404, "lesson_unknown", "没有这节课，可能已经下架。");
  const file = (path, media_type, size) => ({ path, media_type, size_bytes: Math.round(size), hash: hex(64) });
  return ok({ ...l, versions: Array.from({ length: l.version }, (_, i) => ({ version: l.version - i, created_at: iso((i * 6 + 0.1) * 86400e3), size_bytes: l.size_bytes, manifest: hex(64), review_state: i ? "superseded" : l.review_state, uploaded_by: "liu.yang" })),
    items: [{ kind: "video", title: "微课：倍的认识", entry: "video.mp4", subtitles: [{ lang: "zh-CN", label: "中文", path: "video.zh-CN.vtt" }], duration_ms: 492000 }, { kind: "image", title: "主题图", entry: "picture.png", subtitles: [] }, { kind: "pdf", title: "学习任务单", entry: "task.pdf", subtitles: [] }, { kind: "html5", title: "摆一摆、圈一圈", entry: "game/index.html", subtitles: [] }, { kind: "office", title: "教学课件", entry: "slides.pptx", subtitles: [] }],
    files: [file("video.mp4", "video/mp4", 118 * MiB), file("video.zh-CN.vtt", "text/vtt", 3210), file("picture.png", "image/png", 1.2 * MiB), file("task.pdf", "application/pdf", 0.6 * MiB), file("game/index.html", "text/html", 9100), file("game/main.js", "text/javascript", 41000), file("slides.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", 8.4 * MiB)] });
});
on("POST", "/api/v1/lessons", () => problem(422, "lesson_file_refused", "“微课.mp4”不是视频文件：内容是 Windows 程序。请换成真正的 MP4 文件后重新上传。", "微课.mp4: sniffed application/x-msdownload, expected video/mp4"));
on("DELETE", "/api/v1/lessons/{id}", ({ params }) => { lessons.splice(lessons.findIndex((l) => l.id === params.id), 1); tell("lesson", params.id); return { status: 204 }; });
on("GET", "/api/v1/lessons/{id}/files/.*", () => ({ status: 200, raw: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 180"><rect width="320" height="180" fill="#e9f0f5"/><circle cx="160" cy="90" r="46" fill="#1d5f93"/></svg>`, headers: { "content-type": "image/svg+xml" } }));
on("GET", "/api/v1/pushes", ({ q }) => ok(page(pushes.filter((p) => q.get("withdrawn") === "true" || !p.withdrawn_at).map(pushView), q)));
on("POST", "/api/v1/pushes", ({ json }) => { const p = { id: next(pushes), needed_by: null, ...json, created_at: iso(), created_by: "admin", withdrawn_at: null }; pushes.unshift(p); return ok(pushView(p), 201); });
const pushOr404 = (id, then) => { const p = pushes.find((x) => x.id === Number(id)); return p ? then(p) : problem(404, "push_unknown", "没有这次推送。"); };
on("GET", "/api/v1/pushes/{id}", ({ params }) => pushOr404(params.id, (p) => ok(pushView(p))));
on("GET", "/api/v1/pushes/{id}/devices", ({ params, q }) => pushOr404(params.id, (p) => ok(page(pushRows(p), q))));
on("DELETE", "/api/v1/pushes/{id}", ({ params }) => pushOr404(params.id, (p) => { p.withdrawn_at = iso(); tell("push", p.id); return { status: 204 }; }));
on("GET", "/api/v1/system", () => ok({ version: "0.1.0", uptime_s: 93000, broker: { up: true, reason: null, connections: 24 }, database_bytes: 41 * MiB, objects_bytes: 0.65 * GiB, disk_free_bytes: 212 * GiB, 
  ingest: { messages: 6872, samples_stored: 39120, samples_repeated: 12, rejected: EMPTY ? 0 : 2 },
  rejects: EMPTY ? [] : [{ at: iso(4 * 60e3), topic: `bbt/v1/d/${devices[3].id}/telemetry`, reason: `payload names device ${devices[5].id}, topic belongs to ${devices[3].id}`, device: devices[3].id }, { at: iso(5 * 3600e3), topic: "bbt/v2/d/abc/report", reason: "unknown topic \"bbt/v2/d/abc/report\": expected bbt/v1/d/<device>/<leaf>", device: null }] }));

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json", ".woff2": "font/woff2" };
function statics(path, response) {
  let file = normalize(join(DIST, path));
  if (!file.startsWith(DIST) || !existsSync(file) || statSync(file).isDirectory()) file = join(DIST, "index.html");
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "content-security-policy": CSP, "x-content-type-options": "nosniff" });
  createReadStream(file).pipe(response);
}

createServer(async (request, response) => {
  const url = new URL(request.url, "http://x");
  if (!url.pathname.startsWith("/api/")) return statics(decodeURIComponent(url.pathname), response);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const send = ({ status, body, raw, headers }) => {
    const type = status >= 400 ? "application/problem+json" : "application/json";
    response.writeHead(status, { "content-type": type, ...(body?.request_id ? { "x-request-id": body.request_id } : {}), ...headers });
    response.end(raw ?? (body === undefined ? undefined : JSON.stringify(body)));
  };
  const token = /bbt_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1];
  const open = /^\/api\/v1\/session(\/|$)/.test(url.pathname) && !(url.pathname === "/api/v1/session" && request.method === "GET");
  if (!signed.has(token) && !open) return send(problem(401, "not_signed_in", "请先登录。"));
  if (url.pathname === "/api/v1/events") {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(": hello\n\n");
    streams.add(response);
    return request.on("close", () => streams.delete(response));
  }
  for (const { method, pattern, handler } of routes) {
    const found = method === request.method && pattern.exec(decodeURI(url.pathname));
    if (!found) continue;
    let json = {};
    const raw = Buffer.concat(chunks).toString();
    try { json = JSON.parse(raw || "{}"); } catch { /* multipart */ }
    try {
      const answer = handler({ params: { ...found.groups }, q: url.searchParams, json, raw });
      if (answer.token) signed.add(answer.token);
      return send(answer);
    } catch (e) { console.error(e); return send(problem(500, "internal", "控制台内部出错。", String(e))); }
  }
  send(problem(404, "not_found", "没有这个接口。"));
}).listen(PORT, "127.0.0.1", () => console.log(`mock console on http://127.0.0.1:${PORT}/ (password demo-demo)`));
