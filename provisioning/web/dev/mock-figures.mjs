// The mock's figures: what lines carry, how boards do over time, equipment, registers and reports.

export function figures({ on, ok, problem, page, iso, hex, rand, empty, regions, schools, classrooms, devices }) {
  const HOUR = 3600e3;
  const MIN = 60e3;
  const roomOf = (id) => classrooms.find((c) => c.id === id);
  const schoolOf = (id) => schools.find((s) => s.id === Number(id));

  // Lines.
  const settings = { uplink_kbps: 500000, schools_at_once: 4, every_days: 7, seconds: 10, streams: 8, boards_at_once: 8 };
  const QUOTE = "互联网带宽下行达200M、上行达40M";
  const target = { down_kbps: 200000, up_kbps: 40000, from: "rule", rule_set: "bazhong", rules_version: 1, quote: QUOTE, tolerance_percent: 5 };
  const direction = (target_kbps, counted_kbps, verdict) => ({ target_kbps, counted_kbps, payload_kbps: Math.round(counted_kbps * 0.95), verdict });
  const decisions = {
    1: { verdict: "met", target, down: direction(200000, 204300, "met"), up: direction(40000, 43800, "met"), ports_mbps: 300, doubts: [] },
    2: { verdict: "port_cannot_prove", target, down: direction(200000, 94100, "port_cannot_prove"), up: direction(40000, 41200, "met"), ports_mbps: 100, doubts: ["board_missing", "other_traffic"] },
  };
  const boards = (school) => devices.filter((d) => roomOf(d.classroom_id).school_id === school).slice(0, school === 1 ? 3 : 2).map((d, i) => {
    const failed = school === 2 && i === 1 ? "playing" : null;
    const one = (kbps) => ({ payload_bytes: kbps * 1125, wire_bytes: kbps * 1180, ms: 9000, streams: 8, payload_kbps: Math.round(kbps * 0.95), counted_kbps: kbps });
    return { device_id: d.id, classroom: roomOf(d.classroom_id).name, port_mbps: 100, link: "wired", down: failed ? null : one(school === 1 ? 68100 : 94100), up: failed ? null : one(school === 1 ? 14600 : 41200), other_bytes: failed ? null : i * 240000 + 12000, rtt_ms: failed ? null : 6.4 + i, in_step: failed ? null : true, failed, received_at: iso(3 * HOUR) };
  });
  const tests = empty ? [] : schools.filter((s) => decisions[s.id]).flatMap((s) => [0, 1, 2].map((n) => ({ id: `t-${s.id}-${n}`, school_id: s.id, school: s.name, cause: n === 1 ? "doubt" : "schedule", forced: false, starts_at: iso((3 + n * 168) * HOUR), ends_at: iso((3 + n * 168) * HOUR - 2 * MIN), seconds: 10, streams: 8, created_by: "console", decided_at: iso((3 + n * 168) * HOUR - 3 * MIN), decision: decisions[s.id], boards: [] })));
  on("GET", "/api/v1/bandwidth/schools", ({ q }) => ok(page((empty ? [] : schools).filter((s) => decisions[s.id]).map((s) => ({ school_id: s.id, code: s.code, school: s.name, month: q.get("month"), verdict: decisions[s.id].verdict, test_id: `t-${s.id}-0`, tested_at: iso(3 * HOUR), decision: decisions[s.id], tests: 3, doubtful: s.id === 2 ? 1 : 0 })).filter((r) => !q.get("verdict") || r.verdict === q.get("verdict")), q)));
  on("GET", "/api/v1/bandwidth/tests", ({ q }) => ok(page(tests.filter((x) => !q.get("school_id") || x.school_id === Number(q.get("school_id"))), q)));
  on("GET", "/api/v1/bandwidth/tests/{id}", ({ params }) => { const one = tests.find((x) => x.id === params.id); return one ? ok({ ...one, boards: boards(one.school_id) }) : problem(404, "not_found", "没有这次检测。"); });
  on("POST", "/api/v1/schools/{id}/bandwidth-tests", ({ params, json }) => { const s = schoolOf(params.id); const one = { id: `t-${hex(6)}`, school_id: s.id, school: s.name, cause: "operator", forced: Boolean(json.forced), starts_at: iso(-20e3), ends_at: iso(-2 * MIN), seconds: 10, streams: 8, created_by: "admin", decided_at: null, decision: null, boards: [] }; tests.unshift(one); return ok(one, 201); });
  on("GET", "/api/v1/bandwidth/settings", () => ok(settings));
  on("PUT", "/api/v1/bandwidth/settings", ({ json }) => ok(Object.assign(settings, json)));
  on("GET", "/api/v1/schools/{id}/bandwidth-evidence", () => ({ status: 200, raw: "PK", headers: { "content-type": "application/zip" } }));
  return { rand, regions };
}

