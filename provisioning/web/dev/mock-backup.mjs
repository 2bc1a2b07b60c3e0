// The mock's backups, and with MOCK=restored a console that was put back from an older copy, on a day when nothing goes well.

export function backup({ on, ok, iso, empty, troubled, schools, classrooms, devices }) {
  const HOUR = 3600e3;
  const GiB = 1024 ** 3;
  const plan = empty ? null : { every_hours: 24, allowed_hours: 36, keep: 14, lessons: true, folder: "/srv/bbt-backup", recipient: "age1qx8m4v0p7t3k2w9c5r6d1n0y8h4j2s7f3g6l9z5e2u8a4b7x0mqs3k2d9" };
  const stamp = (ms) => iso(ms).slice(0, 16).replace(/[-:]/g, "").replace("T", "-");
  const items = empty ? [] : Array.from({ length: 9 }, (_, i) => ({ name: `bbt-${stamp((troubled ? 51 : 3) * HOUR + i * 24 * HOUR)}.tar.zst.age`, made_at: iso((troubled ? 51 : 3) * HOUR + i * 24 * HOUR), bytes: Math.round((i % 3 ? 0.21 : 7.4) * GiB + i * 5e6), lessons: i % 3 === 0 }));
  const error = "Failed to write /srv/bbt-backup/bbt-20261122-0200.tar.zst.age: No space left on device (os error 28)";
  let running = troubled ? { name: `bbt-${stamp(0)}.tar.zst.age`, started_at: iso(40e3), done_bytes: 2.9 * GiB, total_bytes: 7.6 * GiB } : null;
  on("GET", "/api/v1/backups", () => ok({ plan, items, running, overdue: Boolean(troubled), last: plan ? { at: troubled ? iso(27 * HOUR) : items[0].made_at, bytes: troubled ? 0 : items[0].bytes, error: troubled ? error : null, name: items[0].name, took_s: 212 } : null, last_good_at: items[0]?.made_at ?? null }));
  on("POST", "/api/v1/backups", ({ json }) => { running = { name: `bbt-${stamp(0)}.tar.zst.age`, started_at: iso(), done_bytes: 0, total_bytes: (json.lessons ? 7.6 : 0.2) * GiB }; return ok(running, 202); });

  const lessons = [{ lesson_id: "math-3-multiple", title: "倍的认识", device_version: 3, known_version: 2, wanted_version: 2 }, { lesson_id: "cn-3-rain-2", title: "", device_version: 1, known_version: null, wanted_version: null }, { lesson_id: "sci-4-sound", title: "声音的产生", device_version: null, known_version: 1, wanted_version: 1 }];
  const conflicts = !troubled ? [] : devices.slice(0, 11).map((d, i) => {
    const room = classrooms.find((c) => c.id === d.classroom_id);
    return { device_id: d.id, school: schools.find((s) => s.id === room.school_id).name, classroom: room.name, copy_generation: 41, device_generation: 44 + (i % 3), wanted_generation: 42, withdrawals_newer: i === 2, heard_at: iso(30e3 * i), state: i < 8 ? "conflict" : i < 10 ? "kept" : "reassigned", decided_at: i < 8 ? null : iso(HOUR), decided_by: i < 8 ? null : "admin", lessons: i === 5 ? [] : lessons.slice(0, 1 + (i % 3)) };
  });
  const count = (state) => conflicts.filter((c) => c.state === state).length;
  let waits = Boolean(troubled);
  const answer = () => ok({ items: conflicts, withdrawals_wait: waits, strangers: troubled ? [{ device_id: "bbt-9c41e07d", first_seen_at: iso(2 * HOUR), last_seen_at: iso(60e3), generation: 12, lessons: 9 }, { device_id: "bbt-03be7710", first_seen_at: iso(HOUR), last_seen_at: iso(90e3), generation: 3, lessons: 2 }] : [], restored: troubled ? { made_at: iso(75 * HOUR), restored_at: iso(3 * HOUR), lessons: true, waiting: 6, same: 9, conflicts: count("conflict"), kept: count("kept"), reassigned: count("reassigned"), withdrawals_newer: true, withdrawals_confirmed_at: waits ? null : iso(), withdrawals_confirmed_by: waits ? null : "admin" } : null });
  on("GET", "/api/v1/restore-conflicts", answer);
  on("POST", "/api/v1/restore-conflicts", ({ json }) => {
    for (const c of conflicts) if (json.devices ? json.devices.includes(c.device_id) : c.state === "conflict") Object.assign(c, { state: json.decision === "keep" ? "kept" : "reassigned", decided_at: iso(), decided_by: "admin" });
    return answer();
  });
  on("POST", "/api/v1/restore-conflicts/withdrawals", () => { waits = false; return answer(); });
}
