// The mock's settings behind work orders and lines: times allowed, areas, parts, bandwidth rules and who follows them,
// inspections by hand, new equipment, a device's network. Comes before the older shapes; what it answers, they do not.

export function settings({ on, ok, problem, iso, rand, empty, regions, schools, classrooms, devices }) {
  const HOUR = 3600e3;
  const schoolOf = (id) => schools.find((s) => s.id === Number(id));
  const next = (rows) => rows.reduce((n, r) => Math.max(n, r.id), 0) + 1;

  const BUILT_IN = { infrastructure: [["class", 60, 480], ["class", 240, 1440]], application: [["class", 120, 960], ["class", 480, 2880]], resource: [["wall", 240, 1440], ["wall", 1440, 7200]] };
  const own = new Map([["1-infrastructure-true", { clock: "class", respond_min: 30, repair_min: 240 }]]);
  const slas = (region) => ({ region_id: region, rows: Object.entries(BUILT_IN).flatMap(([cls, both]) => both.map(([clock, respond_min, repair_min], i) => {
    const set = own.get(`${region}-${cls}-${i === 0}`);
    return { class: cls, urgent: i === 0, own: Boolean(set), sla: set ?? own.get(`1-${cls}-${i === 0}`) ?? { clock, respond_min, repair_min } };
  })) });
  on("GET", "/api/v1/regions/{id}/order-slas", ({ params }) => ok(slas(Number(params.id))));
  on("PUT", "/api/v1/regions/{id}/order-slas", ({ params, json }) => {
    for (const row of json.rows) { const key = `${params.id}-${row.class}-${row.urgent}`; if (row.own) own.set(key, row.sla); else own.delete(key); }
    return ok(slas(Number(params.id)));
  });

  const areas = empty ? [] : [{ id: 1, region_id: 1, name: "东片", vendor: "云联科技服务有限公司", schools: [{ id: 1, name: schoolOf(1).name }], people: [{ user_id: 5, username: "chen.gong", tier: 0 }, { user_id: 2, username: "zhang.min", tier: 1 }] }];
  const area = (json, id) => { for (const a of areas) a.schools = a.schools.filter((s) => !json.school_ids?.includes(s.id)); return { id, region_id: json.region_id, name: json.name, vendor: json.vendor ?? "", schools: (json.school_ids ?? []).map((s) => ({ id: s, name: schoolOf(s).name })), people: json.people ?? [] }; };
  on("GET", "/api/v1/areas", () => ok(areas));
  on("POST", "/api/v1/areas", ({ json }) => { if (areas.some((a) => a.name === json.name)) return problem(409, "already_exists", `包区“${json.name}”已经有了。请换个名称。`); const a = area(json, next(areas)); areas.push(a); return ok(a, 201); });
  on("PUT", "/api/v1/areas/{id}", ({ params, json }) => { const i = areas.findIndex((a) => a.id === Number(params.id)); areas[i] = area(json, Number(params.id)); return ok(areas[i]); });
  on("DELETE", "/api/v1/areas/{id}", ({ params }) => { areas.splice(areas.findIndex((a) => a.id === Number(params.id)), 1); return { status: 204 }; });

  const part = (id, code, name, unit, stock, low_at, region_id = 1) => ({ id, region_id, code, name, unit, stock, low_at });
  const parts = empty ? [] : [part(1, "TF-86", "触摸框排线", "条", 6, 2), part(2, "PSU-12", "12 V 电源", "个", 1, 2), part(3, "RC-01", "遥控器", "个", 14, 5), part(4, "HDMI-5", "HDMI 线（5 米）", "根", 0, 1, 2)];
  const shown = (p) => ({ ...p, low: p.stock <= p.low_at });
  on("GET", "/api/v1/parts", ({ q }) => ok(parts.map(shown).filter((p) => (q.get("low") !== "true" || p.low) && (!q.get("region_id") || [1, Number(q.get("region_id"))].includes(p.region_id)))));
  on("POST", "/api/v1/parts", ({ json }) => { const p = { ...part(next(parts), json.code, json.name, json.unit ?? "件", json.stock ?? 0, json.low_at ?? 0, json.region_id) }; parts.push(p); return ok(shown(p), 201); });
  on("POST", "/api/v1/parts/{id}/moves", ({ params, json }) => { const p = parts.find((x) => x.id === Number(params.id)); p.stock += json.change; return ok(shown(p)); });

  const year = (from_year, down_mbps, up_mbps, access_percent, quote, denominator = "每个学校（含教学点）") => ({ from_year, down_mbps, up_mbps, access_percent, denominator, quote });
  let rules = { version: 1, tolerance_percent: 5, sets: [
    { id: "bazhong", name: "巴中", source: "巴中市“十四五”教育信息化规划", rules: [year(2021, 200, 40, 100, "互联网带宽下行达200M、上行达40M"), year(2026, 500, 100, 100, "到2026年下行不低于500M")] },
    { id: "ganzi", name: "甘孜", source: "甘孜州教育信息化实施方案", rules: [year(2022, 100, null, 98, "100M以上接入率达到98%")] },
    { id: "xinganmeng", name: "兴安盟", source: "兴安盟教育数字化行动", rules: [year(2023, null, null, 100, "宽带接入率100%")] },
  ] };
  on("GET", "/api/v1/bandwidth/rules", () => ok(rules));
  on("PUT", "/api/v1/bandwidth/rules", ({ json }) => {
    const missing = [...follows.values()].find((id) => !json.sets.some((s) => s.id === id));
    if (missing) return problem(409, "conflict", `有区域正在执行标准 ${missing}，新的一版里没有它。请保留它，或先让那个区域改用别的标准。`);
    rules = json;
    return ok(rules);
  });
  const follows = new Map([[1, "bazhong"]]);
  const above = (id) => { for (let r = regions.find((x) => x.id === id); r; r = regions.find((x) => x.id === r.parent_id)) if (follows.has(r.id)) return follows.get(r.id); return null; };
  const followed = (id) => ({ region_id: id, own: follows.get(id) ?? null, effective: above(id) });
  on("GET", "/api/v1/regions/{id}/bandwidth-rules", ({ params }) => ok(followed(Number(params.id))));
  on("PUT", "/api/v1/regions/{id}/bandwidth-rules", ({ params, json }) => { if (json.rule_set) follows.set(Number(params.id), json.rule_set); else follows.delete(Number(params.id)); return ok(followed(Number(params.id))); });

  const escalations = { items: empty ? [] : [{ region_id: null, critical_minutes: 30, warning_minutes: 240 }, { region_id: 2, critical_minutes: 15, warning_minutes: 0 }], default: { region_id: null, critical_minutes: 30, warning_minutes: 0 } };
  on("GET", "/api/v1/escalations", () => ok(escalations));
  on("PUT", "/api/v1/escalations", ({ json }) => { const at = json.region_id ?? null; escalations.items = [...escalations.items.filter((e) => (e.region_id ?? null) !== at), { ...json, region_id: at }]; return ok(escalations); });

  on("POST", "/api/v1/inspections", ({ json }) => ok({ id: 900, order_id: json.open_order ? 31 : null }, 201));
  on("POST", "/api/v1/assets", ({ json }) => { const s = schoolOf(json.school_id); return ok({ id: 400, school: s.name, classroom: classrooms.find((c) => c.id === json.classroom_id)?.name ?? null, device_id: null, age_years: null, health: 100, reasons: [], retired_at: null, updated_at: iso(), updated_by: "admin", ...json }, 201); });

  on("GET", "/api/v1/devices/{id}/network", ({ params, q }) => {
    const d = devices.find((x) => x.id === params.id);
    if (!d) return problem(404, "not_found", "没有这台终端。");
    const [from, to] = [Date.parse(q.get("from")), Date.parse(q.get("to"))];
    const step_s = Math.max(300, Math.round((to - from) / 200e3 / 300) * 300);
    const hole = [to - 13 * HOUR, to - 11 * HOUR];
    const points = (low, span) => { const out = []; for (let at = from; at < to; at += step_s * 1e3) if (at < hole[0] || at > hole[1]) out.push({ at: new Date(at).toISOString(), value: low + rand() * span }); return out; };
    const series = [["gateway_rtt_ms", 0.6, 2], ["console_rtt_ms", 18, 12], ["console_loss_percent", 0, 0.8], ["dns_ms", 8, 9], ["network_rx_bytes", 1e6, 9e6], ["network_tx_bytes", 1e5, 4e5], ["fetched_bytes", 0, 6e6], ["lan_in_bytes", 0, 3e6]];
    const traffic = (hours) => ({ hours, rx_bytes: hours * 41e6, tx_bytes: hours * 5e6, lessons_line_bytes: hours * 19e6, lessons_lan_bytes: hours * 11e6, lessons_given_bytes: hours * 3e6, telemetry_bytes: hours * 14e3 });
    return ok({ report: d.state === "unknown" ? null : { link: "wired", port_mbps: 100, ipv4: true, ipv6: false, metered: false, gateway: true, dns: true }, latest_at: d.last_seen_at, link_mbps: 100, wifi_signal_percent: null, gateway_rtt_ms: 0.8, console_rtt_ms: 21.4, console_loss_percent: 0.3, dns_ms: 12.1, traffic: [24, 168, 720].map(traffic),
      history: { tier: step_s > 300 ? "1h" : "5m", step_s, gaps: [{ from: new Date(hole[0]).toISOString(), to: new Date(hole[1]).toISOString() }], series: series.map(([metric, low, span]) => ({ metric, unit: "", points: points(low, span) })) } });
  });
}