/** Reports, registers, indicators, the data catalogue. */
export function reports({ on, ok, problem, page, iso, hex, empty, schools, classrooms, devices }) {
  const HOUR = 3600e3;
  const roomOf = (id) => classrooms.find((c) => c.id === id);
  const DICTIONARY = { version: "2026.1", indicator: [
    ["device_on_rate", "percent", "教学时段开机率", "On in class hours", "终端在本校教学时段内开机运行的时间，占应开机时间的比例。没有数据的终端·天另列为未知。", "教学时段内有采样的时间 ÷ 有数据各天的教学时段", "有数据的终端·天的教学时段", "S1 加强日常巡查巡检"],
    ["lesson_opening", "percent", "开课率", "Periods with a lesson opened", "课表上已结束的课时中，终端打开过课程内容的比例。终端没有报告的课时是未知，不是未开课。", "已开课课时 ÷ (已开课课时 + 未开课课时)", "终端报告过的课时", "S1 实时了解课程开设情况"],
    ["broadband_met", "percent", "宽带达标率", "Lines that meet the target", "本月检测达标的学校占有结论学校的比例。端口不足以证明的另列为未知。", "达标学校 ÷ (达标 + 未达标)", "有结论的学校，含教学点", "S2 互联网带宽下行达200M、上行达40M"],
    ["repair_hours", "mean_hours", "平均维修用时（小时）", "Mean time of repair", "从开单到修好的时间，由系统按事件计。", "维修秒数之和 ÷ 修好的工单 ÷ 3600", "本期修好的工单", "S1 设备设施故障及时响应解决"],
    ["pupils_per_computer", "ratio", "生机比", "Pupils to a computer", "学生数与计算机数之比，由学校填报。", "学生数 ÷ 计算机数", "计算机数", "S0 师机比 1:1 and 生机比", true],
  ].map(([id, kind, zh, en, definition, formula, denominator, source, manual = false]) => ({ id, kind, row: "device", manual, zh, en, definition, formula, denominator, source })), reason: [{ id: "no_data", zh: "没有数据", en: "no data" }, { id: "port_cannot_prove", zh: "端口不足以证明", en: "ports cannot prove it" }] };
  on("GET", "/api/v1/indicators", () => ok(DICTIONARY));
  const step = (step, ago, by, reason = "") => ({ step, reason, at: iso(ago * HOUR), by });
  const version = (n, state, steps, more = {}) => ({ version: n, state, corrects: null, why: "", digest: hex(64), made_at: iso(80 * HOUR), made_by: "zhang.min", sealed: state === "frozen", steps, ...more });
  const report = (id, kind, from, to, place, state, more, versions) => ({ report: { id, kind, from, to, region_id: null, school_id: null, place, version: versions.length, state, digest: versions.at(-1).digest, made_at: iso(80 * HOUR), made_by: "zhang.min", ...more }, versions });
  const made = [step("made", 80, "zhang.min")];
  const all = empty ? [] : [
    report(4, "month", "2026-10-01", "2026-10-31", "青山县", "approved", { region_id: 1 }, [version(1, "approved", [...made, step("submitted", 78, "zhang.min"), step("approved", 50, "shi.jiandu")])]),
    report(3, "month", "2026-10-01", "2026-10-31", schools[0].name, "returned", { school_id: 1 }, [version(1, "returned", [...made, step("submitted", 70, "sun.xz"), step("returned", 60, "zhang.min", "生机比没有填")])]),
    report(2, "month", "2026-09-01", "2026-09-30", "青山县", "frozen", { region_id: 1 }, [version(1, "frozen", [...made, step("submitted", 700, "zhang.min"), step("approved", 690, "shi.jiandu"), step("frozen", 680, "shi.jiandu")]), version(2, "frozen", [step("corrected", 600, "zhang.min", "石门乡补报了 U 盘数据"), step("submitted", 590, "zhang.min"), step("approved", 580, "shi.jiandu"), step("frozen", 570, "shi.jiandu")], { corrects: 1, why: "石门乡补报了 U 盘数据" })]),
    report(1, "year", "2025-01-01", "2025-12-31", schools[1].name, "draft", { school_id: 2 }, [version(1, "draft", made)]),
  ];
  const report404 = (id, then) => { const r = all.find((x) => x.report.id === Number(id)); return r ? then(r) : problem(404, "not_found", "没有这份报表。"); };
  on("GET", "/api/v1/reports", ({ q }) => ok(page(all.map((r) => r.report).filter((r) => (!q.get("kind") || r.kind === q.get("kind")) && (!q.get("state") || r.state === q.get("state"))), q)));
  on("POST", "/api/v1/reports", ({ json }) => { const r = report(all.length + 1, json.kind, json.date.slice(0, 8) + "01", json.date, json.school_id ? schools.find((s) => s.id === json.school_id).name : "青山县", "draft", {}, [version(1, "draft", [step("made", 0, "admin")])]); all.unshift(r); return ok(r, 201); });
  on("GET", "/api/v1/reports/{id}", ({ params }) => report404(params.id, (r) => ok(r)));
  const VALUES = { device_on_rate: ["93.41%", 3310240, 3543800, 12], lesson_opening: ["88.02%", 1720, 1954, 96], broadband_met: ["100.00%", 1, 1, 1], repair_hours: ["5.4", 136080, 7, 0], pupils_per_computer: [null, null, null, 2] };
  const nothing = (r) => r.report.id === 1;
  const shown = (r) => DICTIONARY.indicator.flatMap((i) => [null, 1, 2].map((school) => { const [value, num, den, unknown] = nothing(r) ? [null, null, null, 3] : VALUES[i.id]; return { name: school ? `${i.id}@${school}` : i.id, indicator: i.id, school, num, den, unknown, rows: nothing(r) ? 0 : 27, value, manual: i.manual }; }));
  on("GET", "/api/v1/reports/{id}/figures", ({ params, q }) => report404(params.id, (r) => ok({ version: Number(q.get("version") ?? r.report.version), state: r.report.state, digest: r.report.digest, dictionary: "2026.1", empty: nothing(r), figures: shown(r), schools: schools.map((s) => ({ id: s.id, code: s.code, name: s.name, teaching_point: s.kind === "teaching_point" })), days: nothing(r) ? [] : Array.from({ length: 31 }, (_, i) => ({ date: `2026-10-${String(i + 1).padStart(2, "0")}`, devices: 26, heard: i % 7 > 4 || i < 7 ? 3 : 22 + (i % 4), silent: i % 7 > 4 || i < 7 ? 0 : 4 - (i % 4), online_s: 500000 })) })));
  on("GET", "/api/v1/report-preview", () => ok({ from: "2026-11-01", to: "2026-11-30", until: "2026-11-22", dictionary: "2026.1", empty: false, figures: shown(all[0]).filter((f) => empty || f), schools: schools.map((s) => ({ id: s.id, code: s.code, name: s.name, teaching_point: false })), days: Array.from({ length: 22 }, (_, i) => ({ date: `2026-11-${String(i + 1).padStart(2, "0")}`, devices: 26, heard: i % 7 > 4 ? 3 : 22 + (i % 4), silent: i % 7 > 4 ? 0 : 4 - (i % 4), online_s: 500000 })) }));
  on("GET", "/api/v1/reports/{id}/figures/{figure}/rows", ({ q }) => ok(page(devices.map((d, i) => ({ school: 1, key: d.id, label: roomOf(d.classroom_id).name, num: i % 9 === 4 ? null : 118000 - i * 900, den: i % 9 === 4 ? null : 126000, unknown: i % 9 === 4 ? 1 : 0, why: i % 9 === 4 ? "no_data" : null })), q)));
  on("GET", "/api/v1/reports/{id}/check", ({ params }) => report404(params.id, (r) => ok({ version: r.report.version, digest: r.report.digest, now: r.report.digest, equal: r.report.id !== 2, changes: r.report.id === 2 ? [{ figure: "device_on_rate", was: "93.41%", is: "93.60%" }] : [], seal: r.report.state === "frozen" ? true : null })));
  const GO = { refresh: null, submit: ["submitted", "submitted"], approve: ["approved", "approved"], freeze: ["frozen", "frozen"], return: ["returned", "returned"], correct: ["draft", "corrected"] };
  for (const [name, to] of Object.entries(GO)) on("POST", `/api/v1/reports/{id}/${name}`, ({ params, json }) => report404(params.id, (r) => { const v = r.versions.at(-1); if (name === "correct") { r.versions.push(version(v.version + 1, "draft", [step("corrected", 0, "admin", json.reason)], { corrects: v.version, why: json.reason })); Object.assign(r.report, { version: v.version + 1, state: "draft" }); } else if (to) { v.state = r.report.state = to[0]; v.sealed = to[0] === "frozen"; v.steps.push(step(to[1], 0, "admin", json.reason ?? "")); } return ok(r); }));
  const manual = new Map();
  on("GET", "/api/v1/schools/{id}/manual-figures", ({ params }) => ok(manual.get(params.id) ?? []));
  on("PUT", "/api/v1/schools/{id}/manual-figures", ({ params, json }) => { manual.set(params.id, [{ indicator: json.indicator, numerator: json.numerator, denominator: json.denominator, note: json.note, updated_at: iso(), updated_by: "admin" }]); return ok(manual.get(params.id)); });
  const COLUMNS = { use: ["日期", "学校", "班级", "学科", "课程", "开始", "时长"], repair: ["工单号", "报修时间", "学校", "班级", "故障", "处理", "修好时间", "确认"], inspection: ["日期", "学校", "班级", "方式", "结果", "问题"], resource: ["日期", "课程", "学科", "年级", "来源", "审核", "到达终端"] };
  on("GET", "/api/v1/registers/{kind}", ({ params, q }) => { const rows = empty ? [] : devices.map((d, i) => COLUMNS[params.kind].map((c, n) => (n === 0 ? (params.kind === "repair" ? String(31 - i).padStart(6, "0") : `2026-11-${String(23 - (i % 20)).padStart(2, "0")}`) : c === "班级" ? roomOf(d.classroom_id).name : c === "学校" ? schools.find((s) => s.id === roomOf(d.classroom_id).school_id).name : c === "学科" ? ["语文", "数学", "英语"][i % 3] : c === "课程" ? "倍的认识" : c === "时长" ? "0:32" : "–"))); const p = page(rows, q); return ok({ columns: COLUMNS[params.kind], rows: p.items, total: p.total, page: p.page, page_size: p.page_size }); });
  on("GET", "/api/v1/catalogue", () => ok({ schema_version: "1.0", tables: [["devices", "在册终端，每台一行", false], ["device_days", "终端每天一行：应开、实开、亮屏、数据", true], ["orders", "工单，每张一行", true], ["bandwidth_tests", "宽带检测，每次一行", true]].map(([name, about, dated]) => ({ name, about, dated, columns: [{ name: "device_id", type: "text", about: "终端编号" }, { name: "date", type: "text", about: "日期，ISO 8601" }, { name: "online_s", type: "integer", about: "教学时段内在线秒数；缺失为未知" }] })) }));
}

