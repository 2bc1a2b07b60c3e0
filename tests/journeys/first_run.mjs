// The first run by the wizard alone, with a real board's screen beside it:
//   BBT_URL=… BBT_PASSWORD=… BBT_PLAYER=http://127.0.0.1:8008 BBT_BOARD_DATA=folder node first_run.mjs OUT
// Says what it does; its last line is one JSON object of what was seen. Judging what the console holds is the test's part.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const web = join(dirname(fileURLToPath(import.meta.url)), "../../provisioning/web");
const require = createRequire(pathToFileURL(join(web, "package.json")));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [out] = process.argv.slice(2);
const { BBT_URL: base, BBT_USER: user = "admin", BBT_PASSWORD: password, BBT_PLAYER: player, BBT_BOARD_DATA: boardData } = process.env;
const seen = { errors: [] };
const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1)} s  ${text}`);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
async function open(origin = base, options = {}) {
  const page = await (await browser.newContext({ locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", acceptDownloads: true, ...options })).newPage();
  page.setDefaultTimeout(15_000);
  // Pages of another folder than those in the console, while one works on them.
  if (process.env.BBT_PAGES && origin === base) await page.route((url) => url.origin === new URL(base).origin && !url.pathname.startsWith("/api/"), (route) => { const file = join(process.env.BBT_PAGES, new URL(route.request().url()).pathname); route.fulfill({ path: extname(file) ? file : join(process.env.BBT_PAGES, "index.html") }); });
  page.on("pageerror", (e) => seen.errors.push(`script error: ${e.message}`));
  // The console's pages stay with the console; a board's exercises have origins of their own on the board.
  const home = (url) => (origin === base ? url.origin === new URL(base).origin : url.hostname === "127.0.0.1" || url.hostname.endsWith("localhost"));
  page.on("request", (r) => { const url = new URL(r.url()); if (/^https?:$/.test(url.protocol) && !home(url)) seen.errors.push(`request left: ${r.url()}`); });
  return page;
}
async function signIn(page, name, word, to = "") {
  await page.goto(to || `${base}/sign-in`);
  await page.fill("#username", name);
  await page.fill("#password", word);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => !url.pathname.includes("sign-in"));
}
const button = (within, name) => within.getByRole("button", { name, exact: true }).first();
async function picture(page, name) {
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: true }).catch(() => {});
}
/** A picture, no sideways scrolling, and nothing that keeps people out. */
async function look(page, name) {
  await picture(page, name);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (wide > 1) seen.errors.push(`${name}: ${wide} px too wide`);
  await page.evaluate(axe);
  const barriers = await page.evaluate(async () => (await window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa"] })).violations.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => `${v.id}: ${v.nodes[0].target.join(" ")} ${v.nodes[0].failureSummary?.split("\n")[1]?.trim() ?? ""}`));
  for (const one of barriers) seen.errors.push(`${name}: axe ${one}`);
}
let page;
process.on("uncaughtException", async (cause) => { if (page) await picture(page, "failed"); console.error(cause.stack.split("\n").filter((line) => !/^ +- /.test(line)).slice(0, 12).join("\n")); process.exit(1); });
const at = (title) => page.getByRole("heading", { level: 2, name: title }).waitFor();

page = await open();
await signIn(page, user, password);
await page.waitForURL(/\/setup/); // nothing is there yet: one is led here
await at("县区");
await look(page, "1-county");
// One can begin to type at once.
await page.waitForFunction(() => document.activeElement?.id === "setup-county");
await page.keyboard.type("青山县");
await page.keyboard.press("Enter");
await at("学校与教室");
// It means the same at eight on a Monday morning as at night: no class hours to yield to.
await page.evaluate(async () => {
  const tree = await (await fetch("/api/v1/tree")).json();
  const answer = await fetch(`/api/v1/regions/${tree.regions[0].id}/line`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ class_hours: [] }) });
  if (!answer.ok) throw new Error(await answer.text());
});
say("one is led to the wizard; the county has its name");

// A roster can be tried and left; then one school by hand.
await page.waitForFunction(() => document.activeElement?.id === "setup-school");
await page.getByText("用名册导入全县").click();
await page.getByText("先下载模板").waitFor();
await look(page, "2-roster");
await page.getByText("手工加一所学校").click();
await page.fill("#setup-school", "云溪镇中心小学");
await page.fill("#setup-school-code", "S1");
await page.fill("#setup-rooms", "三年级（1）班\n301 三年级（2）班");
await page.getByText("将新建 2 间：01 三年级（1）班、301 三年级（2）班").waitFor();
await look(page, "2-places");
await button(page, "建立学校和教室").click();
await at("第一台终端");
say("a school with two classrooms");

// Left, and taken up again where it was.
await page.getByRole("link", { name: "以后再说" }).click();
await page.getByText("接下来：第一台终端。").waitFor();
await look(page, "3-overview");
await page.getByRole("link", { name: "接着做" }).click();
await at("第一台终端");
await button(page, "为 三年级（1）班 签发注册码").click();
const code = (await page.locator(".digits").innerText()).trim();
assert.match(code, /^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]$/);
assert.equal(await page.locator(".screen .is-checked").count(), 0, "nobody here knows what the board's screen shows");
await page.getByText("写着“本机还不知道属于哪个县”").click();
await look(page, "3-device");
const link = page.getByRole("link", { name: "county.json" });
const saved = page.waitForEvent("download");
await link.click();
await (await saved).saveAs(join(boardData, "county.json")); // the technician's hand
say(`a code was issued (${code.slice(0, 4)}…); the county's file lies on the board`);

