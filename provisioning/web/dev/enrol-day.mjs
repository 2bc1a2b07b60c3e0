// Walks through the ways in and what follows, on a console after `first-day.mjs` whose boards 1 and 2 run: a batch for a school, a
// waiting board claimed on the telephone, a copied disk enrolled as itself, requests that came by USB, and a device revoked, replaced,
// reported stolen and unlocked. Fails where something is not as it must be.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/enrol-day.mjs OUT_FOLDER SERIAL_WAITING SERIAL_COPY REQUEST_FILE…
// SERIAL_WAITING shows its fingerprint and waits; SERIAL_COPY runs on a copy of board 1's disk; REQUEST_FILE: bbt/requests/*.json.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { unzipSync } from "fflate";

const [out, waiting, copy, ...requests] = process.argv.slice(2);
const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password } = process.env;
if (!password || requests.length === 0) {
  console.error("usage: BBT_URL=… BBT_PASSWORD=… node dev/enrol-day.mjs OUT_FOLDER SERIAL_WAITING SERIAL_COPY REQUEST_FILE…");
  process.exit(2);
}
const SCHOOL = "云溪镇中心小学";
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
async function open(options = {}) {
  const page = await (await browser.newContext({ locale: "zh-CN", viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options })).newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (e) => console.error("script error:", e.message));
  return page;
}
const button = (within, name) => within.getByRole("button", { name, exact: true }).first();
async function fillIn(page) {
  await page.fill("#username", user);
  await page.fill("#password", password);
  await page.keyboard.press("Enter");
}
async function choose(page, select, label) {
  await select.click();
  await page.locator(".el-select-dropdown__item:visible").filter({ hasText: label }).first().click();
  await select.getByText(label).waitFor();
}
/** Chooses school and classroom in whatever asks for them. */
async function room(within, page, name) {
  // The only school there is, or the last one, is chosen already.
  const [first, second] = [within.locator(".rooms .el-select").nth(0), within.locator(".rooms .el-select").nth(1)];
  await page.waitForTimeout(500);
  if (!(await first.innerText()).includes(SCHOOL)) await choose(page, first, SCHOOL);
  await choose(page, second, name);
}
async function saved(page, act, name) {
  const download = page.waitForEvent("download");
  await act();
  const file = join(out, name);
  await (await download).saveAs(file);
  return readFileSync(file);
}
/** Asks until there is something. */
async function until(what, ask) {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const found = await ask();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 300));
  }
  throw new Error(`${what}: not within a minute`);
}

