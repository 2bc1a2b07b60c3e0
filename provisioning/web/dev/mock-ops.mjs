// The mock's operations: incidents, alert settings, work orders. What boards measure and reports are in mock-figures.mjs.

/** Actions that the console's matrix may not name yet, so that the pages can be looked at. */
export const OPS_ACTIONS = ["incidents.write", "maintenance.write", "orders.work", "assets.read", "assets.write", "areas.read", "areas.write", "inspections.read", "inspections.write"];

export function ops({ shared, on, ok, problem, page, iso, tell, empty, regions, schools, classrooms, devices }) {
  const HOUR = 3600e3;
  const MIN = 60e3;
  const roomOf = (id) => classrooms.find((c) => c.id === id);
  const schoolOf = (id) => schools.find((s) => s.id === Number(id));
  const inPlace = (q, school_id) => (!q.get("school_id") || Number(q.get("school_id")) === school_id) && (!q.get("region_id") || Number(q.get("region_id")) === 1 || schoolOf(school_id)?.region_id === Number(q.get("region_id")));

  // Incidents: a thunderstorm over both schools, a hot board, a line that was down yesterday.
  const evidence = (lost, rebooted, power_loss, same_boot, away) => ({ lost, were_online: lost + 2, rebooted, power_loss, same_boot, failed: 0, away });
  const incident = (id, more) => ({ id, parent_id: null, kind: "school", topic: "connectivity", title: "", region_id: null, school_id: null, place: "", severity: "critical", cause: "power", evidence: evidence(0, 0, 0, 0, 0), began_at: iso(50 * MIN), last_at: iso(48 * MIN), cleared_at: null, resolved_at: null, resolved_by: null, acknowledged_at: null, acknowledged_by: null, snoozed_until: null, quiet: false, devices: 1, devices_open: 1, schools: 1, tier: 0, next_tier_at: null, ...more });
  const incidents = empty ? [] : [
    incident(7, { kind: "area", title: "2 所学校 26 台终端失联", region_id: 1, place: "青山县", cause: "power", evidence: evidence(26, 23, 22, 0, 3), devices: 26, devices_open: 3, schools: 2, tier: 1, acknowledged_at: iso(40 * MIN), acknowledged_by: "zhang.min" }),
    incident(8, { parent_id: 7, title: "23 台终端失联", school_id: 1, place: schools[0].name, evidence: evidence(23, 21, 20, 0, 2), devices: 23, devices_open: 2 }),
    incident(9, { parent_id: 7, title: "3 台终端失联", school_id: 2, place: schools[1].name, cause: "power_or_line", evidence: evidence(3, 2, 2, 0, 1), devices: 3, devices_open: 1 }),
    incident(6, { kind: "device", topic: "hot", title: "温度过高", school_id: 1, place: `${schools[0].name} ${roomOf(devices[6].classroom_id).name}`, severity: "warning", cause: "device", began_at: iso(3 * HOUR), next_tier_at: iso(-1 * HOUR) }),
    incident(5, { kind: "device", topic: "disk_full", title: "磁盘快满了", school_id: 1, place: `${schools[0].name} ${roomOf(devices[9].classroom_id).name}`, severity: "warning", cause: "device", began_at: iso(30 * HOUR), snoozed_until: iso(-15 * HOUR), acknowledged_at: iso(29 * HOUR), acknowledged_by: "chen.gong" }),
    incident(4, { kind: "school", title: "全校 24 台终端失联", school_id: 1, place: schools[0].name, cause: "line", evidence: evidence(24, 0, 0, 24, 0), devices: 24, devices_open: 0, began_at: iso(31 * HOUR), cleared_at: iso(30 * HOUR), resolved_at: iso(29 * HOUR), tier: 0 }),
  ];
  const incident404 = (id, then) => { const i = incidents.find((x) => x.id === Number(id)); return i ? then(i) : problem(404, "not_found", "没有这个事件。"); };
  const historyOf = new Map();
  const history = (i) => { if (!historyOf.has(i.id)) historyOf.set(i.id, [{ at: i.began_at, by: null, what: "opened", note: "" }, ...(i.devices > 5 ? [{ at: iso(49 * MIN), by: null, what: "joined", note: `${i.devices}` }, { at: iso(44 * MIN), by: null, what: "cause", note: "" }] : []), { at: iso(43 * MIN), by: null, what: "told", note: "" }, ...(i.acknowledged_at ? [{ at: i.acknowledged_at, by: i.acknowledged_by, what: "acknowledged", note: "已电话联系供电所" }] : []), ...(i.resolved_at ? [{ at: i.cleared_at, by: null, what: "cleared", note: "" }, { at: i.resolved_at, by: null, what: "resolved", note: "" }] : [])]); return historyOf.get(i.id); };
  const told = (i) => (i.id === 6 ? [{ user: null, channel: "运维群机器人", reason: "opened", state: "failed", sent_at: null, error: "connect 203.0.113.9:443: timed out after 5 s" }] : [{ user: "chen.gong", channel: "县邮箱", reason: "opened", state: "sent", sent_at: iso(43 * MIN), error: null }, { user: "zhang.min", channel: "县邮箱", reason: "escalated", state: "sent", sent_at: iso(41 * MIN), error: null }, { user: null, channel: "运维群机器人", reason: "opened", state: "held", sent_at: null, error: null }]);
  const detail = (i) => ({ incident: i, parts: incidents.filter((x) => x.parent_id === i.id), history: history(i), told: told(i), orders: shared.orders.filter((o) => o.incident_id === i.id || incidents.some((x) => x.id === o.incident_id && x.parent_id === i.id)) });
  shared.incidents = incidents;
  on("GET", "/api/v1/incidents", ({ q }) => ok(page(incidents.filter((i) => (q.get("parts") === "true" || !i.parent_id) && (!q.get("open") || (q.get("open") === "true") === !i.resolved_at) && (!q.get("cause") || i.cause === q.get("cause")) && (!q.get("severity") || ["notice", "warning", "critical"].indexOf(i.severity) >= ["notice", "warning", "critical"].indexOf(q.get("severity"))) && (!i.school_id || inPlace(q, i.school_id))), q)));
  on("GET", "/api/v1/incidents/{id}", ({ params }) => incident404(params.id, (i) => ok(detail(i))));
  const hit = (i) => devices.filter((d) => { const c = roomOf(d.classroom_id); return i.kind === "area" ? true : i.devices > 1 ? c.school_id === i.school_id : `${schoolOf(c.school_id).name} ${c.name}` === i.place; }).slice(0, i.devices);
  const rows = (i) => hit(i).map((d, n) => { const c = roomOf(d.classroom_id); const away = n < i.devices_open; const hurt = n === i.devices_open && i.cause === "power"; return { incident_id: i.id, device_id: d.id, school_id: c.school_id, school: schoolOf(c.school_id).name, classroom: c.name, lost_at: iso(50 * MIN - n * 2e3), back_at: away ? null : iso(20 * MIN - n * 9e3), cause: away ? "unknown" : i.cause, boot_reason: away || i.cause !== "power" ? null : n % 9 === 4 ? "watchdog" : "power_loss", damage: hurt ? ["disk_read_only"] : [], to_see: away || hurt }; });
  on("GET", "/api/v1/incidents/{id}/devices", ({ params, q }) => incident404(params.id, (i) => ok(page(rows(i).filter((r) => q.get("to_see") !== "true" || r.to_see), q))));
  const step = (what, change) => ({ params, json }) => incident404(params.id, (i) => { Object.assign(i, change(json)); history(i).push({ at: iso(), by: "admin", what, note: json?.note ?? "" }); tell("incident", i.id); return ok(detail(i)); });
  on("POST", "/api/v1/incidents/{id}/acknowledge", step("acknowledged", () => ({ acknowledged_at: iso(), acknowledged_by: "admin", next_tier_at: null })));
  on("DELETE", "/api/v1/incidents/{id}/acknowledge", step("given_back", () => ({ acknowledged_at: null, acknowledged_by: null })));
  on("POST", "/api/v1/incidents/{id}/resolve", step("resolved", () => ({ resolved_at: iso(), resolved_by: "admin" })));
  on("POST", "/api/v1/incidents/{id}/snooze", step("snoozed", (json) => ({ snoozed_until: json.until })));
  on("POST", "/api/v1/incidents/{id}/notes", step("note", () => ({})));
  const RULES = { offline: "终端离线", school_lost: "学校断线", hot: "温度过高", disk_full: "磁盘快满了", disk_read_only: "磁盘变为只读" };
  const alerts = (i) => rows(i).slice(0, 12).map((r, n) => ({ id: i.id * 100 + n, rule: i.topic === "connectivity" ? "offline" : i.topic, title: RULES[i.topic === "connectivity" ? "offline" : i.topic], severity: i.severity, school_id: r.school_id, school: r.school, device_id: r.device_id, classroom: r.classroom, incident_id: i.id, began_at: r.lost_at, raised_at: r.lost_at, cleared_at: r.back_at, value: i.topic === "hot" ? 83.5 : null, suppressed_by: i.devices > 1 ? "school_lost" : null }));
  on("GET", "/api/v1/alerts", ({ q }) => { const i = incidents.find((x) => x.id === Number(q.get("incident_id"))); return ok(page(i ? alerts(i) : q.get("device_id") ? [] : incidents.flatMap(alerts), q)); });

  // Rules, channels, people, windows.
  const rule = (key, condition, more = {}) => ({ key, title: RULES[key] ?? key, rule: { name: "", condition, for_s: 300, schedule: "always", severity: "warning", depends_on: null, enabled: true, ...more }, source: "built_in", id: null, region_id: null, school_id: null, updated_at: null, updated_by: null });
  const rules = [
    rule("school_lost", { kind: "school_lost", percent: 60, boards: 3 }, { for_s: 60, severity: "critical" }),
    rule("offline", { kind: "offline" }, { for_s: 900, schedule: "class_hours", severity: "critical", depends_on: "school_lost" }),
    { ...rule("hot", { kind: "metric", metric: "temperature_celsius", side: "above", raise: 80, clear: 72 }), source: "region", id: 3, region_id: 1, updated_at: iso(50 * HOUR), updated_by: "zhang.min" },
    rule("disk_full", { kind: "metric", metric: "disk_used_percent", side: "above", raise: 92, clear: 88 }, { for_s: 1800 }),
    rule("disk_read_only", { kind: "event", event: "storage", field: { name: "what", value: "read_only" }, count: 1, within_s: 86400 }, { for_s: 0, severity: "critical" }),
    rule("usb_unlisted", { kind: "event", event: "usb", field: { name: "unlisted", value: "true" }, count: 3, within_s: 3600 }, { for_s: 0, severity: "notice", enabled: false }),
  ];
  rules[5].title = "陌生 U 盘";
  on("GET", "/api/v1/alert-rules", () => ok({ items: rules }));
  on("GET", "/api/v1/alert-metrics", () => ok({ metrics: ["cpu_percent", "temperature_celsius", "disk_used_percent", "emmc_wear_percent", "memory_used_percent", "console_rtt_ms", "console_loss_percent"].map((name) => ({ name, derived: name.includes("used") })), events: ["booted", "usb", "app", "tamper", "player_error", "clock_step", "link", "storage"] }));
  on("PUT", "/api/v1/alert-rules/{key}", ({ params, json }) => {
    if (json.rule.condition.metric && !/^[a-z_0-9]+$/.test(json.rule.condition.metric)) return problem(422, "rule_metric_unknown", `没有叫“${json.rule.condition.metric}”的读数。请从列表中选择。`);
    const was = rules.find((r) => r.key === params.key);
    const next = { ...(was ?? rule(params.key, json.rule.condition)), title: json.rule.name || was?.title || params.key, rule: json.rule, source: json.school_id ? "school" : json.region_id ? "region" : "install", id: 90 + rules.length, region_id: json.region_id ?? null, school_id: json.school_id ?? null, updated_at: iso(), updated_by: "admin" };
    if (was) Object.assign(was, next); else rules.push(next);
    return ok(next);
  });
  on("DELETE", "/api/v1/alert-rules/{id}", ({ params }) => { const r = rules.find((x) => x.id === Number(params.id)); if (r) Object.assign(r, { source: "built_in", id: null, region_id: null, school_id: null, updated_at: null, updated_by: null }); return { status: 204 }; });
  on("POST", "/api/v1/alert-rules/.*test", ({ json }) => { const n = json.rule.condition.kind === "metric" && json.rule.condition.raise > 90 ? 0 : 4; return ok({ from: iso(7 * 24 * HOUR), to: iso(), raised: n, subjects: n ? 2 : 0, devices_looked_at: devices.length, devices: devices.length, examples: Array.from({ length: n }, (_, i) => ({ device_id: devices[i % 2].id, school: schools[0].name, at: iso((i * 30 + 4) * HOUR), until: i ? iso((i * 30 + 3) * HOUR) : null })) }); });
  const channel = (id, kind, name, target, more = {}) => ({ id, region_id: null, school_id: null, place: "", kind, name, target, smtp_user: null, smtp_security: null, smtp_from: null, has_secret: true, tells: null, enabled: true, waiting: 0, last_sent_at: iso(43 * MIN), last_error: null, updated_at: iso(90 * HOUR), updated_by: "admin", ...more });
  const channels = empty ? [] : [
    channel(1, "smtp", "县邮箱", "smtp.qingshan.example:465", { smtp_user: "bbt@qingshan.example", smtp_security: "tls", smtp_from: "bbt@qingshan.example" }),
    channel(2, "dingtalk", "运维群机器人", "https://oapi.dingtalk.com/robot/send", { tells: "warning", waiting: 2, last_sent_at: iso(26 * HOUR), last_error: "connect 203.0.113.9:443: timed out after 5 s" }),
    channel(3, "webhook", "市平台", "https://city.example/hooks", { enabled: false, last_sent_at: null }),
  ];
  on("GET", "/api/v1/notification-channels", () => ok({ items: channels }));
  on("POST", "/api/v1/notification-channels", ({ json }) => { if (json.url?.includes("192.168.")) return problem(422, "channel_host_refused", "主机 192.168.1.9 是内网地址，不在 console.toml 的 [notify] private_hosts 里。请先加进去，再保存。"); const c = channel(channels.length + 1, json.kind, json.name, json.url ?? `${json.smtp_host}:${json.smtp_port}`, { tells: json.tells ?? null, last_sent_at: null }); channels.push(c); return ok(c, 201); });
  on("PUT", "/api/v1/notification-channels/{id}", ({ params, json }) => { const c = channels.find((x) => x.id === Number(params.id)); Object.assign(c, { name: json.name, tells: json.tells ?? null, enabled: json.enabled }); return ok(c); });
  on("DELETE", "/api/v1/notification-channels/{id}", ({ params }) => { channels.splice(channels.findIndex((x) => x.id === Number(params.id)), 1); return { status: 204 }; });
  on("POST", "/api/v1/notification-channels/{id}/test", ({ params }) => ok(Number(params.id) === 2 ? { delivered: false, error: "connect 203.0.113.9:443: timed out after 5 s", took_ms: 5002 } : { delivered: true, error: null, took_ms: 312 }));
  const recipient = (id, username, display_name, channel_id, address, more = {}) => ({ id, username, display_name, channel_id, channel: channels.find((c) => c.id === channel_id)?.name ?? "", address, severity: "warning", cap_per_hour: 6, quiet_from: 1320, quiet_to: 390, tell_cleared: true, reachable: true, ...more });
  const recipients = empty ? [] : [recipient(1, "chen.gong", "陈工（恒讯科技）", 1, "chen@hengxun.example"), recipient(2, "zhang.min", "张敏", 1, "zhang@qingshan.example", { severity: "critical", quiet_from: 0, quiet_to: 0 })];
  on("GET", "/api/v1/notification-recipients", () => ok({ items: recipients }));
  on("PUT", "/api/v1/notification-recipients", ({ json }) => { const r = recipient(recipients.length + 1, json.username, json.username, json.channel_id, json.address ?? "", json); recipients.push(r); return ok(r); });
  on("DELETE", "/api/v1/notification-recipients/{id}", ({ params }) => { recipients.splice(recipients.findIndex((x) => x.id === Number(params.id)), 1); return { status: 204 }; });
  const messages = empty ? [] : [["sent", null], ["waiting", "connect 203.0.113.9:443: timed out after 5 s"], ["held", null], ["failed", "550 5.1.1 mailbox unavailable"], ["digested", null]].map(([state, error], i) => ({ id: 9 - i, channel_id: i === 1 ? 2 : 1, channel: i === 1 ? "运维群机器人" : "县邮箱", user: i === 1 ? null : "chen.gong", incident_id: 7, reason: ["opened", "opened", "grown", "escalated", "cleared"][i], severity: "critical", title: "青山县：2 所学校 26 台终端失联", text: "原因：停电。", created_at: iso((43 + i) * MIN), state, due_at: state === "waiting" ? iso(-2 * MIN) : null, tries: state === "sent" ? 1 : i, took_ms: state === "sent" ? 312 : 5002, error, sent_at: state === "sent" ? iso(43 * MIN) : null }));
  on("GET", "/api/v1/notifications", ({ q }) => ok(page(messages.filter((m) => !q.get("state") || m.state === q.get("state")), q)));
  const windows = empty ? [] : [
    { id: 2, region_id: null, school_id: 2, place: schools[1].name, from: iso(1 * HOUR), to: iso(-3 * HOUR), reason: "更换光猫", active: true, created_at: iso(5 * HOUR), created_by: "chen.gong", cancelled_at: null, cancelled_by: null },
    { id: 1, region_id: 2, school_id: null, place: "云溪镇", from: iso(80 * HOUR), to: iso(76 * HOUR), reason: "供电所检修", active: false, created_at: iso(100 * HOUR), created_by: "zhang.min", cancelled_at: null, cancelled_by: null },
  ];
  on("GET", "/api/v1/maintenance-windows", ({ q }) => ok(page(windows, q)));
  on("POST", "/api/v1/maintenance-windows", ({ json }) => { const w = { id: windows.length + 1, region_id: null, school_id: null, place: json.school_id ? schoolOf(json.school_id).name : regions.find((r) => r.id === json.region_id)?.name, ...json, active: false, created_at: iso(), created_by: "admin", cancelled_at: null, cancelled_by: null }; windows.unshift(w); return ok(w, 201); });
  on("POST", "/api/v1/maintenance-windows/{id}/cancel", ({ params }) => { const w = windows.find((x) => x.id === Number(params.id)); Object.assign(w, { cancelled_at: iso(), cancelled_by: "admin", active: false }); return ok(w); });
  on("DELETE", "/api/v1/maintenance-windows/{id}", ({ params }) => { const w = windows.find((x) => x.id === Number(params.id)); Object.assign(w, { cancelled_at: iso(), cancelled_by: "admin", active: false }); return { status: 204 }; });
}