/** Readings of a device over time, what happened on it, and how all are. */
export function fleet({ on, ok, iso, hex, rand, empty, devices }) {
  const HOUR = 3600e3;
  const GIB = 1024 ** 3;
  const OF = { cpu_percent: (w) => 22 + w + rand() * 10, cpu_pressure_percent: () => rand() * 4, memory_available_bytes: (w) => (2.1 - w / 60) * GIB, memory_pressure_percent: () => rand() * 1.5, io_pressure_percent: (w) => Math.max(0, w / 3), temperature_celsius: (w) => 50 + w / 2 + rand() * 2, disk_free_bytes: () => 31 * GIB, emmc_wear_percent: () => 20, console_rtt_ms: (w) => 9 + Math.max(0, w) + rand() * 4, gateway_rtt_ms: () => 1 + rand(), console_loss_percent: (w) => (w > 9 ? rand() * 8 : 0), link_mbps: () => 100, network_rx_bytes: (w) => Math.max(0, w) * 9e6 * rand(), network_tx_bytes: () => 4e5 * rand(), fetched_bytes: (w) => Math.max(0, w) * 8e6 * rand(), lan_in_bytes: (w) => Math.max(0, -w) * 5e6 * rand(), telemetry_bytes: () => 900 + rand() * 400, screen_on_s: (w) => (w > -4 ? 300 : 0), speaker_on_s: (w) => (w > 6 ? 120 : 0), lessons_ready: () => 2, lessons_assigned: () => 3, player_errors: () => 0 };
  on("GET", "/api/v1/devices/{id}/series", ({ q }) => {
    const from = Date.parse(q.get("from"));
    const to = Date.parse(q.get("to"));
    const [tier, step] = to - from <= 26 * HOUR ? ["raw", 60e3] : to - from <= 40 * 24 * HOUR ? ["5m", 300e3] : ["1h", HOUR];
    const stride = Math.max(step, Math.ceil((to - from) / 700 / step) * step);
    const gap = [to - 13.5 * HOUR, to - 11 * HOUR];
    const at = Array.from({ length: Math.floor((to - from) / stride) }, (_, i) => from + i * stride).filter((x) => x < gap[0] || x > gap[1]);
    return ok({ from: q.get("from"), to: q.get("to"), tier, step_s: stride / 1000, gaps: from < gap[0] ? [{ from: new Date(gap[0]).toISOString(), to: new Date(gap[1]).toISOString() }] : [], series: q.get("metrics").split(",").map((metric) => ({ metric, unit: "percent", kind: "gauge", points: OF[metric] ? at.map((x) => { const value = OF[metric](Math.sin(x / 4e6) * 12); return { at: new Date(x).toISOString(), value, min: value * 0.9, max: value * 1.1, count: 1 }; }) : [] })) });
  });
  const boot = hex(32);
  const event = (seq, ago, kind, what, late = 0) => ({ at: iso(ago * HOUR), received_at: iso((ago - late) * HOUR), boot_id: boot, seq, kind, what: { event: kind, ...what } });
  const events = empty ? [] : [
    event(12, 0.5, "usb", { action: "attached", ids: "0781:5581", classes: [8], unlisted: true }),
    event(11, 1.2, "player_error", { code: "MEDIA_ERR_DECODE", count: 1, lesson: "cn-3-autumn" }),
    event(10, 2, "link", { up: true, console_s: 5400 }, 0),
    event(9, 3.5, "link", { up: false }, 1.5),
    event(8, 6.8, "clock_step", { step_ms: -4200, by: "console" }),
    event(7, 7, "booted", { reason: "power_loss", by: "board_controller", off_s: 54000 }),
    event(6, 26, "storage", { what: "corrupt", detail: "chunk 7f3a… of math-3-multiple: hash differs" }),
    event(5, 27, "app", { action: "started", app: "WeChat.exe", unlisted: true }),
    event(4, 28, "bandwidth", { down: { payload_bytes: 76e6, ms: 9000 }, up: { payload_bytes: 16e6, ms: 9000 }, link: "wired" }),
    event(3, 30, "tamper", { what: "pin_tries", detail: "6 tries in 5 min" }),
    event(2, 31, "booted", { reason: "shutdown", by: "agent", off_s: 52000 }),
  ];
  on("GET", "/api/v1/devices/{id}/events", ({ q }) => ok({ items: q.get("to") ? [] : events.filter((e) => !q.get("kind") || e.kind === q.get("kind")) }));
  on("GET", "/api/v1/fleet", () => {
    const WHY = { online: "connected", offline: "lost", off: "after_hours", unknown: "never_heard" };
    const count = (state) => devices.filter((d) => d.state === state).length;
    return ok({ total: devices.length, ...Object.fromEntries(Object.keys(WHY).map((s) => [s, count(s)])), reasons: Object.entries(WHY).map(([state, why]) => ({ state, why, count: count(state) })).filter((r) => r.count) });
  });
}

