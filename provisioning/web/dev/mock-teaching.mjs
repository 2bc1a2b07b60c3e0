// The mock's teaching: timetables, calendars, planned lessons, readiness; use, lesson opening, exams, faults, notices.

export function teaching({ on, ok, problem, page, iso, hex, tell, empty, regions, schools, classrooms, devices, lessons, lessonOf, under }) {
  const HOUR = 3600e3;
  const day = (n) => new Date(Date.now() + 8 * HOUR + n * 24 * HOUR).toISOString().slice(0, 10);
  const weekday = (date) => ((new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7) + 1;
  const add = (date, n) => new Date(Date.parse(`${date}T00:00:00Z`) + n * 864e5).toISOString().slice(0, 10);
  const roomOf = (id) => classrooms.find((c) => c.id === Number(id));
  const schoolOf = (id) => schools.find((s) => s.id === Number(id));
  const room = (id, then) => { const c = roomOf(id); return c ? then(c) : problem(404, "not_found", "没有这间教室。"); };
  const isRoom = (c) => Boolean(c.grade);

  const SUBJECTS = ["语文", "数学", "英语", "科学", "音乐", "美术", "道德与法治", "体育与健康"];
  const BELLS = [[480, 520], [530, 570], [590, 630], [640, 680], [840, 880], [890, 930]].map(([from_min, to_min], i) => ({ number: i + 1, from_min, to_min }));
  const weeks = new Map();
  for (const c of classrooms.filter(isRoom).filter((one) => one.id % 7 !== 6)) {
    const periods = [];
    for (let d = 1; d <= 5; d += 1) for (let n = 1; n <= 6; n += 1) {
      const subject = SUBJECTS[n === 1 ? d % 2 : (d * 3 + n + c.id) % SUBJECTS.length];
      if (d === 3 && n === 6) periods.push({ day: d, weeks: "odd", number: n, from_min: null, to_min: null, subject: "音乐" }, { day: d, weeks: "even", number: n, from_min: null, to_min: null, subject: "美术" });
      else periods.push({ day: d, weeks: "all", number: n, from_min: null, to_min: null, subject });
    }
    weeks.set(c.id, periods);
  }
  const calendars = { school: new Map(), region: new Map(regions[0] ? [[regions[0].id, { term: { first_monday: "2026-08-31", weeks: 21 }, bells: BELLS, days: [{ date: "2026-10-01", like: null, name: "国庆节" }, { date: "2026-10-10", like: 4, name: "国庆调休" }, { date: "2027-01-01", like: null, name: "元旦" }], help: { office: "青山县教育局电教站", phone: "0851-2345 6789", text: "先看网线是否插好，再重启终端。" }, school_lessons: true }]] : []) };
  const BLANK = { term: null, bells: null, days: [], help: { office: null, phone: null, text: null }, school_lessons: null };
  const pins = new Set();
  const effective = (schoolId) => {
    const own = calendars.school.get(schoolId) ?? BLANK;
    const above = calendars.region.get(regions[0]?.id) ?? BLANK;
    return { term: own.term ?? above.term, bells: own.bells ?? above.bells ?? [], days: [...above.days.filter((d) => !own.days.some((o) => o.date === d.date)), ...own.days].sort((a, b) => a.date.localeCompare(b.date)), help: { office: own.help.office ?? above.help.office, phone: own.help.phone ?? above.help.phone, text: own.help.text ?? above.help.text }, school_lessons: own.school_lessons ?? above.school_lessons ?? false, technician_pin_set: pins.has(`school${schoolId}`) || pins.has(`region${regions[0]?.id}`) };
  };
  const timed = (c) => (weeks.get(c.id) ?? []).map((p) => { const b = effective(c.school_id).bells.find((one) => one.number === p.number); return { ...p, from_min: p.from_min ?? b?.from_min ?? null, to_min: p.to_min ?? b?.to_min ?? null }; });
  const timetable = (c) => { const e = timed(c); return { classroom_id: c.id, classroom: c.name, school_id: c.school_id, periods: weeks.get(c.id) ?? [], effective: e.filter((p) => p.from_min !== null), untimed: e.filter((p) => p.from_min === null).length, updated_at: weeks.has(c.id) ? iso(50 * HOUR) : null, updated_by: weeks.has(c.id) ? "sun.xz" : null, plan: devices.some((d) => d.classroom_id === c.id) ? { generation: 3, issued_at: iso(HOUR), boards: 1, told: 1 } : null }; };
  on("GET", "/api/v1/classrooms/{id}/timetable", ({ params }) => room(params.id, (c) => ok(timetable(c))));
  on("PUT", "/api/v1/classrooms/{id}/timetable", ({ params, json }) => room(params.id, (c) => { weeks.set(c.id, json.periods); tell("tree"); return ok(timetable(c)); }));
  on("GET", "/api/v1/classrooms/{id}/timetable.yaml", () => ({ status: 200, raw: "version: 1\n", headers: { "content-type": "application/yaml" } }));
  on("GET", "/api/v1/timetables/template", () => ({ status: 200, raw: "教室,星期\r\n", headers: { "content-type": "text/csv" } }));
  on("GET", "/api/v1/schools/{id}/timetables", ({ params }) => ok(classrooms.filter((c) => c.school_id === Number(params.id)).map((c) => ({ classroom_id: c.id, code: c.code, name: c.name, grade: c.grade, periods: (weeks.get(c.id) ?? []).length, untimed: 0, planned: planned.filter((p) => p.room === c.id && p.date >= day(0)).length, updated_at: weeks.has(c.id) ? iso(50 * HOUR) : null }))));
  /** Reads just enough of CSES (and, of a school's file, nothing): the mock shows pages, the console reads files. */
  const imported = (raw, q, rooms) => {
    const bad = /enable_day: *9/.test(raw) || raw.includes("坏");
    const periods = [...raw.matchAll(/enable_day: *(\d)[\s\S]*?(?=enable_day|$)/g)].flatMap(([block, d]) => [...block.matchAll(/subject: *(\S+)\s+start_time: *"?(\d+):(\d+)[^\n]*\s+end_time: *"?(\d+):(\d+)/g)].map(([, subject, a, b, c, e], i) => ({ day: Number(d), weeks: "all", number: i + 1, from_min: a * 60 + Number(b), to_min: c * 60 + Number(e), subject })));
    const found = periods.length ? periods : weeks.get(1) ?? [];
    const applied = q.get("apply") === "true" && !bad;
    if (applied) for (const c of rooms) weeks.set(c.id, found);
    return ok({ applied, rows: found.length, classrooms: bad ? [] : rooms.map((c, i) => ({ classroom_id: c.id, code: c.code, name: c.name, kind: weeks.has(c.id) && !applied ? (i % 3 ? "changed" : "same") : "added", periods: found })), change_count: bad ? 0 : rooms.length, untouched: 0, errors: bad ? [{ sheet: "", row: 12, column: "enable_day", code: "day", message: "“9”不是星期；请写 1（周一）到 7（周日）。" }] : [], error_count: bad ? 1 : 0 });
  };
  on("POST", "/api/v1/classrooms/{id}/timetable", ({ params, q, raw }) => room(params.id, (c) => imported(raw, q, [c])));
  on("POST", "/api/v1/schools/{id}/timetables", ({ params, q, raw }) => imported(raw, q, classrooms.filter((c) => c.school_id === Number(params.id) && isRoom(c)).slice(0, 8)));

  const schoolCalendar = (id) => ({ school_id: id, own: calendars.school.get(id) ?? BLANK, effective: effective(id), technician_pin_set: pins.has(`school${id}`), updated_at: calendars.school.has(id) ? iso() : null, updated_by: calendars.school.has(id) ? "admin" : null });
  const regionCalendar = (id) => ({ region_id: id, own: calendars.region.get(id) ?? BLANK, technician_pin_set: pins.has(`region${id}`), updated_at: calendars.region.has(id) ? iso(90 * HOUR) : null, updated_by: calendars.region.has(id) ? "admin" : null, schools: schools.length, schools_with_own: calendars.school.size });
  on("GET", "/api/v1/schools/{id}/calendar", ({ params }) => ok(schoolCalendar(Number(params.id))));
  on("PUT", "/api/v1/schools/{id}/calendar", ({ params, json }) => { calendars.school.set(Number(params.id), json); return ok(schoolCalendar(Number(params.id))); });
  on("GET", "/api/v1/regions/{id}/calendar", ({ params }) => ok(regionCalendar(Number(params.id))));
  on("PUT", "/api/v1/regions/{id}/calendar", ({ params, json }) => { calendars.region.set(Number(params.id), json); return ok(regionCalendar(Number(params.id))); });
  for (const kind of ["school", "region"]) on("PUT", `/api/v1/${kind}s/{id}/technician-pin`, ({ params, json }) => { if (json.pin) pins.add(kind + params.id); else pins.delete(kind + params.id); return { status: 204 }; });

  const teachingDay = (c, date) => {
    const { term, days } = effective(c.school_id);
    const change = days.find((d) => d.date === date);
    const week = term ? Math.floor((Date.parse(`${date}T00:00:00Z`) - Date.parse(`${term.first_monday}T00:00:00Z`)) / (7 * 864e5)) + 1 : null;
    const held = week !== null && (week < 1 || week > term.weeks);
    const of = change ? change.like : weekday(date);
    const periods = !of || held ? [] : timed(c).filter((p) => p.day === of && p.from_min !== null && (p.weeks === "all" || week === null || (p.weeks === "odd") === (week % 2 === 1))).map(({ number, from_min, to_min, subject }) => ({ number, from_min, to_min, subject })).sort((a, b) => a.number - b.number);
    return { date, week: held ? null : week, name: change?.name ?? null, periods };
  };
  const planned = [];
  const STATES = ["ready", "ready", "arriving", "ready", "missing"];
  if (!empty) for (const c of classrooms.filter((one) => weeks.has(one.id)).slice(0, 14)) for (let n = -2; n <= 4; n += 1) for (const p of teachingDay(c, day(n)).periods) {
    const l = lessons.find((one) => one.meta.subject === p.subject && one.released_version);
    if (l && (c.id + n + p.number) % 2) planned.push({ room: c.id, date: day(n), number: p.number, lesson_id: l.id, by: "sun.xz" });
  }
  const plannedOf = (c, from, to) => planned.filter((p) => p.room === c.id && p.date >= from && p.date <= to).map((p) => { const l = lessonOf(p.lesson_id); return { date: p.date, number: p.number, lesson_id: p.lesson_id, title: l.meta.title, lesson_subject: l.meta.subject, needed_by: `${p.date}T00:00:00Z`, state: devices.some((d) => d.classroom_id === c.id) ? STATES[(c.id + p.number) % 5] : "no_board", created_by: p.by, created_at: iso(HOUR) }; });
  const list = (c, from, to) => ({ classroom_id: c.id, from, to, planned: plannedOf(c, from, to), days: Array.from({ length: Math.round((Date.parse(to) - Date.parse(from)) / 864e5) + 1 }, (_, i) => teachingDay(c, add(from, i))) });
  on("GET", "/api/v1/classrooms/{id}/planned", ({ params, q }) => room(params.id, (c) => ok(list(c, q.get("from"), q.get("to")))));
  on("PUT", "/api/v1/classrooms/{id}/planned", ({ params, json }) => room(params.id, (c) => {
    for (let i = planned.length - 1; i >= 0; i -= 1) if (planned[i].room === c.id && planned[i].date >= json.from && planned[i].date <= json.to) planned.splice(i, 1);
    planned.push(...json.planned.map((p) => ({ ...p, room: c.id, by: "admin" })));
    return ok(list(c, json.from, json.to));
  }));
  on("POST", "/api/v1/plans", ({ json }) => {
    const wanted = classrooms.filter((c) => (json.classroom_ids.includes(c.id) || json.school_ids.includes(c.school_id) || json.region_ids.some((r) => under(r).includes(schoolOf(c.school_id).region_id))) && (!json.grade || c.grade === json.grade));
    const l = lessonOf(json.lesson_id);
    const rows = wanted.map((c) => {
      const base = { classroom_id: c.id, classroom: c.name, school_id: c.school_id, school: schoolOf(c.school_id).name, date: null, number: null, replaced: null, skipped: null };
      if (!weeks.has(c.id)) return { ...base, skipped: "no_timetable" };
      for (let n = 0; n < 14; n += 1) {
        const date = json.at.kind === "period" ? json.at.date : add(json.at.from ?? day(1), n);
        const p = teachingDay(c, date).periods.find((one) => (json.at.kind === "period" ? one.number === json.at.number : one.subject === l.meta.subject && !planned.some((x) => x.room === c.id && x.date === date && x.number === one.number)));
        if (p) return { ...base, date, number: p.number };
      }
      return { ...base, skipped: "no_period" };
    });
    const good = rows.filter((r) => !r.skipped);
    if (json.apply) planned.push(...good.map((r) => ({ room: r.classroom_id, date: r.date, number: r.number, lesson_id: json.lesson_id, by: "admin" })));
    return ok({ applied: json.apply, planned: good.length, skipped: rows.length - good.length, classrooms: rows });
  });
  const dayOfRoom = (c, date) => { const here = plannedOf(c, date, date); return teachingDay(c, date).periods.map((p) => { const x = here.find((one) => one.number === p.number); return { number: p.number, from_min: p.from_min, subject: p.subject, lesson_id: x?.lesson_id ?? null, title: x?.title ?? null, state: x?.state ?? "not_planned" }; }); };
  const counts = (rows) => { const all = rows.flat(); const n = (s) => all.filter((p) => p.state === s).length; const of = all.filter((p) => p.lesson_id).length; return { classrooms: rows.filter((r) => r.length).length, periods: all.length, planned: of, ready: n("ready"), arriving: n("arriving"), missing: n("missing"), withdrawn: n("withdrawn"), no_board: n("no_board"), percent: of ? (n("ready") / of) * 100 : null }; };
  const roomsOf = (school) => classrooms.filter((c) => c.school_id === school);
  on("GET", "/api/v1/readiness", ({ q }) => { const date = q.get("date") ?? day(1); return ok({ date, totals: counts(classrooms.map((c) => dayOfRoom(c, date))), schools: schools.map((s) => ({ school_id: s.id, school: s.name, name: null, counts: counts(roomsOf(s.id).map((c) => dayOfRoom(c, date))) })) }); });
  on("GET", "/api/v1/schools/{id}/readiness", ({ params, q }) => { const rooms = roomsOf(Number(params.id)); const date = q.get("date"); return ok({ date, counts: counts(rooms.map((c) => dayOfRoom(c, date))), classrooms: rooms.map((c) => ({ classroom_id: c.id, classroom: c.name, last_seen_at: devices.find((d) => d.classroom_id === c.id)?.last_seen_at ?? null, periods: dayOfRoom(c, date) })).filter((c) => c.periods.length) }); });

  // Use and lesson opening.
  const inside = (q) => classrooms.filter((c) => (!q.get("school_id") || c.school_id === Number(q.get("school_id"))) && (!q.get("classroom_id") || c.id === Number(q.get("classroom_id"))) && (!q.get("region_id") || under(Number(q.get("region_id"))).includes(schoolOf(c.school_id).region_id)));
  const datesOf = (q) => { const out = []; for (let d = q.get("from"); d <= q.get("to") && d <= day(0) && out.length < 400; d = add(d, 1)) out.push(d); return out; };
  const facts = (q) => (empty ? [] : inside(q)).filter((c) => weeks.has(c.id)).flatMap((c) => datesOf(q).filter((d) => weekday(d) <= 5).flatMap((date) => lessons.filter((l, i) => (c.id + i + Number(date.slice(8))) % 3 === 0 && (!q.get("subject") || l.meta.subject === q.get("subject")) && (!q.get("lesson_id") || l.id === q.get("lesson_id"))).map((l) => ({ c, date, l, opens: 1 + ((c.id + Number(date.slice(8))) % 3), seconds: 600 + ((c.id * 97) % 900), finished: c.id % 2 }))));
  const sum = (rows) => ({ opens: rows.reduce((n, r) => n + r.opens, 0), finished: rows.reduce((n, r) => n + r.finished, 0), seconds: rows.reduce((n, r) => n + r.seconds, 0), classrooms: new Set(rows.map((r) => r.c.id)).size, lessons: new Set(rows.map((r) => r.l.id)).size, days: new Set(rows.map((r) => r.date)).size });
  on("GET", "/api/v1/usage", ({ q }) => {
    const rows = facts(q);
    const by = q.get("by") ?? "school";
    const keyOf = { class: (r) => String(r.c.id), subject: (r) => r.l.meta.subject, lesson: (r) => r.l.id, school: (r) => String(r.c.school_id), day: (r) => r.date }[by];
    const groups = new Map();
    for (const r of rows) groups.set(keyOf(r), [...(groups.get(keyOf(r)) ?? []), r]);
    const found = [...groups].map(([key, of]) => ({ key, label: { class: of[0].c.name, subject: key, lesson: of[0].l.meta.title, school: schoolOf(of[0].c.school_id).name, day: key }[by], school_id: by === "class" ? of[0].c.school_id : null, school: by === "class" ? schoolOf(of[0].c.school_id).name : null, subject: by === "lesson" ? of[0].l.meta.subject : null, totals: sum(of) }));
    found.sort((a, b) => (by === "day" ? a.key.localeCompare(b.key) : b.totals.opens - a.totals.opens));
    return ok({ from: q.get("from"), to: q.get("to"), by, totals: sum(rows), undated: { ...sum([]), opens: rows.length ? 3 : 0 }, boards: empty ? 0 : 26, boards_told: empty ? 0 : 23, rows: page(found, q) });
  });
  on("GET", "/api/v1/usage.csv", () => ({ status: 200, raw: "\uFEFFx\r\n", headers: { "content-type": "text/csv" } }));
  on("GET", "/api/v1/lesson-opening.csv", () => ({ status: 200, raw: "\uFEFFx\r\n", headers: { "content-type": "text/csv" } }));
  const periodsOf = (c, q) => datesOf(q).flatMap((date) => dayOfRoom(c, date).map((p) => { const d = devices.find((one) => one.classroom_id === c.id); const state = !d || d.state !== "online" ? "unknown" : (c.id + p.number + Number(date.slice(8))) % 6 === 0 ? "not_opened" : "opened"; return { date, number: p.number, subject: p.subject, planned: p.lesson_id, planned_title: p.title, state, planned_opened: p.lesson_id && state !== "unknown" ? state === "opened" && p.number % 4 !== 0 : null }; }));
  const totalsOf = (list) => { const n = (s) => list.filter((p) => p.state === s).length; return { periods: list.length, opened: n("opened"), not_opened: n("not_opened"), unknown: n("unknown"), planned: list.filter((p) => p.planned).length, planned_opened: list.filter((p) => p.planned_opened).length }; };
  on("GET", "/api/v1/lesson-opening", ({ q }) => {
    const rooms = inside(q).filter((c) => weeks.has(c.id));
    const rows = q.get("by") === "class" ? rooms.map((c) => ({ school_id: c.school_id, school: schoolOf(c.school_id).name, classroom_id: c.id, classroom: c.name, told_at: devices.find((d) => d.classroom_id === c.id)?.last_seen_at ?? null, totals: totalsOf(periodsOf(c, q)) })) : schools.filter((s) => rooms.some((c) => c.school_id === s.id)).map((s) => ({ school_id: s.id, school: s.name, classroom_id: null, classroom: null, told_at: iso(60e3), totals: totalsOf(rooms.filter((c) => c.school_id === s.id).flatMap((c) => periodsOf(c, q))) }));
    return ok({ from: q.get("from"), to: q.get("to"), totals: totalsOf(rooms.flatMap((c) => periodsOf(c, q))), rows: page(rows.filter((r) => r.totals.periods), q) });
  });
  on("GET", "/api/v1/classrooms/{id}/periods", ({ params, q }) => room(params.id, (c) => ok(periodsOf(c, q))));

  // Exams.
  const exams = empty ? [] : [
    { id: "e-running", school_id: 1, region_id: null, name: "期中考试·英语", from: iso(40 * 60e3), to: iso(-50 * 60e3), classroom_ids: [9, 10, 11, 12], audio: [{ from: iso(40 * 60e3), to: iso(15 * 60e3) }], pin_set: true },
    { id: "e-planned", school_id: null, region_id: 1, name: "期末考试·数学", from: iso(-40 * 24 * HOUR), to: iso(-40 * 24 * HOUR - 1.5 * HOUR), classroom_ids: [], audio: [], pin_set: false },
    { id: "e-over", school_id: null, region_id: 1, name: "月考·语文", from: iso(30 * HOUR), to: iso(28 * HOUR), classroom_ids: [], audio: [{ from: iso(30 * HOUR), to: iso(29.6 * HOUR) }], pin_set: true },
  ];
  const examView = ({ classroom_ids, ...e }) => ({ created_at: iso(90 * HOUR), created_by: "sun.xz", updated_at: iso(90 * HOUR), updated_by: "sun.xz", cancelled_at: null, cancelled_by: null, ...e, place: e.school_id ? schoolOf(e.school_id).name : regions.find((r) => r.id === e.region_id).name, classrooms: classroom_ids.map(roomOf).map(({ id, code, name }) => ({ id, code, name })), state: e.cancelled_at ? "cancelled" : Date.parse(e.from) > Date.now() ? "planned" : Date.parse(e.to) > Date.now() ? "running" : "over" });
  const exam = (id, then) => { const e = exams.find((x) => x.id === id); return e ? then(e) : problem(404, "not_found", "没有这场考试。"); };
  on("GET", "/api/v1/exams", ({ q }) => ok(page(exams.map(examView).filter((e) => !q.get("state") || e.state === q.get("state")).sort((a, b) => b.from.localeCompare(a.from)), q)));
  on("POST", "/api/v1/exams", ({ json }) => {
    const { pin, ...rest } = json;
    const made = pin ?? (json.audio.length ? "482913" : null);
    const e = { id: `e-${hex(8)}`, region_id: null, school_id: null, ...rest, pin_set: Boolean(made), created_at: iso(), created_by: "admin", updated_at: iso(), updated_by: "admin" };
    exams.push(e);
    return ok({ exam: examView(e), pin: made }, 201);
  });
  on("GET", "/api/v1/exams/{id}", ({ params }) => exam(params.id, (e) => ok(examView(e))));
  on("PATCH", "/api/v1/exams/{id}", ({ params, json }) => exam(params.id, (e) => { Object.assign(e, json, { updated_at: iso(), updated_by: "admin" }); return ok(examView(e)); }));
  on("POST", "/api/v1/exams/{id}/cancel", ({ params }) => exam(params.id, (e) => { Object.assign(e, { cancelled_at: iso(), cancelled_by: "admin" }); return ok(examView(e)); }));
  on("POST", "/api/v1/exams/{id}/pin", ({ params }) => exam(params.id, (e) => { e.pin_set = true; return ok({ exam: examView(e), pin: "730158" }); }));
  on("GET", "/api/v1/exams/{id}/records.csv", () => ({ status: 200, raw: "\uFEFFx\r\n", headers: { "content-type": "text/csv" } }));
  const silence = (e, c, i) => {
    const state = examView(e).state;
    const d = devices.find((one) => one.classroom_id === c.id);
    const verdict = state === "running" ? "running" : i === 3 ? "not_muted" : !d || d.state !== "online" ? "unknown" : e.audio.length && i % 4 === 0 ? "allowed_audio" : "silent";
    return { school_id: c.school_id, school: schoolOf(c.school_id).name, classroom_id: c.id, classroom: c.name, verdict, doubt: verdict === "unknown" ? "no_record" : null, mended: i % 5 === 2 ? 1 : 0, audio_played: verdict === "allowed_audio" ? 1 : 0, held_back: i % 3, powered_on: 0, chain: verdict === "unknown" ? null : i === 7 ? "partial" : "intact", received_at: verdict === "unknown" ? null : iso(27 * HOUR) };
  };
  const ORDER = ["not_muted", "unknown", "running", "allowed_audio", "silent"];
  const silences = (e) => (examView(e).state === "planned" || e.cancelled_at ? [] : classrooms.filter((c) => isRoom(c) && (!e.school_id || c.school_id === e.school_id) && (!e.classroom_ids.length || e.classroom_ids.includes(c.id))).map((c, i) => silence(e, c, i)).sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict)));
  on("GET", "/api/v1/exams/{id}/records", ({ params, q }) => exam(params.id, (e) => { const rows = silences(e); const n = (v) => rows.filter((r) => r.verdict === v).length; return ok({ exam: examView(e), totals: { classrooms: rows.length, silent: n("silent"), allowed_audio: n("allowed_audio"), not_muted: n("not_muted"), unknown: n("unknown"), running: n("running"), without_board: rows.length ? 1 : 0 }, classrooms: page(rows.filter((r) => !q.get("verdict") || r.verdict === q.get("verdict")), q) }); }));
  on("GET", "/api/v1/exams/{id}/records/{classroom}", ({ params }) => exam(params.id, (e) => {
    const summary = silences(e).find((r) => r.classroom_id === Number(params.classroom));
    const at = (min) => new Date(Date.parse(e.from) + min * 60e3).toISOString();
    const entry = (min, kind, detail = "") => ({ at: at(min), boot_id: hex(32), uptime_ms: min * 60e3, kind, detail });
    const entries = [entry(0, "began"), entry(0, "muted"), ...(summary.audio_played ? [entry(2, "audio_opened"), entry(3, "audio_played", "en-5-school"), entry(22, "audio_closed")] : []), ...(summary.mended ? [entry(31, "mended", "78%")] : []), entry(44, "notice_held", "standard"), entry(58, "command_held", "reboot"), ...(summary.verdict === "not_muted" ? [entry(61, "not_muted", "pactl: connection refused")] : []), entry(70, "disk_ignored"), entry(120, "ended")];
    const d = devices.find((one) => one.classroom_id === summary.classroom_id);
    return ok({ summary, devices: d ? [{ device_id: d.id, verdict: summary.verdict, doubt: summary.doubt, record: summary.chain ? { revision: entries.length, closed: true, from: e.from, to: e.to, entries, refused: { notice: 1, command: 1 }, checks: { mute: 1431, mended: summary.mended, unknown: 0 }, chain_hash: hex(64), chain: summary.chain, received_at: summary.received_at } : null }] : [] });
  }));

  // Faults.
  const SYMPTOMS = [["display", "flicker"], ["touch", "offset"], ["sound", "none"], ["network", "slow"], ["lesson", "not_playing"], ["accessory", "remote"], ["other", ""]];
  const STAND = ["received", "under_way", "fixed", "reopened", "received", "confirmed", "closed"];
  const faults = devices.slice(0, 7).map((d, i) => { const c = roomOf(d.classroom_id); return { fault: { id: `01J${hex(23).toUpperCase()}`, device_id: d.id, serial: d.serial, school_id: c.school_id, school: schoolOf(c.school_id).name, classroom_id: c.id, classroom: c.name, class: SYMPTOMS[i][0], symptom: SYMPTOMS[i][1], lesson_id: i === 4 ? "cn-3-autumn" : null, lesson: i === 4 ? "秋天的雨" : null, at: i === 3 ? null : iso((i + 1) * 5 * HOUR), received_at: iso((i + 1) * 5 * HOUR - 60e3), state: STAND[i], note: i === 1 ? "已派单，明天上午更换触摸框" : "", since: iso((i + 1) * 2 * HOUR) }, history: [{ state: "received", note: "", at: iso((i + 1) * 5 * HOUR), by: null }, ...(i ? [{ state: STAND[i], note: i === 1 ? "已派单，明天上午更换触摸框" : "", at: iso((i + 1) * 2 * HOUR), by: i === 3 || i === 5 ? null : "chen.gong" }] : [])] }; });
  const OPEN = ["received", "under_way", "fixed", "reopened"];
  const fault = (id, then) => { const f = faults.find((x) => x.fault.id === id); return f ? then(f) : problem(404, "not_found", "没有这条报修。"); };
  on("GET", "/api/v1/faults", ({ q }) => ok(page(faults.map((f) => f.fault).filter((f) => (q.get("open") !== "true" || OPEN.includes(f.state)) && (!q.get("state") || f.state === q.get("state")) && (!q.get("class") || f.class === q.get("class")) && (!q.get("school_id") || f.school_id === Number(q.get("school_id")))), q)));
  on("GET", "/api/v1/faults/{id}", ({ params }) => fault(params.id, (f) => ok(f)));
  on("POST", "/api/v1/faults/{id}/state", ({ params, json }) => fault(params.id, (f) => { Object.assign(f.fault, { state: json.state, note: json.note, since: iso() }); f.history.push({ state: json.state, note: json.note, at: iso(), by: "admin" }); tell("device", f.fault.device_id); return ok(f); }));

  // Notices.
  const covered = (targets) => devices.filter((d) => targets.some(({ kind, id }) => { const c = roomOf(d.classroom_id); return kind === "device" ? d.id === id : kind === "classroom" ? c.id === Number(id) : kind === "school" ? c.school_id === Number(id) : under(Number(id)).includes(schoolOf(c.school_id).region_id); }));
  const nameOf = ({ kind, id }) => (kind === "region" ? regions.find((r) => r.id === Number(id))?.name : kind === "school" ? schoolOf(id)?.name : kind === "classroom" ? roomOf(id)?.name : id) ?? String(id);
  const notice = (id, level, title, text, targets, ago, by = "admin") => ({ id, targets: targets.map((target) => ({ target, name: nameOf(target) })), level, title, text, show_for_s: 60, issued_at: iso(ago), expires_at: iso(ago - 8 * HOUR), issued_by: by, counts: (() => { const n = covered(targets).length; const on_ = covered(targets).filter((d) => d.state === "online").length; return { devices: n, shown: ago > 60e3 ? on_ : 0, waiting: ago > 60e3 ? 0 : n, expired: ago > 8 * HOUR ? n - on_ : 0, failed: 0 }; })() });
  const notices = empty ? [] : [
    notice(2, "urgent", "暴雨红色预警", "请组织学生留在教室，等待学校统一安排。", [{ kind: "region", id: 1 }], 20 * HOUR),
    notice(1, "standard", "下午两点停电检修", "请在 13:50 前保存课件并关机。", [{ kind: "school", id: 1 }], 3 * HOUR, "sun.xz"),
  ];
  on("GET", "/api/v1/notices", ({ q }) => ok(page(notices, q)));
  on("POST", "/api/v1/notices/preview", ({ json }) => { const found = covered(json.targets); return ok({ devices: found.length, online: found.filter((d) => d.state === "online").length, classrooms: found.length, schools: new Set(found.map((d) => roomOf(d.classroom_id).school_id)).size, schools_in_exam: found.some((d) => roomOf(d.classroom_id).school_id === 1) ? 1 : 0, urgent_left: 9 }); });
  on("POST", "/api/v1/notices", ({ json }) => { const n = notice(notices.length + 1, json.level, json.title, json.text, json.targets, 0); notices.unshift(n); return ok(n, 201); });
  on("GET", "/api/v1/notices/{id}", ({ params }) => ok(notices.find((n) => n.id === Number(params.id))));
  on("GET", "/api/v1/notices/{id}/devices", ({ params, q }) => { const n = notices.find((x) => x.id === Number(params.id)); return ok(page(covered(n.targets.map((x) => x.target)).map((d, i) => { const c = roomOf(d.classroom_id); return { device_id: d.id, school_id: c.school_id, school: schoolOf(c.school_id).name, classroom: c.name, state: d.state === "online" ? (i === 1 ? "accepted" : "succeeded") : "queued", reason: null, updated_at: iso(60e3 * i) }; }), q)); });
}
