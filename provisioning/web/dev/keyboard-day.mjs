// A morning without a mouse, on a console that has a school with a device (or the mock): into the page past the menu, through the tree of
// places, down a list of which only a part is in the page, out of a dialog to where one was; then in the dark, on a telephone, on paper.
// Issues one ticket, and revokes it.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/keyboard-day.mjs
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password } = process.env;
if (!password) {
  console.error("usage: BBT_URL=… BBT_PASSWORD=… node dev/keyboard-day.mjs");
  process.exit(2);
}
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1280, height: 800 }, colorScheme: "dark" });
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const errors = [];
page.on("pageerror", (e) => errors.push(e.message));
const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
const focus = () => page.evaluate(() => { const at = document.activeElement; return { tag: at.tagName, role: at.getAttribute("role"), key: at.dataset.key ?? "", row: at.closest("[data-row]")?.dataset.row ?? null, text: (at.getAttribute("aria-label") ?? at.textContent ?? "").trim().slice(0, 60) }; });
const until = async (what, is) => {
  for (let n = 0; n < 100; n += 1) {
    if (await is()) return;
    await page.waitForTimeout(100);
  }
  throw new Error(`never: ${what}; the focus is at ${JSON.stringify(await focus())}`);
};
/** Tab until the focus is there. */
async function tabTo(what, is) {
  for (let n = 0; n < 60; n += 1) {
    if (is(await focus())) return;
    await press("Tab");
  }
  throw new Error(`Tab never comes to ${what}`);
}

await page.goto(`${base}/sign-in?to=/schools`);
await until("the first field has the focus", async () => (await focus()).tag === "INPUT");
await page.keyboard.type(user);
await press("Tab");
await page.keyboard.type(password);
await press("Enter");
await page.locator("[role=treeitem]").first().waitFor();

// As its system is, until somebody chooses.
const isDark = () => page.evaluate(() => document.documentElement.classList.contains("dark"));
assert.equal(await isDark(), true, "the page follows the system into the dark");
await page.emulateMedia({ colorScheme: "light" });
await until("and out of it", async () => !(await isDark()));

// The tree: Tab comes to it, arrows open and walk, Enter chooses.
await page.reload();
await page.locator("[role=treeitem]").first().waitFor();
await press("Tab");
assert.equal((await focus()).tag, "A", "the first stop leads past the menu");
await press("Enter");
await tabTo("the tree", (at) => at.role === "treeitem");
const school = await page.evaluate(async () => { const tree = await (await fetch("/api/v1/tree")).json(); return tree.regions.flatMap((r) => r.schools).find((s) => s.classrooms > 0)?.id; });
assert.ok(school, "the console has a school with a classroom");
await press("Home");
for (let n = 0; n < 40 && (await focus()).key !== `school:${school}`; n += 1) await press("ArrowDown");
assert.equal((await focus()).key, `school:${school}`, "arrows walk to a school");
await press("Enter");
await until("Enter chooses it", () => new URL(page.url()).searchParams.get("at") === `school:${school}`);
await press("ArrowRight");
await until("the right arrow opens it", async () => (await page.locator(`[data-key="school:${school}"]`).getAttribute("aria-expanded")) === "true" && (await page.locator(`[data-key="school:${school}"] [role=treeitem]`).count()) > 0);
await press("ArrowRight");
assert.match((await focus()).key, /^classroom:/, "once more goes in");
await press("ArrowLeft");
assert.equal((await focus()).key, `school:${school}`, "the left arrow goes out");
await press("ArrowLeft");
await until("and closes", async () => (await page.locator(`[data-key="school:${school}"]`).getAttribute("aria-expanded")) !== "true");
console.log("the tree, by its keys");