// Before the board: its own screen, its own keys.
const board = await open(player, { viewport: { width: 1920, height: 1080 } });
await board.goto(`${player}/`);
await board.locator(".keypad .key").first().waitFor({ timeout: 60_000 });
for (const digit of code.replaceAll("-", "")) await board.locator(".keypad .key", { hasText: new RegExp(`^${digit}$`) }).click();
await board.locator(".enrol-code .button-primary").click();
await page.getByText("云溪镇中心小学 三年级（1）班 的终端已上线").waitFor({ timeout: 60_000 });
await look(page, "3-online");
say("the code was typed at the board; the wizard says that it is online");

await button(page, "下一步：第一节课").click();
await at("第一节课");
await look(page, "4-lesson");
await button(page, "用这节课").click();
await button(page, "自审通过").click({ timeout: 60_000 });
await page.getByText("还差 3 个审核账号").waitFor();
for (const [n, [name, username]] of [["李初", "li.chu"], ["王复", "wang.fu"], ["赵准", "zhao.zhun"]].entries()) {
  await page.getByLabel(`姓名 ${n + 1}`).fill(name);
  await page.getByLabel(`用户名 ${n + 1}`).fill(username);
}
await button(page, "建立 3 个审核账号").click();
await page.locator(".made li").nth(2).waitFor();
await look(page, "4-invite");
const invite = (await page.locator(".link .mono").innerText()).trim();
const words = await page.locator(".made .secret").allInnerTexts();
seen.lesson = decodeURIComponent(invite.split("/lessons/")[1]);
for (const [n, [name, step, next]] of [["li.chu", "初审通过", "复审"], ["wang.fu", "复审通过", "准入"], ["zhao.zhun", "准入通过", "出库"]].entries()) {
  const colleague = await open(base, n === 2 ? { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true } : {});
  await signIn(colleague, name, words[n], `${base}${new URL(invite).pathname}${new URL(invite).search}`);
  await colleague.waitForURL(/\/lessons\/.+/);
  await button(colleague, step).click();
  await colleague.getByText(`已完成：${step.slice(0, 2)}`).waitFor();
  await colleague.context().close();
  // It goes on by itself.
  await page.getByText(next === "出库" ? "出库并签名" : `还要 ${2 - n} 位同事来审`).first().waitFor();
}
for (const name of ["李初", "王复", "赵准"]) await page.locator(".history").getByText(name, { exact: true }).waitFor();
await button(page, "出库并签名").click();
await page.getByText("已有 1 节课可以推送").waitFor({ timeout: 30_000 });
await look(page, "4-released");
say("the sample lesson was reviewed by four and released");

