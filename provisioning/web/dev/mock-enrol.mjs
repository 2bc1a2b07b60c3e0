// The mock's ways in and identities: tickets and batches of them, boards that wait, copied disks, standing and certificates.

export function enrol({ on, ok, problem, iso, hex, tell, empty, classrooms, schools, devices, tickets }) {
  const DAY = 86_400e3;
  const roomOf = (id) => classrooms.find((c) => c.id === Number(id));
  const schoolOf = (id) => schools.find((s) => s.id === Number(id));
  const next = (rows) => rows.reduce((n, r) => Math.max(n, r.id), 0) + 1;
  const CODES = ["7K3M-9QXZ-C", "2F8H-T4WN-6", "PX3J-0RCB-V", "9MZ6-K2DY-1"];
  const issued = (id, serial) => ({ id, typed_code: CODES[id % 4], label_url: `https://console.qingshan.example/claim#code=${CODES[id % 4].replaceAll("-", "")}`, ticket: { console_url: "https://console.qingshan.example:8443", code: CODES[id % 4].slice(0, 9).replace("-", ""), ca_pem: "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", expires_at: iso(-72 * 3600e3), ...(serial ? { serial } : {}) } });
  on("GET", "/api/v1/tickets", () => ok({ items: tickets.map((t) => ({ serial: null, replaces: null, batch_id: null, ...t, console_url: "https://console.qingshan.example:8443", state: t.used_at ? "used" : t.revoked_at ? "revoked" : Date.parse(t.expires_at) < Date.now() ? "expired" : "open", classroom: roomOf(t.classroom_id)?.name ?? "", school_id: t.school_id ?? roomOf(t.classroom_id).school_id, school: schoolOf(t.school_id ?? roomOf(t.classroom_id).school_id).name })) }));
  on("POST", "/api/v1/tickets", ({ json }) => {
    const t = { id: next(tickets), classroom_id: null, ...json, created_at: iso(), expires_at: iso(-(json.ttl_hours ?? 72) * 3600e3), used_at: null, revoked_at: null, device_id: null };
    tickets.unshift(t);
    return ok(issued(t.id, json.serial), 201);
  });
  on("DELETE", "/api/v1/tickets/{id}", ({ params }) => { tickets.find((t) => t.id === Number(params.id)).revoked_at = iso(); return { status: 204 }; });

  const batches = empty ? [] : [
    { id: 2, school_id: 1, school: schools[0].name, created_at: iso(2 * 3600e3), created_by: "admin", expires_at: iso(-13.9 * DAY), total: 24, used: 17, open: 7 },
    { id: 1, school_id: 2, school: schools[1].name, created_at: iso(9 * DAY), created_by: "chen.gong", expires_at: iso(2 * DAY), total: 3, used: 3, open: 0 },
  ];
  on("GET", "/api/v1/ticket-batches", () => ok({ items: batches }));
  on("POST", "/api/v1/ticket-batches", ({ json }) => {
    const rooms = classrooms.filter((c) => c.school_id === json.school_id).slice(0, 8);
    const b = { id: next(batches), school_id: json.school_id, school: schoolOf(json.school_id).name, created_at: iso(), created_by: "admin", expires_at: iso(-json.ttl_hours * 3600e3), total: rooms.length, used: 0, open: rooms.length };
    batches.unshift(b);
    return ok({ id: b.id, school: b.school, expires_at: b.expires_at, tickets: rooms.map((c, i) => ({ id: 50 + i, classroom_id: c.id, classroom: c.name, typed_code: CODES[i % 4] })) }, 201);
  });
  on("DELETE", "/api/v1/ticket-batches/{id}", ({ params }) => { batches.find((b) => b.id === Number(params.id)).open = 0; return { status: 204 }; });
  on("GET", "/api/v1/ticket-batches/{id}/sheet.pdf", () => ({ status: 200, raw: "%PDF-1.4", headers: { "content-type": "application/pdf" } }));
  on("GET", "/api/v1/ticket-batches/{id}/usb.zip", () => ({ status: 200, raw: "PK", headers: { "content-type": "application/zip" } }));
  on("GET", "/api/v1/county.json", () => ok({ county: "青山县", console_url: "https://console.qingshan.example:8443", ca_pem: "" }));
  on("POST", "/api/v1/usb-requests", () => ok({
    items: [{ name: "301-67c9eb06.json", serial: "QS20261101", device_id: "bbt-9f2c11aa" }, { name: "302-1d20aa7f.json", serial: "QS20261102", device_id: null, problem: "ticket_used", message: "这个注册码已被终端 bbt-77aa01cd 使用。请为这间教室另签发一个注册码，再让终端重新写 U 盘。" }],
    replies: { "301-67c9eb06.json": { payload: "…", signature: "…" } },
  }));

  const copied = devices[2];
  const claims = empty ? [] : [
    { id: 1, fingerprint: "7K3M-9QXZ", serial: "QS20262001", board: "rk3568-tv-rev-b", agent_version: "0.1.0", address: "10.20.31.88", first_seen_at: iso(9 * 60e3), last_seen_at: iso(2e3) },
    { id: 2, fingerprint: "2F8H-T4WN", serial: "QS20262002", board: "x86-ops-c", agent_version: "0.1.0", address: "10.20.31.91", first_seen_at: iso(6 * 60e3), last_seen_at: iso(4e3) },
    { id: 3, fingerprint: "PX3J-0RCB", serial: "QS20261199", board: "x86-ops-c", agent_version: "0.1.0", address: "10.20.44.7", first_seen_at: iso(3 * 60e3), last_seen_at: iso(1e3), copy_of: copied.id },
  ];
  const waiting = () => claims.filter((c) => !c.decision);
  const claimOr404 = (found, then) => (found ? then(found) : problem(404, "claim_unknown", "没有这台等待注册的终端，可能已经处理过。请刷新列表。"));
  const enrolled = (claim) => { claim.decision = "approved"; claim.device_id = `bbt-${hex(8)}`; tell("claim", claim.id); return ok({ device_id: claim.device_id }); };
  on("GET", "/api/v1/claims", () => ok({ items: waiting() }));
  on("GET", "/api/v1/claims/by-fingerprint/{fingerprint}", ({ params }) => claimOr404(claims.find((c) => c.fingerprint.replace("-", "") === params.fingerprint.replace("-", "").toUpperCase()), ok));
  on("POST", "/api/v1/claims/{id}/approve", ({ params }) => claimOr404(claims.find((c) => c.id === Number(params.id)), enrolled));
  on("POST", "/api/v1/claims/{id}/refuse", ({ params }) => claimOr404(claims.find((c) => c.id === Number(params.id)), (c) => { c.decision = "refused"; return { status: 204 }; }));

  const clone = (id, device, more) => ({ id, device_id: device.id, school: schoolOf(roomOf(device.classroom_id).school_id).name, classroom: roomOf(device.classroom_id).name, mark: "serial", boot_id: hex(32), address: "10.20.44.7", original_address: "10.20.31.23", first_seen_at: iso(26 * 60e3), last_seen_at: iso(3e3), times: 14, state: "quarantined", claim_id: null,
    original: { serial: device.serial, mcu_id: "0a41-77c2-91be", disk_id: "nvme-S4EVNX0R318772", macs: ["3c:6a:2c:10:22:01"] }, hardware: { serial: "QS20261199", mcu_id: "0a41-77c2-a003", disk_id: "nvme-S4EVNX0R318772", macs: ["3c:6a:2c:10:7f:c4"] }, ...more });
  const clones = empty ? [] : [
    clone(2, copied, { claim_id: 3 }),
    clone(1, devices[6], { mark: "boots", times: 3, first_seen_at: iso(5 * DAY), last_seen_at: iso(5 * DAY), hardware: { serial: devices[6].serial, disk_id: "nvme-S4EVNX0R318801", macs: ["3c:6a:2c:10:22:09"] }, original: { serial: devices[6].serial, disk_id: "nvme-S4EVNX0R318801", macs: ["3c:6a:2c:10:22:09"] } }),
  ];
  const decide = (state) => ({ params }) => { clones.find((c) => c.id === Number(params.id)).state = state; tell("security", params.id); return { status: 204 }; };
  on("GET", "/api/v1/clones", () => ok({ items: clones }));
  on("POST", "/api/v1/clones/{id}/enrol", ({ params }) => { const c = clones.find((x) => x.id === Number(params.id)); c.state = "enrolled"; return enrolled(claims.find((x) => x.id === c.claim_id)); });
  on("POST", "/api/v1/clones/{id}/accept", decide("accepted"));
  on("POST", "/api/v1/clones/{id}/dismiss", decide("dismissed"));

  const words = new Map(devices.filter((d) => d.standing === "stolen").map((d) => [d.id, { at: iso(2 * DAY), reason: "放学后丢失，已报警", contact: "青山县电教馆 0000-1234567" }]));
  const known = (id, then) => { const d = devices.find((x) => x.id === id); return d ? then(d) : problem(404, "device_unknown", `没有编号为 ${id} 的终端。请从终端列表中重新选择。`); };
  on("GET", "/api/v1/devices/{id}/identity", ({ params }) => known(params.id, (d) => ok({
    device_id: d.id, standing: d.standing, standing_at: words.get(d.id)?.at ?? null, standing_reason: words.get(d.id)?.reason ?? "", standing_contact: words.get(d.id)?.contact ?? "",
    hardware: { serial: d.serial, mcu_id: "0a41-77c2-91be", disk_id: "nvme-S4EVNX0R318772", macs: ["3c:6a:2c:10:22:01"] }, clock_trust: d.state === "online" ? "console" : "rtc", predecessor: d === devices[1] ? "bbt-0a1b2c3d" : null, successor: null,
    certificates: [{ serial: "5a17c30f9e44b1d20c5de8f2a90b", state: d.standing === "active" ? "current" : "revoked", issued_at: iso(20 * DAY), not_after: iso(-710 * DAY) }, { serial: "10f29ce7730ad1b4e9c4408e11a2", state: "retired", issued_at: iso(400 * DAY), not_after: iso(-330 * DAY) }],
    clones: clones.filter((c) => c.device_id === d.id),
  })));
  const stands = (standing) => ({ params, json }) => known(params.id, (d) => { d.standing = standing; words.set(d.id, { at: iso(), reason: json.reason, contact: json.contact ?? "" }); tell("standing", d.id); return { status: 204 }; });
  on("POST", "/api/v1/devices/{id}/revoke", stands("revoked"));
  on("POST", "/api/v1/devices/{id}/stolen", stands("stolen"));
  on("POST", "/api/v1/devices/{id}/unlock", ({ params }) => known(params.id, (d) => { d.standing = "revoked"; return ok({ unlock: { payload: "…", signature: "…" } }); }));
  on("POST", "/api/v1/devices/{id}/replace", ({ params }) => known(params.id, () => ok(issued(9), 201)));
}