const page = await open();
const dialog = page.getByRole("dialog");
const get = (path) => page.evaluate(async (p) => (await fetch(`/api/v1${p}`)).json(), path);
const post = (path, body) => page.evaluate(async ([p, b]) => (await fetch(`/api/v1${p}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(b) })).status, [path, body]);
const device = async (serial) => (await get("/devices?page_size=100")).items.find((d) => d.serial === serial);
await page.goto(`${base}/sign-in`);
await fillIn(page);
await page.waitForURL(`${base}/`);
const school = (await get("/tree")).regions.flatMap((r) => r.schools).find((s) => s.name === SCHOOL);
for (const [code, name] of [["401", "四年级（1）班"], ["402", "四年级（2）班"], ["403", "四年级（3）班"]]) assert.ok([201, 409].includes(await post("/classrooms", { school_id: school.id, code, name, grade: "四年级" })), `classroom ${code}`);

await page.goto(`${base}/tickets`);
await button(page, "整校批次").click();
await dialog.locator(".el-tree-node__content", { hasText: SCHOOL }).last().click();
await button(dialog, `为 ${SCHOOL} 签发`).click();
await dialog.locator(".ways").waitFor();
const codes = (await dialog.locator("tbody .mono").allInnerTexts()).map((code) => code.trim());
assert.ok(codes.length >= 3 && codes.every((code) => /^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z*~$=U]$/.test(code)), `codes: ${codes}`);
assert.equal(new Set(codes).size, codes.length, "every classroom has a code of its own");
const folder = unzipSync(await saved(page, () => dialog.getByText("下载 U 盘文件夹（zip）").click(), "batch.zip"));
assert.equal(Object.keys(folder).filter((name) => /^bbt\/tickets\/.+\.json$/.test(name)).length, codes.length, "a ticket for each classroom");
assert.ok(folder["bbt/county.json"], "the county file is in the folder");
const sheet = await page.evaluate(async (href) => {
  const answer = await fetch(href);
  return { type: answer.headers.get("content-type"), head: (await answer.text()).slice(0, 5) };
}, await dialog.getByText("打印标签（PDF）").locator("xpath=ancestor-or-self::a").getAttribute("href"));
assert.deepEqual(sheet, { type: "application/pdf", head: "%PDF-" });
await button(dialog, "关闭").click();
await page.getByText(`已用 0 / ${codes.length}`).first().waitFor();
await page.getByText(`${codes.length} 个可用`).first().waitFor();
await page.getByRole("tab", { name: "全部注册码" }).click();
await page.getByText("四年级（1）班").first().waitFor();
console.log(`batch: ${codes.length} labels, a sheet, a folder`);

const claim = await until(`${waiting} waits`, async () => (await get("/claims")).items.find((c) => c.serial === waiting));
await page.goto(`${base}/claims`);
await page.getByText(claim.fingerprint).waitFor();
const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
await phone.goto(`${base}/claim#fp=${claim.fingerprint}&serial=${waiting}`);
await phone.waitForURL(/sign-in/);
await fillIn(phone);
await phone.waitForURL(`${base}/claim#fp=${claim.fingerprint}&serial=${waiting}`);
await phone.locator(".board").getByText(claim.fingerprint).waitFor();
await phone.locator(".board").getByText(waiting).waitFor();
await room(phone, phone, "三年级（1）班");
await phone.getByText(/这间教室已有终端/).waitFor();
assert.ok(await button(phone, "确认注册").isDisabled(), "a working board is never replaced unasked");
await room(phone, phone, "四年级（1）班");
await phone.screenshot({ path: join(out, "enrol-phone.png") });
await button(phone, "确认注册").click();
await phone.getByText(`${SCHOOL} 四年级（1）班 的终端已注册`).waitFor();
assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth), false, "the telephone scrolls sideways");
await until(`${waiting} is online`, async () => (await device(waiting))?.state === "online");
await page.getByText(claim.fingerprint).waitFor({ state: "detached" });
await phone.goto(`${base}/claim#fp=0000-0000`);
await phone.getByText("没有指纹为 0000-0000 的终端在等待").waitFor();
console.log("telephone: signed in and led back to the board, classroom chosen, board online, gone from the list");

const clone = await until(`the copy of ${copy} is known`, async () => (await get("/clones")).items.find((c) => c.hardware.serial === copy && c.claim_id));
await page.goto(`${base}/clones`);
const card = page.locator(".clone", { hasText: copy }).first();
await card.getByText("已隔离", { exact: true }).waitFor();
await card.getByRole("columnheader", { name: "原终端" }).waitFor();
await card.getByText(clone.original.serial, { exact: true }).first().waitFor();
await button(card, "重新注册复制件").click();
await room(dialog, page, "四年级（2）班");
await button(dialog, "确认注册").click();
await page.getByText(/已重新注册为/).first().waitFor();
await until(`${copy} is online as itself`, async () => (await device(copy))?.state === "online");
assert.equal((await get(`/devices/${clone.device_id}`)).state, "online", "the original went on");
await page.locator(".clone", { hasText: copy }).getByText("已重新注册", { exact: true }).first().waitFor();
console.log("copied disk: told apart, enrolled as itself, the original untouched");

await page.goto(`${base}/tickets`);
await button(page, "U 盘带回").click();
await page.setInputFiles("input[type=file]", requests);
await button(dialog, `处理 ${requests.length} 个文件`).click();
await dialog.getByText(/已签发：d-/).first().waitFor();
const replies = unzipSync(await saved(page, () => dialog.getByRole("button", { name: /下载 \d+ 份答复/ }).click(), "replies.zip"));
assert.ok(Object.keys(replies).length === requests.length && Object.keys(replies).every((name) => /^bbt\/replies\/.+\.json$/.test(name)), `replies: ${Object.keys(replies)}`);
await button(dialog, "关闭").click();
await button(page, "U 盘带回").click();
await page.setInputFiles("input[type=file]", [{ name: "broken.json", mimeType: "application/json", buffer: Buffer.from("{") }]);
await button(dialog, "处理 1 个文件").click();
await dialog.locator("td .bad").or(page.locator(".el-dialog .el-alert--error")).first().waitFor();
await button(dialog, "关闭").or(button(dialog, "取消")).first().click();
console.log("usb: answered, replies packed for the disk, a broken file named");

const first = await device(waiting);
await page.goto(`${base}/devices/${first.id}?tab=identity`);
const panel = page.locator("#pane-identity");
await panel.getByText("正常", { exact: true }).waitFor();
await panel.getByText("在用", { exact: true }).waitFor();
await button(panel, "换新终端").click();
await button(dialog, "换新终端").click();
assert.match((await page.locator(".sheet .code").innerText()).trim(), /^\w{4}-\w{4}-.$/, "all nine characters are shown");
await button(dialog, "关闭").click();
await button(panel, "吊销证书").click();
assert.ok(await button(dialog, "吊销证书").isDisabled(), "a reason is asked for");
await dialog.locator("#why").fill("证书外泄");
await button(dialog, "吊销证书").click();
await panel.getByText(/证书外泄/).waitFor();
await panel.locator(".el-tag").getByText("已吊销").first().waitFor();
await until("it is cut off", async () => (await device(waiting)).state !== "online");

const second = await device(copy);
await page.goto(`${base}/devices/${second.id}?tab=identity`);
await button(panel, "挂失").click();
await dialog.locator("#why").fill("放学后不见了");
await dialog.locator("#contact").fill("青山县电教馆");
await button(dialog, "挂失").click();
await panel.getByText("已挂失", { exact: true }).waitFor();
await panel.getByText("青山县电教馆").waitFor();
await button(panel, "解除挂失").click();
const unlock = unzipSync(await saved(page, () => dialog.getByRole("button", { name: /^下载 bbt-unlock-/ }).click(), "unlock.zip"));
assert.deepEqual(Object.keys(unlock).sort(), ["bbt/county.json", `bbt/unlock/${second.id}.json`]);
await button(dialog, "关闭").click();
await panel.locator(".el-tag").getByText("已吊销").first().waitFor();
console.log("device: replacement code shown, revoked and cut off, reported stolen, unlocked by a disk");
await browser.close();
