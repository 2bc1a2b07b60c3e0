// The mock's lessons on their way: words, review, findings, imports, lines, who signs for a school, forecasts, receipts, packs, trust.

export function catalogue({ on, ok, problem, page, iso, hex, empty, lessons, schools, classrooms, devices, lessonOf }) {
  const DAY = 86_400e3;
  const WORDS = {
    stage: ["小学", "初中", "高中"], subject: ["语文", "数学", "英语", "科学", "道德与法治", "音乐", "美术", "体育与健康"], edition: ["人教版", "北师大版", "统编版"],
    grade: ["一年级", "二年级", "三年级", "四年级", "五年级", "六年级"], volume: ["上册", "下册"], resource_type: ["微课", "课件", "实验", "习题"],
  };
  on("GET", "/api/v1/vocabularies", () => ok({ vocabularies: Object.entries(WORDS).map(([field, words]) => ({ field, id: field, name: field, mandatory: field !== "resource_type", words: words.map((word) => ({ word, label: word, also: [], under: [] })) })) }));
  on("GET", "/api/v1/lint-rules", () => ok({ rules: [{ id: "video_codec", severity: "error", message: "视频必须是 H.264", fix: "用“视频转码”重新上传", limit: null }], tools: [{ program: "ffmpeg", package: "ffmpeg", installed: true }, { program: "soffice", package: "libreoffice-impress", installed: false }] }));

  const node = { kind: "region", id: 1, name: "青山县" };
  const reviewOf = (l) => ({
    lesson: l.id, version: l.version, meta: l.meta, owner: node, state: l.review_state, state_at: iso(3 * 3600e3), uploaded_by: "liu.yang", uploaded_by_name: "刘洋", may: true, barred: null, returned_reason: null,
    next: { draft: "self_check", self_checked: "first", first: "second", second: "admit", admitted: "release" }[l.review_state] ?? null, released_version: l.released_version,
    missing: [], may_edit: true, may_withdraw: Boolean(l.released_version),
    history: [{ at: iso(30 * 3600e3), step: "upload", version: l.version, person: "liu.yang", person_name: "刘洋", reason: "", state: "draft" }, { at: iso(28 * 3600e3), step: "self_check", version: l.version, person: "liu.yang", person_name: "刘洋", reason: "", state: "self_checked" }],
  });
  const lesson = (id, then) => { const l = lessonOf(id); return l ? then(l) : problem(404, "lesson_unknown", "没有这节课，可能已经下架。"); };
  on("GET", "/api/v1/reviews", ({ q }) => ok(page(lessons.filter((l) => l.review_state !== "released").map(reviewOf), q)));
  on("GET", "/api/v1/lessons/{id}/review", ({ params }) => lesson(params.id, (l) => ok(reviewOf(l))));
  on("GET", "/api/v1/lessons/{id}/lint", ({ params }) => lesson(params.id, (l) => ok({ lesson: l.id, version: l.version, passes: true, examined_at: iso(30 * 3600e3), findings: l.review_state === "released" ? [] : [{ rule: "subtitles", severity: "warning", file: "video.mp4", message: "视频没有字幕", fix: "加上同名的 vtt 或 srt 文件" }] })));
  for (const [step, state] of [["self-check", "self_checked"], ["first", "first"], ["second", "second"], ["admit", "admitted"], ["release", "released"]]) on("POST", `/api/v1/lessons/{id}/review/${step}`, ({ params, json }) => lesson(params.id, (l) => {
    l.review_state = json.verdict === "return" ? "returned" : state;
    if (l.review_state === "released") l.released_version = l.version;
    return ok(reviewOf(l));
  }));
  on("PATCH", "/api/v1/lessons/{id}/meta", ({ params, json }) => lesson(params.id, (l) => { l.meta = json.meta; return ok(reviewOf(l)); }));
  on("POST", "/api/v1/lessons/{id}/withdraw", ({ params }) => lesson(params.id, (l) => { l.review_state = "withdrawn"; l.released_version = null; return ok({ devices: devices.length, up_to_version: l.version, released_version: null }); }));

  on("GET", "/api/v1/lesson-imports/template", () => ({ status: 200, raw: "课题,学科\r\n", headers: { "content-type": "text/csv" } }));
  on("POST", "/api/v1/lesson-imports", ({ q, raw }) => {
    const applied = q.get("apply") === "true";
    const bad = raw.includes('name="table"');
    const names = [["倍的认识（第2课时）", "数学"], ["秋天的雨（朗读）", "语文"], ["声音的传播", "科学"], ["What's he like? B", "英语"], ["分数的初步认识", "数学"]];
    const items = names.map(([title, subject], i) => ({ place: `2026秋/${subject}/${title}`, id: i === 4 && bad ? null : `demo-${i}`, title, version: applied && !(i === 4 && bad) ? (i === 1 ? 3 : 1) : null, result: i === 4 && bad ? "refused" : i === 1 ? "updated" : i === 2 ? "unchanged" : "new" }));
    const errors = bad ? [{ place: "课程", row: 7, column: "年级", code: "word_unknown", message: "“三年”不在词表里；请写“三年级”。" }, { place: "课程", row: 7, column: "文件", code: "file_missing", message: "压缩包里没有“分数.mp4”；请核对文件名，或把文件放进压缩包。" }] : [];
    const count = (r) => items.filter((i) => i.result === r).length;
    return ok({ applied, lessons: 5, new: count("new"), updated: count("updated"), unchanged: count("unchanged"), refused: count("refused"), complete: { lessons: bad ? 4 : 5, complete: 4, permille: bad ? 1000 : 800, stage: bad ? 4 : 5, subject: bad ? 4 : 5, edition: 4, grade: bad ? 4 : 5, volume: bad ? 4 : 5 }, items, errors, error_count: errors.length, ignored: ["2026秋/说明.txt"] });
  });

  const lines = new Map();
  const HOURS = [{ days: [1, 2, 3, 4, 5], from_min: 480, to_min: 720 }, { days: [1, 2, 3, 4, 5], from_min: 840, to_min: 1050 }];
  const lineOf = (s) => {
    const own = lines.get(s.id) ?? { contracted_kbps: null, measured_kbps: null, budget_kbps: null, class_hours_percent: null, metered: null, class_hours: null, on_hours: null, exams: [] };
    const kbps = own.measured_kbps ?? own.contracted_kbps ?? (s.contracted_down_mbps ?? 0) * 1000;
    return { school_id: s.id, own, effective: { line_kbps: kbps || null, line_from: own.measured_kbps ? "measured" : own.contracted_kbps ? "contracted" : kbps ? "roster" : "unknown", budget_kbps: own.budget_kbps, class_hours_percent: own.class_hours_percent ?? 10, class_hours_kbps: kbps ? Math.round(kbps / 10) : null, metered: own.metered ?? false, class_hours: own.class_hours ?? HOURS, on_hours: own.on_hours ?? [{ days: [1, 2, 3, 4, 5], from_min: 450, to_min: 1080 }], exams: own.exams }, measured_at: null, measured_by: null, updated_at: null, updated_by: null, plan: { generation: 7, issued_at: iso(5 * 3600e3), members: 24, told: 23, doors: 22 } };
  };
  const school = (id, then) => { const s = schools.find((one) => one.id === Number(id)); return s ? then(s) : problem(404, "not_found", "没有这所学校。"); };
  on("GET", "/api/v1/schools/{id}/line", ({ params }) => school(params.id, (s) => ok(lineOf(s))));
  on("PUT", "/api/v1/schools/{id}/line", ({ params, json }) => school(params.id, (s) => { lines.set(s.id, json); return ok(lineOf(s)); }));
  on("GET", "/api/v1/regions/{id}/line", ({ params }) => ok({ region_id: Number(params.id), own: {}, updated_at: null, updated_by: null, schools: schools.length, schools_with_own: lines.size }));
  on("PUT", "/api/v1/regions/{id}/line", ({ params, json }) => ok({ region_id: Number(params.id), own: json, updated_at: iso(), updated_by: "admin", schools: schools.length, schools_with_own: lines.size }));

  const trusted = new Set(devices.slice(0, 2).map((d) => d.id));
  const authors = (s) => devices.filter((d) => classrooms.find((c) => c.id === d.classroom_id)?.school_id === s.id).slice(0, 8).map((d, i) => ({ device_id: d.id, classroom: classrooms.find((c) => c.id === d.classroom_id).name, key_id: i === 5 ? null : `school-${d.id.slice(4, 16)}`, trusted: trusted.has(d.id) }));
  on("GET", "/api/v1/schools/{id}/authors", ({ params }) => school(params.id, (s) => ok(authors(s))));
  on("PUT", "/api/v1/schools/{id}/authors", ({ params, json }) => school(params.id, (s) => {
    for (const a of authors(s)) if (json.device_ids.includes(a.device_id)) trusted.add(a.device_id); else trusted.delete(a.device_id);
    return ok(authors(s));
  }));

  const forecast = () => ({ at: iso(), last: iso(-9 * 3600e3), needed_by: null, pack_bytes: 148 * 1024 ** 2, schools_total: schools.length, schools_arrived: 0, schools_late: 0, schools: { page: 1, page_size: 100, total: schools.length, items: schools.map((s, i) => ({ school_id: s.id, school: s.name, boards: i ? 3 : 24, boards_ready: 0, boards_full: 0, boards_unseen: i, ahead_bytes: 0, wan_bytes: 150e6, lan_bytes: 3.2e9 * (1 - i), line_kbps: i ? 20000 : 100000, late: false, confidence: i ? "low" : "high", arrival: { kind: "at", at: iso(-(2 + i * 7) * 3600e3) }, advice: null, assumptions: [{ code: "line_from_roster" }, { code: "on_hours" }] })) } });
  on("POST", "/api/v1/push-forecast", () => ok(forecast()));
  on("GET", "/api/v1/pushes/{id}/forecast", () => ok(forecast()));
  const receipts = () => devices.slice(0, 12).map((d, i) => { const c = classrooms.find((r) => r.id === d.classroom_id); return { device_id: d.id, serial: d.serial, classroom: c.name, school: schools.find((s) => s.id === c.school_id).name, school_id: c.school_id, state: ["arrived", "arrived", "pending", "unreachable", "failed"][i % 5], reason: i % 5 === 4 ? "disk_full" : i % 5 === 3 ? "offline" : null, detail: null, late: i === 5, arrived_at: i % 5 < 2 ? iso(3600e3 * i) : null, last_seen_at: iso(60e3 * i), done_bytes: 10 * i, total_bytes: 100, lessons_ready: 1, lessons_total: 1 }; });
  on("GET", "/api/v1/pushes/{id}/receipts", ({ q }) => ok(page(receipts().filter((r) => !q.get("state") || r.state === q.get("state")), q)));
  on("GET", "/api/v1/pushes/{id}/receipts.csv", () => ({ status: 200, raw: "\uFEFFdevice\r\n", headers: { "content-type": "text/csv" } }));
  on("GET", "/api/v1/pushes/{id}/receipt-summary", ({ params }) => {
    const all = receipts();
    const sum = (rows) => ({ boards: rows.length, arrived: rows.filter((r) => r.state === "arrived").length, failed: rows.filter((r) => r.state === "failed").length, unreachable: rows.filter((r) => r.state === "unreachable").length, pending: rows.filter((r) => r.state === "pending").length });
    return ok({ push_id: Number(params.id), deadline: iso(-2 * DAY), closed: false, totals: sum(all), schools: schools.map((s) => ({ school_id: s.id, school: s.name, totals: sum(all.filter((r) => r.school_id === s.id)), ways: { wan_bytes: 160e6, lan_bytes: 3.1e9, pack_bytes: 0 } })) });
  });

  const packs = empty ? [] : [{ id: "pack-1", title: "云溪镇 9 月课件", format: "zip", state: "ready", bytes: 420e6, done_bytes: 420e6, file_bytes: 398e6, lessons: 6, reason: null, created_at: iso(DAY), created_by: "admin", expires_at: iso(-6 * DAY) }];
  on("GET", "/api/v1/packs", ({ q }) => ok(page(packs, q)));
  on("POST", "/api/v1/packs", ({ json }) => { const p = { ...packs[0], id: `pack-${hex(4)}`, title: json.title, format: json.format, state: "ready", created_at: iso() }; packs.unshift(p); return ok(p, 201); });
  on("GET", "/api/v1/packs/{id}/download", () => ({ status: 200, raw: "PK", headers: { "content-type": "application/zip" } }));
  on("POST", "/api/v1/pack-receipts", () => ok({ acks: {}, items: [{ name: "301.json", device_id: devices[0]?.id ?? null, number: 3, samples: 620, commands: 1, inventory: true, repeated: false, problem: null }] }));
  on("GET", "/api/v1/trust", () => ok({ root_version: 2, root_expires_at: iso(-500 * DAY), root_threshold: 2, root_key_online: false, snapshot_version: 41, snapshot_expires_at: iso(-20 * DAY), devices_total: devices.length, devices_current: devices.length - 2, withdrawn: 1, signing: false, faults: [], keys: ["root", "root", "content", "command", "snapshot"].map((role, i) => ({ id: `${role}-${i}`, role, in_use: true })) }));
}
