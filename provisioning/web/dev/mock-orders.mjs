// The mock's work orders, spare parts and codes for walls.

export function orders({ shared, on, ok, problem, page, iso, hex, tell, empty, schools, classrooms, devices }) {
  const HOUR = 3600e3;
  const MIN = 60e3;
  const schoolOf = (id) => schools.find((s) => s.id === Number(id));
  const roomOf = (id) => classrooms.find((c) => c.id === Number(id));
  const CLASS = { software: "application", lesson: "resource" };
  const order = (id, n, fault_class, symptom, state, ago, more = {}) => {
    const d = devices[n % Math.max(1, devices.length)];
    const c = roomOf(d?.classroom_id) ?? classrooms[0];
    const taken = !["new", "reopened"].includes(state);
    const done = ["repaired", "confirmed", "closed"].includes(state);
    return { id, kind: "repair", source: "fault", fault_id: null, incident_id: null, school_id: c.school_id, school: schoolOf(c.school_id).name, classroom_id: c.id, classroom: c.name, device_id: d.id, asset_id: null, class: CLASS[fault_class] ?? "infrastructure", fault_class, symptom, title: "", urgent: false, owner: "云溪镇中心小学", builder: "县电教馆", maintainer: "恒讯科技", area_id: 1, area: "云溪片区", assigned_to: taken ? 4 : null, assigned_name: taken ? "陈工（恒讯科技）" : null, state, since: iso(ago * 0.6 * HOUR), opened_at: iso(ago * HOUR), respond_due: taken ? null : iso(ago * HOUR - 2 * HOUR), repair_due: done ? null : iso(ago * HOUR - 24 * HOUR), overdue: !done && ago > 24, tier: ago > 40 ? 1 : 0, round: state === "reopened" ? 2 : 1, photos: 0, ...more };
  };
  const all = empty ? [] : [
    order(31, 0, "display", "flicker", "new", 1.2, { urgent: true, source: "qr" }),
    order(30, 3, "network", "offline", "new", 3.5, { overdue: true, source: "incident", incident_id: 7, title: "雷雨后 2 台没有恢复" }),
    order(29, 5, "sound", "none", "accepted", 8),
    order(28, 8, "touch", "offset", "on_site", 20),
    order(27, 11, "lesson", "not_playing", "accepted", 44, { tier: 1 }),
    order(26, 13, "accessory", "remote", "repaired", 30),
    order(25, 14, "software", "hangs", "reopened", 60),
    order(24, 16, "display", "black", "confirmed", 72),
    order(23, 2, "power", "restarts", "closed", 120),
    order(22, 1, undefined, "", "on_site", 90, { kind: "rectification", source: "hand", fault_class: null, class: "application", title: "关闭多余的远程桌面端口", classroom_id: null, classroom: null, device_id: null, overdue: false }),
    order(21, 19, "body", "cable", "cancelled", 200),
  ];
  shared.orders = all;
  const events = new Map();
  const ORDERED = ["accepted", "on_site", "repaired", "confirmed", "closed"];
  const eventsOf = (o) => {
    if (!events.has(o.id)) {
      const until = ORDERED.indexOf(o.state);
      const list = [{ act: "opened", state: "new", at: o.opened_at, by_kind: o.source === "hand" ? "user" : o.source === "qr" ? "qr" : o.source === "incident" ? "console" : "board", by: o.source === "hand" ? "zhang.min" : "", note: "" }];
      ORDERED.slice(0, o.state === "reopened" ? 3 : until + 1).forEach((act, i) => list.push({ act, state: act, at: new Date(Date.parse(o.opened_at) + (i + 1) * 40 * MIN).toISOString(), by_kind: act === "confirmed" ? "board" : "user", by: act === "confirmed" ? "" : "chen.gong", note: act === "repaired" ? "更换触摸框排线" : "" }));
      if (["reopened", "cancelled"].includes(o.state)) list.push({ act: o.state, state: o.state, at: o.since, by_kind: o.state === "reopened" ? "board" : "user", by: o.state === "reopened" ? "" : "zhang.min", note: o.state === "reopened" ? "" : "老师说是线没插好" });
      if (o.tier) list.push({ act: "climbed", state: o.state, at: iso(2 * HOUR), by_kind: "console", by: "", note: "" });
      events.set(o.id, list);
    }
    return events.get(o.id);
  };
  const NEXT = { new: ["accepted", "assigned", "noted", "cancelled"], reopened: ["accepted", "assigned", "noted", "cancelled"], accepted: ["on_site", "repaired", "assigned", "noted", "cancelled"], on_site: ["repaired", "assigned", "noted", "cancelled"], repaired: ["confirmed", "reopened", "closed", "noted"], confirmed: ["closed", "reopened"], closed: ["reopened"], cancelled: [] };
  const photos = new Map([[28, [{ id: 1, hash: hex(64), shows: "fault", width: 1600, height: 1200, size_bytes: 412000, added_at: iso(19 * HOUR), added_by: "chen.gong" }]]]);
  const used = new Map([[28, [{ part_id: 1, code: "TF-86", name: "触摸框排线", unit: "条", count: 1 }]]]);
  const detail = (o) => {
    const passed = (Date.now() - Date.parse(o.opened_at)) / 1000;
    const responded = o.assigned_to !== null;
    const repaired = ["repaired", "confirmed", "closed"].includes(o.state);
    return { incident: shared.incidents.find((i) => i.id === o.incident_id) ?? null, order: { ...o, photos: photos.get(o.id)?.length ?? 0 }, told: [{ user: "陈工", channel: "企业微信", reason: "order", state: "sent", sent_at: o.opened_at, error: null }], text: o.source === "hand" ? "市通报：3389 端口对校园网开放。" : "", due_on: o.kind === "rectification" ? new Date(Date.now() + 5 * 864e5).toISOString().slice(0, 10) : null,
      clocks: { response_wall_s: Math.round(responded ? 2400 : passed), response_class_s: Math.round(responded ? 1500 : passed * 0.3), responded, repair_wall_s: Math.round(repaired ? 7300 : passed), repair_class_s: Math.round(repaired ? 4100 : passed * 0.3), repaired, allowed: { clock: "class", respond_min: 60, repair_min: 480 }, response_kept: responded ? true : o.overdue ? false : null, repair_kept: repaired ? true : o.overdue && responded ? false : null },
      events: eventsOf(o), photos: photos.get(o.id) ?? [], parts: used.get(o.id) ?? [], next: NEXT[o.state] };
  };
  const order404 = (id, then) => { const o = all.find((x) => x.id === Number(id)); return o ? then(o) : problem(404, "not_found", "没有这张工单。"); };
  const OVER = ["closed", "cancelled"];
  on("GET", "/api/v1/orders", ({ q }) => ok(page(all.filter((o) => (!q.get("open") || (q.get("open") === "true") === !OVER.includes(o.state)) && (!q.get("state") || o.state === q.get("state")) && (!q.get("class") || o.class === q.get("class")) && (q.get("overdue") !== "true" || o.overdue) && (!q.get("school_id") || o.school_id === Number(q.get("school_id"))) && (!q.get("device_id") || o.device_id === q.get("device_id"))), q)));
  on("GET", "/api/v1/orders/counts", () => { const open = {}; for (const o of all) if (!OVER.includes(o.state)) open[o.state] = (open[o.state] ?? 0) + 1; return ok({ open, overdue: all.filter((o) => o.overdue).length, today: all.filter((o) => Date.now() - Date.parse(o.opened_at) < 10 * HOUR).length }); });
  on("GET", "/api/v1/orders/{id}", ({ params }) => order404(params.id, (o) => ok(detail(o))));
  const make = (more) => { const o = { ...order(all.length ? Math.max(...all.map((x) => x.id)) + 1 : 1, 0, "other", "", "new", 0), source: "hand", overdue: false, ...more }; all.unshift(o); tell("order", o.id); return ok(detail(o), 201); };
  on("POST", "/api/v1/orders", ({ json }) => { const c = roomOf(json.classroom_id); const s = schoolOf(json.school_id ?? c?.school_id); return make({ incident_id: json.incident_id ?? null, ...(json.incident_id ? { source: "incident" } : {}), title: json.title, fault_class: json.fault_class, urgent: Boolean(json.urgent), school_id: s.id, school: s.name, classroom_id: c?.id ?? null, classroom: c?.name ?? null, device_id: null }); });
  on("POST", "/api/v1/rectifications", ({ json }) => make({ kind: "rectification", fault_class: null, class: "application", title: json.title, school_id: json.school_id, school: schoolOf(json.school_id).name, classroom_id: null, classroom: null, device_id: null }));
  const did = (o, act, by, note, by_kind = "user") => { eventsOf(o).push({ act, state: o.state, at: iso(), by_kind, by, note: note ?? "" }); tell("order", o.id); return ok(detail(o)); };
  const STATE = { accept: "accepted", on_site: "on_site", repaired: "repaired", confirm: "confirmed", reopen: "reopened", close: "closed" };
  on("POST", "/api/v1/orders/{id}/work", ({ params, json }) => order404(params.id, (o) => { if (json.step === "note") return did(o, "noted", "admin", json.note); Object.assign(o, { state: STATE[json.step], since: iso(), assigned_to: 1, assigned_name: o.assigned_name ?? "王老师", respond_due: null }); return did(o, STATE[json.step], "admin", json.note); }));
  on("POST", "/api/v1/orders/{id}/verdict", ({ params, json }) => order404(params.id, (o) => { Object.assign(o, { state: STATE[json.step], since: iso() }); return did(o, STATE[json.step], "admin", json.note); }));
  on("PATCH", "/api/v1/orders/{id}", ({ params, json }) => order404(params.id, (o) => { if (json.cancel) Object.assign(o, { state: "cancelled", since: iso() }); if (json.urgent !== undefined) o.urgent = json.urgent; if (json.assign_to) Object.assign(o, { assigned_to: json.assign_to, assigned_name: "陈工（恒讯科技）" }); return did(o, json.cancel ? "cancelled" : json.assign_to ? "assigned" : "noted", "admin", json.note); }));
  on("POST", "/api/v1/orders/{id}/photos", ({ params, q }) => order404(params.id, (o) => { photos.set(o.id, [...(photos.get(o.id) ?? []), { id: Math.floor(Math.random() * 1e6), hash: hex(64), shows: q.get("shows") ?? "fault", width: 1600, height: 1200, size_bytes: 390000, added_at: iso(), added_by: "admin" }]); return did(o, "photo", "admin", ""); }));
  on("GET", "/api/v1/orders/{id}/photos/{photo}", () => ({ status: 200, raw: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"><rect width="400" height="300" fill="#c9d5df"/><rect x="60" y="50" width="280" height="170" rx="6" fill="#20303d"/><path d="M90 90l120 60-70 40 170 10" stroke="#9fd0f0" stroke-width="5" fill="none"/></svg>`, headers: { "content-type": "image/svg+xml" } }));
  on("POST", "/api/v1/orders/{id}/parts", ({ params, json }) => order404(params.id, (o) => { used.set(o.id, [...(used.get(o.id) ?? []), { part_id: json.part_id, code: "PSU-12", name: "12 V 电源", unit: "个", count: json.count }]); return did(o, "parts", "admin", ""); }));
  const codes = new Map(classrooms.map((c) => [c.id, c.id % 5 === 0 ? null : `R${String(c.id).padStart(3, "0")}K9TX`]));
  const wall = (school) => classrooms.filter((c) => c.school_id === Number(school)).map((c) => ({ classroom_id: c.id, classroom: c.name, code: codes.get(c.id), url: codes.get(c.id) ? `https://console.qingshan.example/r/${codes.get(c.id)}` : null }));
  on("GET", "/api/v1/schools/{id}/wall-codes", ({ params }) => ok(wall(params.id)));
  on("POST", "/api/v1/schools/{id}/wall-codes", ({ params }) => { for (const c of classrooms) if (!codes.get(c.id)) codes.set(c.id, `N${hex(6).toUpperCase()}`); return ok(wall(params.id)); });
}
