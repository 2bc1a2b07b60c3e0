// Walks a school's day on a console that first-day.mjs set up (or the mock): a timetable out of another program's file, looked
// through and taken; the term; a lesson planned; an exam whose PIN is shown once; a notice to the school; what was held.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/school-day.mjs [OUT_FOLDER]
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [out] = process.argv.slice(2);
const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password } = process.env;
if (!password) {
  console.error("usage: BBT_URL=… BBT_PASSWORD=… node dev/school-day.mjs [OUT_FOLDER]");
  process.exit(2);
}
const SCHOOL = process.env.BBT_SCHOOL ?? "云溪镇中心小学";
const ROOM = "三年级（1）班";
const LESSON = "倍的认识";
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
const page = await browser.newPage({ locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1280, height: 800 } });
page.setDefaultTimeout(15_000);
page.on("pageerror", (e) => console.error("script error:", e.message));
page.on("console", (m) => m.type() === "error" && !/status of (401|404|409|422)/.test(m.text()) && console.error("console:", m.text()));
const dialog = page.getByRole("dialog");
const button = (name, within = page) => within.getByRole("button", { name, exact: true }).first();
const check = (fact, what) => {
  if (!fact) throw new Error(what);
  console.log("✓", what);
};
const day = (n) => new Date(Date.now() + 8 * 3600e3 + n * 864e5).toISOString().slice(0, 10);
const weekday = (date) => ((new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7) + 1;
const lastMonday = day(1 - weekday(day(0)) - 7);

await page.goto(`${base}/sign-in`);
await page.fill("#username", user);
await page.fill("#password", password);
await page.keyboard.press("Enter");
await page.waitForURL(`${base}/`);

// A week as a class-widget program writes it, with a teacher in it, whom nothing may keep.
const TEACHER = "赵钱孙";
const times = [["08:00", "08:40"], ["08:50", "09:30"], ["09:50", "10:30"], ["14:00", "14:40"]];
const cses = ["version: 1", "subjects:", ...["语文", "数学", "英语", "科学"].map((name) => `  - name: ${name}\n    teacher: ${TEACHER}\n    room: "301"`), "schedules:", ...[1, 2, 3, 4, 5].flatMap((d) => [`  - name: 星期${d}`, `    enable_day: ${d}`, "    weeks: all", "    classes:", ...["语文", "数学", "英语", "科学"].map((subject, i) => `      - subject: ${subject}\n        start_time: "${times[i][0]}:00"\n        end_time: "${times[i][1]}:00"`)])].join("\n");

await page.goto(`${base}/timetables`);
await page.locator(".side").getByText(SCHOOL).first().click();
await page.getByText("校历与求助卡", { exact: true }).click();
await page.getByText("在这里设置学期").click();
await page.fill("#term-first", lastMonday);
await page.keyboard.press("Enter");
const saved = page.waitForResponse((r) => r.request().method() === "PUT" && r.url().includes("/calendar"));
await button("保存").click();
check((await saved).ok(), `the term begins on ${lastMonday}`);

await page.getByText("各班课表", { exact: true }).click();
await button(ROOM).click();
await button("导入").click();
await page.setInputFiles(".el-dialog input[type=file]", [{ name: "坏的.yaml", mimeType: "application/yaml", buffer: Buffer.from(cses.replace("enable_day: 1", "enable_day: 9")) }]);
await dialog.getByText(/1 处有问题/).waitFor();
check((await dialog.locator(".el-table").innerText()).includes("enable_day"), "a file with a mistake is refused, and the mistake is named");
await page.setInputFiles(".el-dialog input[type=file]", [{ name: "三1班.yaml", mimeType: "application/yaml", buffer: Buffer.from(cses) }]);
await dialog.locator("[data-preview]").waitFor();
check((await dialog.locator("[data-preview] .chip").count()) === 20, "the mended file is shown as a week of 20 periods before anything is set");
await button("确认导入").click();
await dialog.waitFor({ state: "detached" });
await page.locator(".grid .chip").nth(19).waitFor();
const held = await page.evaluate(async () => {
  const id = new URLSearchParams(location.search).get("at").split(":")[1];
  return (await fetch(`/api/v1/classrooms/${id}/timetable`)).text();
});
check(held.includes("数学") && !held.includes(TEACHER), "the timetable is set, and no teacher is in it");
const room = new URL(page.url()).searchParams.get("at");

await page.getByText("排课", { exact: true }).click();
await button("下一周").click();
const slot = page.locator(".slot").filter({ hasText: "数学" }).first();
await slot.getByRole("button", { name: /选课/ }).click();
await dialog.getByText(LESSON, { exact: true }).first().click();
await page.locator(".slot.full").filter({ hasText: LESSON }).first().waitFor();
check(true, `“${LESSON}” is planned for next week`);
if (out) {
  mkdirSync(out, { recursive: true });
  await page.screenshot({ path: join(out, "school-day-planned.png") });
}

/** Types both ends of a stretch of time. */
async function stretch(from, to, start, end) {
  for (const [field, text] of [[from, start], [to, end]]) {
    await page.locator(field).fill(text);
    await page.keyboard.press("Tab");
  }
  await page.locator(".el-picker-panel:visible").waitFor({ state: "detached" }).catch(() => page.locator(".el-dialog__header").click());
}
await page.goto(`${base}/exams`);
await button("新建考试").click();
await dialog.locator("#exam-name").fill("期中考试·英语");
await dialog.locator(".el-select").first().click();
await page.locator(".el-select-dropdown:visible").getByText(SCHOOL).click();
await stretch("#exam-when", "#exam-until", `${day(3)} 09:00`, `${day(3)} 11:00`);
await button("加一段听力", dialog).click();
await button("新建", dialog).click();
const pin = await page.locator("[data-pin]").innerText();
check(/^\d{6}$/.test(pin), "the exam's PIN is shown");
if (out) await page.screenshot({ path: join(out, "school-day-pin.png") });
await dialog.last().locator(".el-dialog__footer .el-button--primary").click();
await page.waitForURL(/\/exams\/.+/);
await page.getByText("已设 PIN").first().waitFor();
await page.reload();
await page.getByText("已设 PIN").first().waitFor();
check(!(await page.content()).includes(pin), "and never again");

await page.goto(`${base}/notices`);
await button("发通知").click();
await dialog.locator("#many-title").fill("下午放学提前到四点");
await dialog.locator(".el-select").first().click();
await page.locator(".el-select-dropdown:visible").getByText(SCHOOL).click();
await page.locator(".el-dialog__header").click();
await dialog.locator("[data-preview]").waitFor();
const reach = await dialog.locator("[data-preview]").innerText();
const boards = Number(/(\d+) 台终端/.exec(reach)?.[1] ?? 0);
if (boards > 0) {
  await dialog.locator(".el-dialog__footer .el-button--primary").click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("下午放学提前到四点").first().waitFor();
  check(true, `a notice went to ${boards} boards`);
} else check(reach.includes("没有终端"), "a school without boards is said to have none");

await page.goto(`${base}/usage?from=${lastMonday}&to=${day(0)}`);
await page.locator("[data-opening] .el-table__row, [data-opening] .empty").first().waitFor();
const row = page.locator("[data-opening] .el-table__row").filter({ hasText: SCHOOL });
check((await row.count()) === 1, "the school stands in the table of lessons held");
await row.getByRole("button").first().click();
await page.locator("[data-opening] .el-table__row").filter({ hasText: ROOM }).waitFor();
if (out) await page.screenshot({ path: join(out, "school-day-opening.png") });
const counted = await page.evaluate(async ({ id, from, to }) => (await fetch(`/api/v1/classrooms/${id}/periods?from=${from}&to=${to}`)).json(), { id: room.split(":")[1], from: lastMonday, to: day(0) });
check(Array.isArray(counted) && counted.length >= 20, `${counted.length} periods of the classroom are over`);
await browser.close();
