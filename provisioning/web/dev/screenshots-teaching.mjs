// The pages of teaching for screenshots.mjs: the week of a classroom, what is planned in it, the calendar; use, exams, faults, notices.

/** A week as other programs write it. */
const CSES = `version: 1\nsubjects:\n  - name: 语文\n  - name: 数学\nschedules:\n${[1, 2, 3, 4, 5].map((d) => `  - name: 星期${d}\n    enable_day: ${d}\n    weeks: all\n    classes:\n${[["语文", "08:00", "08:40"], ["数学", "08:50", "09:30"], ["英语", "09:50", "10:30"], ["科学", "10:40", "11:20"]].map(([s, a, b]) => `      - subject: ${s}\n        start_time: "${a}:00"\n        end_time: "${b}:00"`).join("\n")}`).join("\n")}\n`;

/** Photographs them; gives the exam whose page was taken. */
export async function teaching({ first, at, press, settle, page, base, get, list, school, tree, daysAgo }) {
  if (school) {
    const rooms = (await get(`/schools/${school.id}`)).classrooms;
    const room = rooms.find((r) => r.name.includes("三年级")) ?? rooms[0];
    const inRoom = (tab) => `/timetables?at=classroom:${room.id}&school=${school.id}&tab=${tab}`;
    await first("timetables-school", at(`/timetables?at=school:${school.id}&tab=rooms`));
    await first("timetables-calendar", at(`/timetables?at=school:${school.id}&tab=calendar`));
    await first("timetables-pin", async () => {
      await page.goto(`${base}/timetables?at=school:${school.id}&tab=calendar`);
      await settle(page);
      await press(/设置技术员 PIN|更换技术员 PIN|technician's PIN/);
    });
    await first("timetables-region", at(`/timetables?at=region:${tree.regions[0].id}&tab=calendar`));
    if (room) {
      await first("timetables-week", at(inRoom("week")));
      await first("timetables-edit", async () => {
        await page.goto(base + inRoom("week"));
        await settle(page);
        await press(/^(编辑|Edit)$/);
        await page.locator(".split").first().click();
      });
      await first("timetables-import", async () => {
        await page.goto(base + inRoom("week"));
        await settle(page);
        await press(/^(导入|Import)$/);
        await page.setInputFiles(".el-dialog input[type=file]", [{ name: "三1班.yaml", mimeType: "application/yaml", buffer: Buffer.from(CSES) }]);
        await page.waitForSelector("[data-preview]");
      });
      await first("timetables-import-bad", async () => {
        await page.goto(base + inRoom("week"));
        await settle(page);
        await press(/^(导入|Import)$/);
        await page.setInputFiles(".el-dialog input[type=file]", [{ name: "坏.yaml", mimeType: "application/yaml", buffer: Buffer.from(CSES.replace("enable_day: 1", "enable_day: 9")) }]);
        await page.waitForSelector(".el-dialog .el-alert");
      });
      await first("timetables-planned", at(inRoom("planned")));
      await first("timetables-choose", async () => {
        await page.goto(base + inRoom("planned"));
        await settle(page);
        if (await page.locator(".choose").count()) await page.locator(".choose").first().click();
      });
    }
    await first("readiness", at("/readiness"));
    await first("readiness-school", async () => {
      await page.goto(`${base}/readiness`);
      await settle(page);
      if (await page.locator(".el-table .el-button.is-link").count()) await page.locator(".el-table .el-button.is-link").first().click();
      await page.waitForTimeout(400);
    });
    await first("readiness-plan", async () => {
      await page.goto(`${base}/readiness`);
      await settle(page);
      await press(/集体备课|Plan for many/);
      await page.waitForTimeout(500);
    });
    await first("usage-opening", at(`/usage?from=${daysAgo(13)}&to=${daysAgo(0)}`));
    await first("usage-opening-class", async () => {
      await page.goto(`${base}/usage`);
      await settle(page);
      if (await page.locator("[data-opening] .el-button.is-link").count()) await page.locator("[data-opening] .el-button.is-link").first().click();
      await settle(page);
      if (await page.locator("[data-opening] .el-button.is-link").count()) await page.locator("[data-opening] .el-button.is-link").first().click();
      await page.waitForTimeout(500);
    });
    await first("usage-use", at(`/usage?view=use&from=${daysAgo(27)}&to=${daysAgo(0)}`));
    await first("usage-use-class", async () => {
      await page.goto(`${base}/usage?view=use&from=${daysAgo(27)}&to=${daysAgo(0)}`);
      await settle(page);
      if (await page.locator(".el-table .el-button.is-link").count()) await page.locator(".el-table .el-button.is-link").first().click();
    });
  }
  await first("exams", at("/exams"));
  await first("exams-new", async () => {
    await page.goto(`${base}/exams${school ? `?at=school:${school.id}` : ""}`);
    await settle(page);
    if (!school) await press(/新建考试|New exam/);
    await page.locator("#exam-name").fill("期中考试·英语");
    await press(/加一段听力|Add a stretch/);
  });
  const exams = list(await get("/exams"));
  const exam = exams.find((e) => e.state === "over") ?? exams[0];
  if (exam) {
    await first("exam", at(`/exams/${exam.id}`));
    await first("exam-record", async () => {
      await page.goto(`${base}/exams/${exam.id}`);
      await settle(page);
      const open = page.getByRole("button", { name: /: (经过|Details)$/ });
      if (await open.count()) await open.first().click();
      await page.waitForTimeout(500);
    });
  }
  await first("faults", at("/faults"));
  const fault = list(await get("/faults"))[0];
  if (fault) await first("fault", at(`/faults?fault=${fault.id}`));
  await first("notices", at("/notices"));
  await first("notices-new", async () => {
    await page.goto(`${base}/notices`);
    await settle(page);
    await press(/^(发通知|New notice)$/);
    await page.locator("#many-title").fill("下午放学提前到四点");
    await page.locator(".el-dialog .el-select").first().click();
    await page.locator(".el-select-dropdown__item:visible").first().click();
    await page.locator(".el-dialog__header").click(); // closes the list; Escape would close the dialog
    await page.locator(".el-dialog .el-radio").filter({ hasText: /紧急|Urgent/ }).click();
    await page.waitForSelector("[data-preview]");
  });
  if (list(await get("/notices"))[0]) {
    await first("notice", async () => {
      await page.goto(`${base}/notices`);
      await settle(page);
      await page.getByRole("button", { name: /: (详情|Details)$/ }).first().click();
      await page.waitForTimeout(500);
    });
  }
  return { exam };
}
