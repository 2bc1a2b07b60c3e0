// A morning with lists, on a console that has devices (or the mock): narrow, sort, keep as a view, send the link, choose columns, find by
// typing, try an order to many, look at a device's timeline and at the wall. Changes nothing but one saved view, which it removes again.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/lists-day.mjs
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password } = process.env;
if (!password) {
  console.error("usage: BBT_URL=… BBT_PASSWORD=… node dev/lists-day.mjs");
  process.exit(2);
}
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const errors = [];
page.on("pageerror", (e) => errors.push(e.message));
const button = (name, at = page) => at.getByRole("button", { name, exact: true });
const rows = () => page.locator(".el-table-v2__body .el-table-v2__row");
const shown = () => page.locator(".count").innerText();
const asked = (key) => new URL(page.url()).searchParams.get(key);
const until = async (what, is) => {
  for (let n = 0; n < 100; n += 1) {
    if (await is()) return;
    await page.waitForTimeout(100);
  }
  throw new Error(`never: ${what}`);
};

await page.goto(`${base}/sign-in?to=/devices`);
await page.fill("#username", user);
await page.fill("#password", password);
await page.keyboard.press("Enter");
await rows().first().waitFor();
const all = await shown();
const name = await page.evaluate(async () => (await (await fetch("/api/v1/devices?page_size=1&sort=serial")).json()).items[0]);
assert.ok(name, "the console has a device");

// What is asked for stands in the address; the address alone leads to the same rows, and back leads back.
await page.getByRole("textbox", { name: "搜索教室、学校、序列号或编号" }).fill(name.serial);
await until("the search stands in the address", () => asked("q") === name.serial);
await until("one device is left", async () => (await rows().count()) === 1);
await page.getByRole("button", { name: /^序列号|^最近联系/ }).first().click();
await until("the order stands in the address", () => asked("sort") !== null);
const link = page.url();
const second = await context.newPage();
await second.goto(link);
await second.locator(".el-table-v2__row").first().waitFor();
assert.equal(await second.locator(".el-table-v2__row").count(), 1, "a link leads to the same rows");
assert.equal(await second.locator("[aria-sort=ascending], [aria-sort=descending]").count(), 1, "a column says its order");
await second.close();
console.log("filters and order stand in the address");

// A view of one's own.
const title = `试用 ${Date.now()}`;
await page.locator(".tools .name").click();
await button("保存当前视图").click();
await page.getByLabel("名称").fill(title);
await button("保存", page.locator(".el-dialog")).click();
await page.getByText("视图已保存").waitFor();
await page.goto(`${base}/devices`);
await rows().first().waitFor();
assert.equal(await shown(), all, "nothing is narrowed without an address");
await page.locator(".tools .name").click();
await page.getByRole("button", { name: title, exact: true }).click();
await until("the view narrows", () => asked("q") === name.serial);
await page.locator(".tools .name").click();
await button(`删除 ${title}`).click();
// Nobody is asked first: what was removed by a slip comes back, by the button and by the keyboard.
const undo = page.locator(".undo");
await undo.getByText("视图已删除").waitFor();
await undo.getByRole("button", { name: /^撤销/ }).click();
await page.getByText("已撤销", { exact: true }).waitFor();
await page.locator(".views .use", { hasText: title }).waitFor();
await button(`删除 ${title}`).click();
await undo.waitFor();
await page.locator("main").focus();
await page.keyboard.press("Control+z");
await undo.waitFor({ state: "detached" });
await page.reload();
await rows().first().waitFor();
await page.locator(".tools .name").click();
await page.locator(".views .use", { hasText: title }).waitFor();
await button(`删除 ${title}`).click();
await undo.getByRole("button", { name: "知道了" }).click();
await page.keyboard.press("Escape");
console.log("a view was kept, used, removed, taken back and removed");

// Columns.
await page.goto(`${base}/devices`);
await rows().first().waitFor();
await button("显示的列").click();
await page.locator(".columns").getByText("注册时间").click();
await until("the choice stands in the address", () => (asked("cols") ?? "").includes("enrolled"));
await page.locator(".el-table-v2__header-cell").filter({ hasText: "注册时间" }).waitFor();
await button("恢复默认列").click();
await until("the usual columns", () => asked("cols") === null);
await page.keyboard.press("Escape");
console.log("columns were chosen");

