// The mock's lists: saved views, devices as the console narrows and sorts them, one order to many, what happened to a device.
//   MOCK_DEVICES=5000 node dev/mock.mjs   a whole county: schools with coordinates, thousands of devices

/** Adds schools and devices up to `count`, spread over twelve townships. */
export function county({ regions, schools, classrooms, devices, count, iso, rand, hex, GiB }) {
  if (!(count > devices.length)) return;
  const places = ["清水镇", "白石镇", "柳河镇", "大湾乡", "龙泉镇", "红岩乡", "新安镇", "凤鸣镇", "马鞍乡", "青龙镇"];
  places.forEach((name, i) => regions.push({ id: 10 + i, parent_id: 1, kind: "township", name }));
  let room = 1000;
  for (let n = 0; devices.length < count; n += 1) {
    const region = 10 + (n % places.length);
    const point = n % 5 === 4;
    const id = 100 + n;
    schools.push({ id, region_id: region, code: `31450${10000 + n}`, name: `${places[region - 10].slice(0, -1)}第${n + 1}${point ? "教学点" : n % 3 ? "小学" : "中学"}`, kind: point ? "teaching_point" : "school", contracted_down_mbps: 100, contracted_up_mbps: 20, latitude: 25.2 + (n % 17) * 0.031 + rand() * 0.02, longitude: 110.1 + ((n * 7) % 23) * 0.034 + rand() * 0.02 });
    const rooms = point ? 3 : 8 + Math.floor(rand() * 32);
    const bad = n % 19 === 3 ? 0.9 : n % 11 === 2 ? 0.3 : n % 4 === 1 ? 0.08 : 0;
    for (let i = 0; i < rooms && devices.length < count; i += 1) {
      const c = { id: (room += 1), school_id: id, code: String(i + 1), name: `${"一二三四五六"[i % 6]}年级（${Math.floor(i / 6) + 1}）班`, grade: `${"一二三四五六"[i % 6]}年级` };
      classrooms.push(c);
      const state = rand() < bad ? "offline" : rand() < 0.12 ? "off" : rand() < 0.01 ? "unknown" : "online";
      devices.push({
        id: `bbt-${hex(8)}`, serial: `QS2026${10000 + devices.length}`, board: i % 3 ? "x86-ops-c" : "rk3568-tv-rev-b", agent_version: i % 7 ? "0.1.0" : "0.0.9", standing: "active", classroom_id: c.id, state,
        last_seen_at: iso(state === "online" ? rand() * 40e3 : rand() * 90 * 3600e3), enrolled_at: iso((3 + i / 10) * 86400e3), wanted_generation: 4, held_generation: 4, disk_total_bytes: 58 * GiB, disk_free_bytes: (2 + rand() * 40) * GiB,
        cpu_percent: 4 + rand() * 40, memory_percent: 35 + rand() * 30, temperature_celsius: 41 + rand() * 24, player_urls: [], held: [{ lesson_id: "math-3-multiple", state: i % 9 ? "ready" : "fetching", done: 1 }, { lesson_id: "cn-3-autumn", state: i % 41 ? "ready" : "failed", done: 1 }],
      });
    }
  }
}