await button(page, "下一步：送到教室").click();
await at("送到教室");
await look(page, "5-push");
await button(page, "推送到 云溪镇中心小学 三年级（1）班").click();
await page.getByText("到了，可以上课").waitFor({ timeout: 60_000 });
await look(page, "5-ready");
await page.getByRole("link", { name: "查看这次推送" }).click();
await page.getByRole("heading", { level: 1, name: /^推送到/ }).waitFor();
await look(page, "5-push-page");
await page.getByRole("link", { name: "回到初次使用向导" }).click();
await at("送到教室");
await page.getByText("到了，可以上课").waitFor();
say("pushed, and ready on the board; from the push's page one leads back");

await board.evaluate((id) => { window.location.hash = `#/lesson/${encodeURIComponent(id)}`; }, seen.lesson);
assert.equal(await board.locator('[data-item="0"] .item-title').innerText(), "屏幕测试图", "a number stands once");
await board.locator('[data-item="0"]').click();
await board.waitForFunction(() => { const i = document.querySelector(".picture-img"); return i && i.complete && i.naturalWidth === 1920; });
await picture(board, "6-board-picture");
// A remote control's arrows lead on, and back.
await board.keyboard.press("ArrowRight");
await board.waitForFunction(() => window.location.hash.endsWith("/1") && document.querySelector("audio, video"));
await board.keyboard.press("MediaTrackPrevious");
await board.waitForFunction(() => window.location.hash.endsWith("/0") && document.querySelector(".picture-img"));
await board.evaluate((id) => { window.location.hash = `#/lesson/${encodeURIComponent(id)}`; }, seen.lesson);
await board.locator('[data-item="2"]').click();
const exercise = board.frameLocator("iframe.exercise-frame");
await exercise.locator(".dot").last().waitFor(); // all() does not wait for the frame
for (const dot of await exercise.locator(".dot").all()) await dot.click();
await exercise.getByText("全部点亮，触摸正常").waitFor();
await picture(board, "6-board-touch");
await board.evaluate((id) => { window.location.hash = `#/lesson/${encodeURIComponent(id)}`; }, seen.lesson);
await board.locator('[data-item="1"]').click();
await board.waitForFunction(() => { const a = document.querySelector("audio, video"); return a && a.readyState >= 2 && a.duration > 5; });
seen.played = true;
say("the lesson plays: picture, exercise, sound");

await button(page, "下一步：接下来").click();
await page.getByText("第一节课已经在教室里了").waitFor();
await look(page, "7-done");
await page.getByRole("link", { name: "进入控制台" }).first().click();
await page.getByRole("heading", { level: 1, name: "总览" }).waitFor();
await page.getByText("在线 / 全部终端").first().waitFor();
assert.equal(await page.getByText("接下来：").count(), 0, "done is done");
// It can be opened again, by typing.
await page.keyboard.press("Control+k");
await page.locator(".palette input").fill("初次");
await page.keyboard.press("Enter");
await page.waitForURL(/\/setup/);
await page.getByText("第一节课已经在教室里了").waitFor();

// On a telephone, in the dark, and in English.
const phone = await open(base, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark", locale: "en-US" });
await phone.addInitScript(() => localStorage.setItem("bbt-language", "en"));
await signIn(phone, user, password);
for (const step of ["county", "places", "device", "lesson", "push", "done"]) {
  await phone.goto(`${base}/setup?step=${step}`);
  await phone.getByRole("heading", { level: 2 }).first().waitFor();
  await phone.waitForFunction(() => !document.querySelector(".el-skeleton"));
  await look(phone, `phone-${step}`);
}
say("done; opened again by typing; a telephone in the dark");
await browser.close();
console.log(JSON.stringify(seen));
