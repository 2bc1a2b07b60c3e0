// The mock's people, records, security events and roster: what mock.mjs answers beyond places, devices and lessons.
// User names choose what one may do: `admin` everything at the root, `auditor`, `school`, `content`, `nobody`, `totp` (code 123456), `locked`.
import { readFileSync } from "node:fs";

import { OPS_ACTIONS } from "./mock-ops.mjs";

const matrix = readFileSync(new URL("../../console/permissions.toml", import.meta.url), "utf8");
/** Action → roles, read from the console's own data. */
const ACTIONS = [...matrix.matchAll(/name = "([^"]+)"\nroles = \[([^\]]*)\]/g)].map(([, name, roles]) => ({ name, roles: [...roles.matchAll(/"([^"]+)"/g)].map((m) => m[1]) }));
const ROLES = [...matrix.matchAll(/^id = "([^"]+)"/gm)].map((m) => m[1]);
const actionsOf = (roles) => ACTIONS.filter((a) => a.roles[0] === "*" || a.roles.some((r) => roles.includes(r))).map((a) => a.name);

export function people({ on, ok, problem, page, iso, hex, tell, empty, regions, schools, devices }) {
  const county = regions[0] ? { kind: "region", id: 1, name: "青山县" } : { kind: "root", id: null, name: "" };
  const root = { kind: "root", id: null, name: "" };
  const school = schools[0] ? { kind: "school", id: 1, name: schools[0].name } : root;
  let ids = 100;
  const grants = (list) => list.map(([role, node]) => ({ id: ++ids, role, node }));
  const person = (id, username, display_name, list, more = {}) => ({ id, username, display_name, language: "zh-CN", kind: "local", disabled: false, totp: false, locked_until: null, last_sign_in_at: iso(id * 3600e3), grants: grants(list), ...more });
  const users = [
    person(1, "admin", "王老师", [["system_admin", root], ["county_operator", root], ["content_officer", root]], { totp: true, last_sign_in_at: iso(4 * 60e3) }),
    ...(empty ? [] : [
      person(2, "zhang.min", "张敏", [["county_operator", county]], { totp: true }),
      person(3, "liu.yang", "刘洋", [["content_officer", county]]),
      person(4, "chen.gong", "陈工（恒讯科技）", [["technician", { kind: "region", id: 2, name: "云溪镇" }], ["technician", { kind: "region", id: 3, name: "石门乡" }]], { locked_until: iso(-9 * 60e3) }),
      person(5, "sun.xz", "孙校长", [["school_admin", school]]),
      person(6, "shenji", "审计账户", [["auditor", root]], { kind: "oidc" }),
      person(7, "zhao.lei", "赵磊", [["county_operator", county], ["content_officer", county], ["technician", county], ["school_admin", school], ["auditor", county]], { disabled: true }),
      person(8, "yingji", "应急账户", [["system_admin", root]], { kind: "break_glass", totp: true, last_sign_in_at: null }),
      person(9, "new.one", "周新", [], { last_sign_in_at: null }),
    ]),
  ];
  const sessions = () => [
    { id: "s1", created_at: iso(4 * 60e3), last_seen_at: iso(5e3), address: "10.20.3.15", user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0", method: "password+totp", current: true },
    { id: "s2", created_at: iso(26 * 3600e3), last_seen_at: iso(2 * 3600e3), address: "10.20.8.102", user_agent: "Mozilla/5.0 (Linux; Android 12; HarmonyOS) AppleWebKit/537.36 Chrome/114.0 Mobile Safari/537.36", method: "password+totp", current: false },
    { id: "s3", created_at: iso(70 * 3600e3), last_seen_at: iso(69 * 3600e3), address: "192.168.1.44", user_agent: "curl/8.5.0", method: "password", current: false },
  ];
  let mine = sessions();
  let current = "admin";
  const rolesFor = { auditor: [["auditor", root]], school: [["school_admin", school]], content: [["content_officer", county]], nobody: [] };
  const session = () => {
    const list = rolesFor[current] ? grants(rolesFor[current]) : users[0].grants;
    const roles = list.map((g) => g.role);
    return { username: current, display_name: "王老师", language: "zh-CN", method: "password", totp: false, actions: roles.includes("system_admin") ? [...new Set([...OPS_ACTIONS, ...actionsOf(roles), ...actionsOf(["auditor"])])] : actionsOf(roles), grants: list };
  };
  let wrong = 0;
  on("GET", "/api/v1/session/options", () => ok({ oidc: process.env.MOCK_OIDC === "off" ? null : { name: "省教育统一认证" }, local: true }));
  on("GET", "/api/v1/session/oidc", () => ({ status: 302, headers: { location: "/sign-in?problem=oidc_unavailable&detail=connect%3A%20timed%20out%20after%205%20s" } }));
  on("POST", "/api/v1/session", ({ json }) => {
    if (json.username === "locked" || (json.password !== "demo-demo" && (wrong += 1) > 7)) return { ...problem(429, "too_many_attempts", "登录失败次数过多，请 27 秒后再试。"), headers: { "retry-after": "27" } };
    if (json.password !== "demo-demo") return problem(401, "wrong_password", "用户名或密码不正确，请重新输入。");
    if (json.username === "totp" && !json.totp) return problem(401, "totp_required", "密码正确，请再输入动态口令（手机验证器上的 6 位数字）。");
    if (json.username === "totp" && json.totp !== "123456") return problem(401, "totp_wrong", "动态口令不正确或已用过；请等验证器换出下一组数字再输入。");
    current = json.username;
    const token = hex(32);
    return { ...ok(session()), token, headers: { "set-cookie": `bbt_session=${token}; HttpOnly; SameSite=Strict; Path=/` } };
  });
  on("GET", "/api/v1/session", () => ok(session()));

  const me = { totp: false };
  on("GET", "/api/v1/account", () => ok({ username: current, display_name: "王老师", language: "zh-CN", kind: "local", totp: me.totp, password_changed_at: iso(40 * 86400e3), grants: session().grants }));
  on("PATCH", "/api/v1/account", () => ok({}));
  on("POST", "/api/v1/account/password", ({ json }) => (json.current === "demo-demo" ? ((mine = mine.filter((s) => s.current)), { status: 204 }) : problem(401, "wrong_password", "用户名或密码不正确，请重新输入。")));
  on("POST", "/api/v1/account/totp", ({ json }) => {
    if (json.password !== "demo-demo") return problem(401, "wrong_password", "用户名或密码不正确，请重新输入。");
    const cells = Array.from({ length: 29 * 29 }, (_, i) => ((i * 7919) % 13 < 6 ? `<rect x="${2 + (i % 29)}" y="${2 + Math.floor(i / 29)}" width="1" height="1"/>` : "")).join("");
    return ok({ secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", uri: "otpauth://totp/x", qr_svg: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 33 33"><rect width="33" height="33" fill="#fff"/>${cells}</svg>` });
  });
  on("POST", "/api/v1/account/totp/confirm", ({ json }) => (json.code === "123456" ? ((me.totp = true), { status: 204 }) : problem(401, "totp_wrong", "动态口令不正确或已用过；请等验证器换出下一组数字再输入。")));
  on("DELETE", "/api/v1/account/totp", () => ((me.totp = false), { status: 204 }));
  on("GET", "/api/v1/account/sessions", () => ok({ items: mine }));
  on("DELETE", "/api/v1/account/sessions/{id}", ({ params }) => ((mine = mine.filter((s) => s.id !== params.id)), { status: 204 }));

  const one = (id, then) => { const u = users.find((x) => x.id === Number(id)); return u ? then(u) : problem(404, "not_found", `找不到用户 ${id}，可能已被删除；请刷新列表后重试。`); };
  on("GET", "/api/v1/users", ({ q }) => ok(page(users.filter((u) => !q.get("q") || `${u.username} ${u.display_name}`.includes(q.get("q"))), q)));
  on("POST", "/api/v1/users", ({ json }) => {
    if (users.some((u) => u.username === json.username)) return problem(409, "already_exists", `用户 ${json.username} 已存在；请换一个名称或编号。`);
    const u = person(users.length + 1, json.username, json.display_name, [], { kind: json.kind, last_sign_in_at: null });
    u.grants = json.grants.map((g) => ({ id: ++ids, role: g.role, node: node(g) }));
    users.push(u);
    return ok({ id: u.id, password: json.password || json.kind === "oidc" ? null : "k7wxe-9mnhd-tq4rz-3vbfa" }, 201);
  });
  const node = (g) => (g.region_id ? { kind: "region", id: g.region_id, name: regions.find((r) => r.id === g.region_id)?.name } : g.school_id ? { kind: "school", id: g.school_id, name: schools.find((s) => s.id === g.school_id)?.name } : root);
  on("GET", "/api/v1/users/{id}", ({ params }) => one(params.id, ok));
  on("PATCH", "/api/v1/users/{id}", ({ params, json }) => one(params.id, (u) => ok(Object.assign(u, json))));
  on("DELETE", "/api/v1/users/{id}", ({ params }) => one(params.id, () => problem(409, "conflict", "当前状态下不能这样做；原因见详情。", "this account has 14 records in the audit log; disable it instead")));
  on("POST", "/api/v1/users/{id}/password", ({ params }) => one(params.id, () => ok({ password: "h2pqv-7xkta-m9dce-4wzfr" })));
  on("DELETE", "/api/v1/users/{id}/totp", ({ params }) => one(params.id, (u) => ((u.totp = false), { status: 204 })));
  on("GET", "/api/v1/users/{id}/sessions", ({ params }) => one(params.id, (u) => ok({ items: u.last_sign_in_at ? sessions().slice(1).map((s) => ({ ...s, current: false })) : [] })));
  on("DELETE", "/api/v1/users/{id}/sessions/{session}", () => ({ status: 204 }));
  on("POST", "/api/v1/users/{id}/grants", ({ params, json }) => one(params.id, (u) => { const g = { id: ++ids, role: json.role, node: node(json) }; u.grants.push(g); tell("user", u.id); return ok({ id: g.id }, 201); }));
  on("DELETE", "/api/v1/users/{id}/grants/{grant}", ({ params }) => one(params.id, (u) => {
    const g = u.grants.find((x) => x.id === Number(params.grant));
    if (u.id === 1 && g?.role === "system_admin") return problem(409, "last_admin", "这样会让系统没有任何系统管理员，已拒绝；请先给另一个账户授权。");
    u.grants = u.grants.filter((x) => x !== g);
    return { status: 204 };
  }));
  on("GET", "/api/v1/roles", () => ok({ roles: ROLES.map((id) => ({ id, actions: actionsOf([id]) })) }));

  const did = [
    ["user", "admin", "session.open", "done", "user", "admin", null, null, { method: "password+totp" }],
    ["user", "zhang.min", "pushes.write", "done", "push", "3", "青山县", null, { target: "青山县", lessons: ["math-3-multiple"] }],
    ["user", "sun.xz", "devices.standing", "refused", "device", devices[3]?.id ?? "", "云溪镇", "云溪镇中心小学", { code: "forbidden" }],
    ["user", "chen.gong", "tickets.issue", "done", "batch", "2", "云溪镇", "云溪镇中心小学", { classrooms: 24, ttl_hours: 336 }],
    ["device", devices[0]?.id ?? "", "devices.enrol", "done", "device", devices[0]?.id ?? "", "云溪镇", "云溪镇中心小学", { serial: "QS20261100", ticket: 12 }],
    ["cli", "root", "lessons.write", "done", "lesson", "math-3-multiple", null, null, { version: 2 }],
    ["user", "unknown-name", "session.open", "refused", "", "", null, null, { code: "wrong_password" }],
    ["user", "admin", "users.write", "done", "user", "4", "云溪镇", null, { granted: "technician", node: "region 2" }],
    ["user", "zhang.min", "roster.import", "done", "region", "1", "青山县", null, { schools_added: 2, classrooms_added: 27 }],
    ["user", "liu.yang", "lessons.write", "failed", "lesson", "sci-4-sound", null, null, { code: "disk_full" }],
  ];
  const rows = empty ? [] : Array.from({ length: 137 }, (_, i) => {
    const [actor_kind, actor, action, outcome, object_kind, object, region, school_name, detail] = did[i % did.length];
    return { seq: 137 - i, at: iso(i * 47 * 60e3 + 90e3), actor_kind, actor, action, outcome, object_kind, object, region: null, school: null, place: school_name ?? region ?? "", address: actor_kind === "cli" ? "" : `10.20.3.${15 + (i % 9)}`, request_id: `01J${hex(10).toUpperCase()}`, detail, hash: hex(64) };
  });
  const wanted = (q) => rows.filter((r) => (!q.get("actor") || r.actor === q.get("actor")) && (!q.get("action") || r.action === q.get("action")) && (!q.get("object") || [r.object, `${r.object_kind}:${r.object}`].includes(q.get("object"))) && (!q.get("outcome") || r.outcome === q.get("outcome")) && (!q.get("q") || JSON.stringify(r).includes(q.get("q"))) && (!q.get("from") || r.at >= q.get("from")) && (!q.get("to") || r.at < q.get("to")));
  on("GET", "/api/v1/audit", ({ q }) => ok(page(wanted(q), q)));
  on("GET", "/api/v1/audit/export", ({ q }) => ({ status: 200, raw: wanted(q).map((r) => JSON.stringify(r)).join("\n"), headers: { "content-type": "application/x-ndjson", "content-disposition": "attachment; filename=audit.ndjson" } }));
  on("GET", "/api/v1/audit/verify", () => ok(process.env.MOCK_BROKEN ? { ok: false, entries: rows.length, head_hash: hex(64), broken_at: 84, reason: "entry 84: the stored hash is not the hash of the entry" } : { ok: true, entries: rows.length, head_hash: rows[0]?.hash ?? hex(64), signed_at: iso(9 * 60e3), signed_seq: rows.length, broken_at: null, reason: null }));

  const events = empty ? [] : [
    { id: 5, kind: "clone_suspected", device_id: devices[2]?.id, school: "云溪镇中心小学", address: "192.168.1.77", detail: { clone_id: 1, mark: "mcu" }, first_at: iso(3 * 3600e3), last_at: iso(6 * 60e3), times: 14 },
    { id: 4, kind: "ticket_guessing", address: "10.31.0.9", detail: { last_seconds: 60 }, first_at: iso(80 * 60e3), last_at: iso(22 * 60e3), times: 37 },
    { id: 3, kind: "dead_identity_called", device_id: devices[5]?.id, school: "云溪镇中心小学", address: "223.104.20.5", detail: { standing: "stolen", door: "mqtt" }, first_at: iso(9 * 3600e3), last_at: iso(9 * 3600e3), times: 1 },
    { id: 2, kind: "break_glass_used", address: "10.20.3.15", detail: { username: "yingji" }, first_at: iso(50 * 3600e3), last_at: iso(50 * 3600e3), times: 1, acknowledged_at: iso(49 * 3600e3), acknowledged_by: "zhang.min" },
    { id: 1, kind: "foreign_name", device_id: devices[3]?.id, school: "云溪镇中心小学", address: "192.168.1.23", detail: { topic: "bbt/v1/d/…/telemetry", reason: "payload names another device" }, first_at: iso(90 * 3600e3), last_at: iso(90 * 3600e3), times: 2, acknowledged_at: iso(80 * 3600e3), acknowledged_by: "zhang.min" },
  ];
  on("GET", "/api/v1/security-events", ({ q }) => ok({ items: events.filter((e) => q.get("open") !== "true" || !e.acknowledged_at).map((e) => ({ device_id: null, school: null, acknowledged_at: null, acknowledged_by: null, ...e })) }));
  on("DELETE", "/api/v1/security-events/{id}/acknowledge", ({ params }) => { const e = events.find((x) => x.id === Number(params.id)); Object.assign(e, { acknowledged_at: null, acknowledged_by: null }); tell("security", e.id); return { status: 204 }; });
  on("POST", "/api/v1/security-events/{id}/acknowledge", ({ params }) => { const e = events.find((x) => x.id === Number(params.id)); Object.assign(e, { acknowledged_at: iso(), acknowledged_by: current }); tell("security", e.id); return { status: 204 }; });

  on("GET", "/api/v1/roster/template", () => ({ status: 200, raw: "x", headers: { "content-type": "application/octet-stream", "content-disposition": "attachment; filename=roster.xlsx" } }));
  let imported = false;
  on("POST", "/api/v1/regions/{id}/roster", ({ q, raw }) => {
    const apply = q.get("apply") === "true";
    const base = { applied: false, rows: 42, schools: { added: 1, changed: 1, same: 1 }, classrooms: { added: 12, changed: 2, same: 25 }, change_count: 16, changes: [], errors: [], error_count: 0 };
    const counts = (added, changed, same) => ({ added, changed, same });
    if (raw.includes("filename=\"bad")) return ok({ ...base, schools: counts(1, 0, 1), change_count: 0, error_count: 4, errors: [
      { sheet: "学校", row: 3, column: "学校标识码", code: "duplicate", message: "标识码 3145000101 在第 2 行已经出现过；请核对哪一行是对的，删除另一行。" },
      { sheet: "学校", row: 5, column: "签约下行带宽（Mbps）", code: "not_a_number", message: "“一百兆”不是数字；请只填数字，例如 100。" },
      { sheet: "教室", row: 17, column: "学校标识码", code: "unknown_school", message: "标识码 3145009999 不在“学校”表里，系统里也没有；请先在“学校”表加上这所学校，或改正标识码。" },
      { sheet: "教室", row: 20, column: "", code: "merged", message: "这一行有合并单元格；请取消合并，并在每个单元格里都填上内容。" },
    ] });
    if (imported) return ok({ ...base, applied: apply, schools: counts(0, 0, 3), classrooms: counts(0, 0, 39), change_count: 0 });
    if (apply) imported = true;
    return ok({ ...base, applied: apply, changes: [
      { kind: "township_added", code: "", name: "白水乡", what: [] },
      { kind: "school_added", code: "3145000103", name: "白水乡中心小学", what: [] },
      { kind: "school_changed", code: "3145000101", name: "云溪镇中心小学", what: ["签约下行带宽（Mbps）：50 → 100"] },
      { kind: "classroom_changed", code: "3145000101/302", name: "三年级（2）班", what: ["名称：三年级（二）班 → 三年级（2）班", "运维方： → 恒讯科技"] },
      ...Array.from({ length: 12 }, (_, i) => ({ kind: "classroom_added", code: `3145000103/${101 + i}`, name: `${"一二三四五六"[Math.floor(i / 2)]}年级（${1 + (i % 2)}）班`, what: [] })),
    ] });
  });
}
