// Whoever does not know what to do: the help of each page by button and keyboard, in both languages, the book behind it, an error whose
// request id can be copied, and a slip that is taken back. On a console that has a device and a school, or the mock.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/help-day.mjs [OUT]
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password, BBT_SHOTS: shots } = process.env;
const out = process.argv[2];
if (!password) {
  console.error("usage: BBT_URL=… BBT_PASSWORD=… node dev/help-day.mjs [OUT]");
  process.exit(2);
}
const axeSource = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1280, height: 800 }, permissions: ["clipboard-read", "clipboard-write"] });
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const errors = [];
page.on("pageerror", (e) => errors.push(e.message));
const aside = page.locator("aside.help");
const picture = async (name) => {
  if (shots && out) await page.screenshot({ path: `${out}/help-${name}.png` });
};
const healthy = async (where, at) => {
  await page.evaluate(axeSource);
  const found = await page.evaluate(async (selector) => (await window.axe.run(selector, { resultTypes: ["violations"] })).violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => `${v.id}: ${v.nodes[0]?.html.slice(0, 120)}`), at);
  assert.deepEqual(found, [], `${where}: accessible`);
};
const shown = async (heading) => aside.locator("h1", { hasText: new RegExp(`^${heading}`) }).waitFor();

// Before anybody is signed in.
await page.goto(`${base}/sign-in`);
await page.getByRole("button", { name: "本页帮助" }).click();
await shown("登录");
await page.keyboard.press("Escape");
await aside.waitFor({ state: "detached" });
await page.fill("#username", user);
await page.fill("#password", password);
await page.keyboard.press("Enter");
await page.waitForURL(`${base}/`);
await page.locator("main h1").first().waitFor();

// By the keyboard; a question mark within a text is a question mark.
await page.keyboard.press("F1");
await shown("总览");
await healthy("help of the overview", "aside.help");
await picture("overview");
await page.keyboard.press("Escape");
await aside.waitFor({ state: "detached" });
await page.goto(`${base}/devices`);
const search = page.getByRole("textbox", { name: "搜索教室、学校、序列号或编号" });
await search.click();
await page.keyboard.type("?");
assert.equal(await search.inputValue(), "?");
assert.equal(await aside.count(), 0, "typing opens no help");
await search.fill("");
await page.locator("main").focus();
await page.keyboard.type("?");
await shown("终端");

// It follows the page, and its links lead on within the console.
await aside.getByRole("link", { name: "告警与事件" }).first().click();
await page.waitForURL(/\/incidents/);
await shown("告警与事件");
await page.locator(".top .language").click();
await page.getByRole("option", { name: "English" }).click();
await shown("Alerts and incidents");
await picture("incidents-en");
await page.locator(".top .language").click();
await page.getByRole("option", { name: "简体中文" }).click();
await shown("告警与事件");
const popped = context.waitForEvent("page");
await aside.locator('a[href^="/help/book/"]').first().click();
const book = await popped;
await book.locator("main h2:target, main h3:target").first().waitFor();
assert.ok((await book.locator("nav a").count()) > 30, "the book has its contents");
assert.match(await book.locator("nav a[aria-current=page]").innerText(), /运维指南/);
if (shots && out) await book.screenshot({ path: `${out}/help-book.png` });
await book.close();
await page.getByRole("button", { name: "关闭帮助" }).click();
await aside.waitFor({ state: "detached" });
console.log("help by button, F1 and ?, in two languages, following the page, with the book behind it");

// An error in words, with the id that the answer had, copied by a button.
const answer = page.waitForResponse((r) => r.url().endsWith("/api/v1/devices/d-none"));
await page.goto(`${base}/devices/d-none`);
const id = (await answer).headers()["x-request-id"];
assert.match(id ?? "", /^[0-9A-Za-z]{10,}$/);
const problem = page.locator("[role=alert]").first();
await problem.getByText(id).waitFor();
assert.match(await problem.innerText(), /[\u3400-\u9fff]{4}/, "in words");
await problem.getByRole("button", { name: "复制全部" }).click();
await page.getByText("已复制").waitFor();
assert.equal(await page.evaluate(() => navigator.clipboard.readText()), id);
await picture("problem");
console.log("an error with its request id, copied");

// A slip that is taken back: a school's name.
await page.goto(`${base}/schools`);
const school = await page.evaluate(async () => (await (await fetch("/api/v1/tree")).json()).regions.flatMap((r) => r.schools)[0]);
assert.ok(school, "the console has a school");
await page.goto(`${base}/schools?at=school:${school.id}`);
await page.getByRole("button", { name: "改名" }).first().click();
await page.locator(".el-dialog").getByLabel("名称").fill(`${school.name}（错）`);
await page.locator(".el-dialog").getByRole("button", { name: "保存", exact: true }).click();
const undo = page.locator(".undo");
await undo.getByText("已改名为").waitFor();
await healthy("the bar that takes back", ".undo");
await picture("undo");
const named = async () => page.evaluate(async (of) => (await (await fetch("/api/v1/tree")).json()).regions.flatMap((r) => r.schools).find((s) => s.id === of)?.name, school.id);
assert.equal(await named(), `${school.name}（错）`);
await undo.getByRole("button", { name: /^撤销/ }).click();
await page.getByText("已撤销", { exact: true }).waitFor();
await undo.waitFor({ state: "detached" });
assert.equal(await named(), school.name);
console.log("a new name was taken back");
assert.deepEqual(errors, []);
await browser.close();