// A list of which only rows in sight are there.
await page.goto(`${base}/devices?size=200`);
await page.locator("[data-row]").first().waitFor();
await page.locator('[data-row="0"] a').first().focus();
const last = await page.evaluate(async () => Math.min(200, (await (await fetch("/api/v1/devices?page_size=1")).json()).total) - 1);
await until("how many rows there are is said", async () => Number(await page.locator(".frame [role=table]").getAttribute("aria-rowcount")) > last);
await press("ArrowDown");
await until("the next row", async () => (await focus()).row === String(Math.min(1, last)));
await press("Control+End");
await until("the last row", async () => (await focus()).row === String(last));
assert.equal((await focus()).tag, "A", "in the same column");
await press("ArrowDown");
await until("it ends there", async () => (await focus()).row === String(last));
await press("Control+Home");
await until("the first row", async () => (await focus()).row === "0");
await press("Enter");
await page.waitForURL(/\/devices\/[^/?]+/);
console.log(`${last + 1} rows, by arrows`);

// A dialog keeps the focus, Escape gives it back.
await page.goto(`${base}/tickets`);
const opens = page.getByRole("button", { name: "签发注册码", exact: true });
await opens.focus();
await press("Enter");
await page.locator(".el-dialog").waitFor();
for (let n = 0; n < 12; n += 1) {
  await press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest(".el-dialog, .el-popper") !== null), "Tab stays in the dialog");
}
await press("Escape");
await page.locator(".el-dialog").waitFor({ state: "hidden" });
await until("the focus is where it was", async () => (await focus()).text === "签发注册码");
console.log("a dialog, in and out");

// A slip on paper: the code, and nothing of the page around it; dark words even when the screen is dark.
const room = await page.evaluate(async (id) => { const rooms = (await (await fetch(`/api/v1/schools/${id}`)).json()).classrooms; return (rooms.find((r) => r.devices.length === 0) ?? rooms[0]).id; }, school);
await page.evaluate(() => localStorage.setItem("bbt-theme", "dark"));
await page.goto(`${base}/tickets?classroom=${room}`);
await page.locator(".el-dialog__footer .el-button--primary").click();
await page.locator(".print-this").waitFor();
assert.equal(await isDark(), true, "what was chosen stays");
await page.emulateMedia({ media: "print" });
await page.evaluate(() => window.dispatchEvent(new Event("beforeprint")));
const paper = await page.evaluate(() => {
  const seen = (s) => { const at = document.querySelector(s); return Boolean(at && at.getClientRects().length); };
  return { code: seen(".print-this .code"), place: seen(".print-this h2"), menu: seen("aside"), top: seen(".top"), list: seen(".tabs"), buttons: seen(".print-this .el-button"), ink: getComputedStyle(document.querySelector(".print-this .code")).color };
});
assert.deepEqual({ ...paper, ink: undefined }, { code: true, place: true, menu: false, top: false, list: false, buttons: false, ink: undefined });
assert.ok(Math.max(...paper.ink.match(/\d+/g).slice(0, 3).map(Number)) < 90, `the ink is dark: ${paper.ink}`);
await page.evaluate(() => window.dispatchEvent(new Event("afterprint")));
await page.emulateMedia({ media: "screen" });
assert.equal(await isDark(), true, "and the screen is as it was");
await page.evaluate(async (id) => { const made = (await (await fetch("/api/v1/tickets")).json()).items.filter((one) => one.classroom_id === id).sort((a, b) => b.id - a.id)[0]; await fetch(`/api/v1/tickets/${made.id}`, { method: "DELETE" }); }, room);
console.log("a slip on paper");

// On a telephone the menu comes when it is asked for, and nothing scrolls sideways.
await page.setViewportSize({ width: 390, height: 844 });
for (const path of ["/", "/account", "/m", "/claim"]) {
  await page.goto(base + path);
  await page.locator("main h1").first().waitFor();
  await page.waitForTimeout(400);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0, `${path} scrolls sideways on a telephone`);
}
await page.goto(`${base}/account`);
const menu = page.locator("#menu");
assert.equal(await menu.isVisible(), false);
await page.locator(".burger").click();
await menu.getByRole("link", { name: "终端", exact: true }).click();
await page.waitForURL(/\/devices/);
await until("the menu goes away with the choice", async () => !(await menu.isVisible()));
console.log("the menu of a telephone");
assert.deepEqual(errors, []);
await browser.close();