export function lists({ on, ok, problem, page, iso, hex, devices, schools, summary, under, tell, empty }) {
  const WHY = { online: "connected", offline: "lost", off: "after_hours", unknown: "never_heard" };
  const row = (d) => ({ ...summary(d), state_why: WHY[d.state], state_since: d.last_seen_at });
  const words = (q, key) => (q.get(key) ? q.get(key).split(",") : null);
  const lessonsOf = (d) => (d.lessons_failed ? "failed" : !d.lessons_assigned ? "none" : d.lessons_ready === d.lessons_assigned ? "ready" : "arriving");
  const find = (q) => {
    const num = (key) => (q.get(key) ? Number(q.get(key)) : null);
    return devices.map(row).filter((d) =>
      (!words(q, "state") || words(q, "state").includes(d.state)) && (!words(q, "why") || words(q, "why").includes(d.state_why)) && (!words(q, "standing") || words(q, "standing").includes(d.standing))
      && (!words(q, "lessons") || words(q, "lessons").includes(lessonsOf(d))) && (!num("school_id") || d.school_id === num("school_id")) && (!num("region_id") || under(num("region_id")).includes(schools.find((s) => s.id === d.school_id).region_id))
      && (!q.get("board") || d.board === q.get("board")) && (!q.get("agent_version") || d.agent_version === q.get("agent_version")) && (!num("temperature_from") || d.temperature_celsius >= num("temperature_from"))
      && (!num("disk_free_below_percent") || (d.disk_free_bytes / d.disk_total_bytes) * 100 < num("disk_free_below_percent")) && (!q.get("silent_since") || !d.last_seen_at || d.last_seen_at < q.get("silent_since"))
      && (!q.get("q") || `${d.id} ${d.serial} ${d.school} ${d.classroom}`.includes(q.get("q"))));
  };
  const FIELD = { agent_version: "agent_version", place: "school" };
  const sorted = (rows, sort) => {
    if (!sort) return rows;
    const down = sort.startsWith("-");
    const key = FIELD[sort.replace("-", "")] ?? sort.replace("-", "");
    return [...rows].sort((a, b) => { const [x, y] = down ? [b[key], a[key]] : [a[key], b[key]]; return x < y ? -1 : x > y ? 1 : 0; });
  };
  on("GET", "/api/v1/devices", ({ q }) => ok(page(sorted(find(q), q.get("sort")), q)));
  on("GET", "/api/v1/devices/choices", () => {
    const count = (key) => [...devices.reduce((m, d) => m.set(d[key], (m.get(d[key]) ?? 0) + 1), new Map())].map(([value, n]) => ({ value, count: n }));
    return ok({ boards: count("board"), agent_versions: count("agent_version") });
  });
  on("POST", "/api/v1/devices/bulk", ({ json }) => {
    const q = new URLSearchParams(Object.entries(json.filter ?? {}).map(([k, v]) => [k, String(v)]));
    const all = json.filter ? find(q) : json.ids.map((id) => row(devices.find((d) => d.id === id)));
    if (!json.dry_run && json.expected !== all.filter((d) => d.standing === "active").length) return problem(409, "conflict", "范围内的终端已经变化，没有下达任何指令。请重新确认。");
    const items = all.map((d) => ({ device_id: d.id, school: d.school, classroom: d.classroom, state: d.state, result: d.standing !== "active" ? "skipped" : json.dry_run ? "ready" : "queued", command_id: null, reason: d.standing !== "active" ? d.standing : null }));
    const can = items.filter((i) => i.result !== "skipped");
    return ok({ dry_run: json.dry_run, devices: can.length, online: can.filter((i) => i.state === "online").length, classrooms: new Set(can.map((i) => i.school + i.classroom)).size, schools: new Set(can.map((i) => i.school)).size, skipped: items.length - can.length, items });
  });
  on("GET", "/api/v1/devices/{id}/timeline", ({ q }) => {
    const H = 3600e3;
    const e = (ago, kind, what, reference = null, by = null, detail = {}) => ({ at: iso(ago), kind, what, reference, by, detail });
    const all = empty ? [] : [
      e(0.4 * H, "state", "online", null, null, { why: "connected" }), e(0.41 * H, "event", "booted", null, null, { reason: "power_loss", off_s: 1800 }), e(0.5 * H, "incident", "back", "7", null, { topic: "connectivity", severity: "critical", cause: "power" }),
      e(0.9 * H, "alert", "raised", "7", null, { rule: "school_lost", severity: "critical" }), e(0.92 * H, "state", "offline", null, null, { why: "lost" }), e(2 * H, "command", "succeeded", "c-1", "admin", { kind: "notice" }), e(5 * H, "push", "arrived", "3"),
      e(5.3 * H, "push", "pushed", "3", "liu.yang", { lessons: 1, target: "region" }), e(26 * H, "order", "repaired", "12", "chen.gong", {}), e(28 * H, "order", "opened", "12", "sun.xz", {}), e(30 * H, "event", "usb", null, null, { action: "attached", ids: "0781:5567", classes: [8], unlisted: true }),
      e(50 * H, "audit", "devices.move", null, "zhang.min", { outcome: "done" }), e(51 * H, "audit", "devices.command", null, "sun.xz", { outcome: "refused" }), e(80 * H, "identity", "renewed"), e(160 * H, "identity", "enrolled", null, "admin"),
    ];
    const kinds = words(q, "kinds");
    return ok({ items: all.filter((one) => !kinds || kinds.includes(one.kind)), next: null, left_out: [] });
  });

  let id = 3;
  const views = empty ? [] : [
    { id: 1, list: "devices", name: "离线超过一天", query: "state=offline&silent=1", columns: [], mine: true, owner: "王老师", shared: true, region_id: 1, school_id: null, place: "青山县", updated_at: iso(86400e3) },
    { id: 2, list: "devices", name: "太热的", query: "hot=60&sort=-temperature_celsius", columns: ["state", "place", "temperature", "disk", "agent", "seen"], mine: true, owner: "王老师", shared: false, region_id: null, school_id: null, place: null, updated_at: iso(86400e3) },
    { id: 3, list: "devices", name: "没装新版本的", query: "agent=0.0.9", columns: [], mine: false, owner: "张敏", shared: true, region_id: 1, school_id: null, place: "青山县", updated_at: iso(86400e3) },
  ];
  const named = (v) => ({ ...v, place: v.shared ? (v.school_id ? "云溪镇中心小学" : v.region_id ? "青山县" : null) : null, updated_at: iso() });
  on("GET", "/api/v1/views", ({ q }) => ok({ items: views.filter((v) => !q.get("list") || v.list === q.get("list")) }));
  on("POST", "/api/v1/views", ({ json }) => {
    if (views.some((v) => v.mine && v.list === json.list && v.name === json.name)) return problem(409, "already_exists", `已经有名为“${json.name}”的视图。请换个名称。`);
    const v = named({ id: (id += 1), mine: true, owner: "王老师", ...json });
    views.unshift(v);
    return ok(v, 201);
  });
  on("PUT", "/api/v1/views/{id}", ({ params, json }) => { const v = views.find((x) => x.id === Number(params.id)); Object.assign(v, named({ ...v, ...json })); return ok(v); });
  on("DELETE", "/api/v1/views/{id}", ({ params }) => { views.splice(views.findIndex((x) => x.id === Number(params.id)), 1); return { status: 204 }; });
  return { row, tell, hex };
}