/** Equipment, how classrooms are equipped, inspections. */
export function assets({ on, ok, page, iso, empty, schools, classrooms, devices }) {
  const schoolOf = (id) => schools.find((s) => s.id === id);
  const roomOf = (id) => classrooms.find((c) => c.id === id);
  const asset = (id, kind, c, device_id, more) => ({ id, school_id: c.school_id, school: schoolOf(c.school_id).name, classroom_id: c.id, classroom: c.name, device_id, kind, tag: "", brand: "", model: "", serial: "", interactive: kind === "terminal", owner: "云溪镇中心小学", builder: "县电教馆", maintainer: "恒讯科技", bought_on: "2024-08-20", warranty_until: "2027-08-20", note: "", retired_at: null, updated_at: iso(86400e3), updated_by: "console", age_years: 2, health: 86, reasons: [{ code: "age", points: 14, value: 2 }], ...more });
  const all = empty ? [] : [...devices.slice(0, 20).map((d, i) => asset(i + 1, "terminal", roomOf(d.classroom_id), d.id, { model: d.board, serial: d.serial, ...(i % 6 === 3 ? { maintainer: "" } : {}), ...(i === 4 ? { health: 34, age_years: 6, bought_on: "2020-08-01", reasons: [{ code: "age", points: 40, value: 6 }, { code: "warranty_over", points: 16, value: 3 }, { code: "repairs", points: 10, value: 4 }] } : {}) })), asset(40, "projector", classrooms[0], null, { brand: "爱普生", model: "CB-X49", tag: "QS-2019-041", bought_on: "2019-03-01", age_years: 7, health: 41, reasons: [{ code: "age", points: 45, value: 7 }, { code: "warranty_over", points: 14, value: 4 }] })];
  on("GET", "/api/v1/assets", ({ q }) => ok(page(all.filter((a) => (!q.get("kind") || a.kind === q.get("kind")) && (q.get("incomplete") !== "true" || !a.maintainer)).sort((a, b) => (q.get("sort") === "health" ? a.health - b.health : 0)), q)));
  on("PATCH", "/api/v1/assets/{id}", ({ params, json }) => ok(Object.assign(all.find((a) => a.id === Number(params.id)), json)));
  on("POST", "/api/v1/regions/{id}/assets", ({ q }) => ok({ applied: q.get("apply") === "true", rows: 12, added: 9, changed: 2, same: 1, errors: [], error_count: 0 }));
  on("GET", "/api/v1/equipment", () => ok({ classrooms: 27, equipped: 26, interactive: 25, interactive_ratio: empty ? null : 0.93, points_without: 0, incomplete: 3, schools: (empty ? [] : schools).map((s) => ({ school_id: s.id, school: s.name, kind: s.kind, classrooms: s.id === 1 ? 24 : 3, equipped: s.id === 1 ? 24 : 2, interactive: s.id === 1 ? 23 : 2, missing: s.id === 1 ? [] : ["接收教室"] })) }));
  const item = (point, result, value = "") => ({ point, result, value });
  const inspections = devices.map((d, i) => { const c = roomOf(d.classroom_id); const bad = i % 7 === 3; return { id: i + 1, kind: i % 9 === 8 ? "human" : "automatic", date: iso().slice(0, 10), school_id: c.school_id, school: schoolOf(c.school_id).name, classroom_id: c.id, classroom: c.name, device_id: d.id, result: bad ? "fail" : d.state === "online" ? "pass" : "unknown", items: [item("online", d.state === "online" ? "pass" : "unknown"), item("temperature", bad ? "fail" : "pass", bad ? "83.5 °C" : "")], note: "", at: iso(3600e3), by: i % 9 === 8 ? "chen.gong" : "" }; });
  on("GET", "/api/v1/inspections", ({ q }) => ok(page(inspections.filter((r) => !q.get("result") || r.result === q.get("result")), q)));
}