// An order to many: tried, and not given.
await page.locator(".el-table-v2__header-cell .el-checkbox").click();
await button("重启", page.locator(".bulk")).click();
const dialog = page.locator(".el-dialog");
await button("看看会影响哪些教室", dialog).click();
const sums = await dialog.locator(".sums").innerText();
assert.match(sums, /\d+ 间教室的 \d+ 台终端/);
await dialog.getByRole("button", { name: /^重启 \d+ 间教室的 \d+ 台终端$/ }).waitFor();
assert.ok(await dialog.locator(".rooms .list span").evaluateAll((all) => all.length > 0 && all.every((one) => one.getClientRects().length === 1 && one.clientHeight < 30)), "a classroom's name stays on one line");
await button("取消", dialog).click();
console.log("an order to many was tried:", sums);

// Ctrl-K, keyboard only.
await page.keyboard.press("Control+k");
const find = page.getByRole("combobox", { name: /输入页面/ });
await find.fill(name.serial);
await page.locator(".palette [role=option]").filter({ hasText: name.serial }).waitFor();
assert.equal(await find.getAttribute("aria-activedescendant"), await page.locator(".palette [role=option][aria-selected=true]").getAttribute("id"), "a reader hears what is chosen");
await page.keyboard.press("Enter");
await page.waitForURL(new RegExp(`/devices/${name.id}`));
console.log("found by typing");

await page.getByRole("tab", { name: "经过" }).click();
await page.locator(".el-tab-pane:visible li, .el-tab-pane:visible .empty").first().waitFor();

await page.goto(`${base}/wall`);
await page.locator(".wall .state b").first().waitFor();
await until("the wall counts the fleet", async () => (await page.locator(".wall .state b").allInnerTexts()).some((n) => Number(n) > 0));
assert.ok(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth), "the wall does not scroll");
await page.keyboard.press("Escape");
await page.waitForURL(`${base}/`);
await page.locator(".figure.big").waitFor();
// A figure leads to what it counts.
await page.locator(".legend a").first().click();
await page.waitForURL(/\/devices\?state=online/);
console.log("timeline, wall, and figures that lead to their rows");

// Figures have their units, and what stands in a field is seen whole. Nothing of it is kept.
await page.goto(`${base}/alert-settings`);
const hot = page.locator(".el-table__row").filter({ hasText: "温度过高" });
assert.match(await hot.innerText(), /\d °C（回到 \d+ °C 恢复）/);
await hot.getByRole("button", { name: /: 修改规则$/ }).click();
await page.getByLabel("触发值（°C）").waitFor();
const region = await page.evaluate(async () => (await (await fetch("/api/v1/tree")).json()).regions[0].id);
await page.goto(`${base}/timetables?at=region:${region}&tab=calendar`);
await button("加一天").click();
const date = page.locator(".day .el-date-editor input").last();
assert.ok(await date.evaluate((field) => { const pen = document.createElement("canvas").getContext("2d"); pen.font = getComputedStyle(field).font; return field.value.length === 10 && pen.measureText(field.value).width <= field.clientWidth; }), "the day of a holiday is seen whole at 1280");
console.log("units in rules, days that are seen whole");

// Every list is ordered by its heads: the console is asked in that order, and so is the file.
for (const [path, list, csv] of [["lessons"], ["pushes"], ["incidents"], ["orders"], ["assets"], ["people", "users"], ["audit"], ["exams"], ["faults"], ["notices"], ["reports"], ["bandwidth", "bandwidth/schools", "bandwidth"]].map(([path, list = path, csv = list]) => [path, list, csv])) {
  await page.goto(`${base}/${path}`);
  const heads = page.locator("button.sort");
  await heads.first().waitFor();
  const count = await heads.count();
  assert.ok(count >= 3, `${path}: ${count} columns are ordered`);
  for (const at of [0, count - 1]) {
    const answer = page.waitForResponse((r) => new URL(r.url()).pathname === `/api/v1/${list}` && new URL(r.url()).searchParams.has("sort"));
    await heads.nth(at).click();
    assert.equal((await answer).status(), 200, `${path}, column ${at}`);
    await until(`the order of ${path} stands in the address`, () => asked("sort") !== null);
  }
  const file = page.locator(".tools a[download]");
  if (await file.getAttribute("href")) assert.match((await file.getAttribute("href")) ?? "", new RegExp(`^/api/v1/${csv}/export\\.csv\\?.*sort=`), path);
}
console.log("twelve more lists are ordered by their heads, and their files alike");
assert.deepEqual(errors, []);
await browser.close();
