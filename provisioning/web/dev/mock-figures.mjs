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
  const tests = empty ? [] : schools.flatMap((s) => [0, 1, 2].map((n) => ({ id: `t-${s.id}-${n}`, school_id: s.id, school: s.name, cause: n === 1 ? "doubt" : "schedule", forced: false, starts_at: iso((3 + n * 168) * HOUR), ends_at: iso((3 + n * 168) * HOUR - 2 * MIN), seconds: 10, streams: 8, created_by: "console", decided_at: iso((3 + n * 168) * HOUR - 3 * MIN), decision: decisions[s.id], boards: [] })));
  on("GET", "/api/v1/bandwidth/schools", ({ q }) => ok(page((empty ? [] : schools).map((s) => ({ school_id: s.id, code: s.code, school: s.name, month: q.get("month"), verdict: decisions[s.id].verdict, test_id: `t-${s.id}-0`, tested_at: iso(3 * HOUR), decision: decisions[s.id], tests: 3, doubtful: s.id === 2 ? 1 : 0 })).filter((r) => !q.get("verdict") || r.verdict === q.get("verdict")), q)));
  on("GET", "/api/v1/bandwidth/tests", ({ q }) => ok(page(tests.filter((x) => !q.get("school_id") || x.school_id === Number(q.get("school_id"))), q)));
  on("GET", "/api/v1/bandwidth/tests/{id}", ({ params }) => { const one = tests.find((x) => x.id === params.id); return one ? ok({ ...one, boards: boards(one.school_id) }) : problem(404, "not_found", "没有这次检测。"); });
  on("POST", "/api/v1/schools/{id}/bandwidth-tests", ({ params, json }) => { const s = schoolOf(params.id); const one = { id: `t-${hex(6)}`, school_id: s.id, school: s.name, cause: "operator", forced: Boolean(json.forced), starts_at: iso(-20e3), ends_at: iso(-2 * MIN), seconds: 10, streams: 8, created_by: "admin", decided_at: null, decision: null, boards: [] }; tests.unshift(one); return ok(one, 201); });
  on("GET", "/api/v1/bandwidth/rules", () => ok({ version: 1, tolerance_percent: 5, sets: [{ id: "bazhong", name: "巴中", source: "巴中市“十四五”教育信息化规划", rules: [{ from_year: 2021, down_mbps: 200, up_mbps: 40, denominator: "每个学校和教学点", quote: QUOTE }] }, { id: "wushan", name: "巫山", source: "巫山县教育信息化规划", rules: [{ from_year: 2020, down_mbps: 100, access_percent: 98, denominator: "含教学点", quote: "宽带接入率达到98%以上, 出口带宽达到100M以上" }] }] }));
  on("GET", "/api/v1/bandwidth/settings", () => ok(settings));
  on("PUT", "/api/v1/bandwidth/settings", ({ json }) => ok(Object.assign(settings, json)));
  on("GET", "/api/v1/schools/{id}/bandwidth-evidence", () => ({ status: 200, raw: "PK", headers: { "content-type": "application/zip" } }));
  return { rand, regions };
}
