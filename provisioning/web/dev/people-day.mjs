// Walks through what issue 3 gave the operators, on a console after `first-day.mjs`: a roster with mistakes, mended, applied and sent
// again; a colleague with a role at one township who signs in and sees what is theirs; a second factor, set up and used; the audit log,
// verified. Fails where something is not as it must be.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/people-day.mjs
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { chromium } from "playwright-core";

const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password } = process.env;
if (!password) {
  console.error("usage: BBT_URL=… BBT_PASSWORD=… node dev/people-day.mjs");
  process.exit(2);
}
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
async function open() {
  const page = await (await browser.newContext({ locale: "zh-CN", viewport: { width: 1280, height: 800 } })).newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (e) => console.error("script error:", e.message));
  return page;
}
const button = (within, name) => within.getByRole("button", { name, exact: true }).first();
async function signIn(page, name, word) {
  await page.goto(`${base}/sign-in`);
  await page.fill("#username", name);
  await page.fill("#password", word);
  await page.keyboard.press("Enter");
}
/** The six digits of a secret in base 32, for a time. */
function totp(secret, at = Date.now()) {
  const bits = [...secret.replace(/=+$/, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const hash = createHmac("sha1", key).update(count).digest();
  return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

const page = await open();
const dialog = page.getByRole("dialog");
await signIn(page, user, password);
await page.waitForURL(`${base}/`);

const head = "学校代码,学校名称,教学点,乡镇,合同下行带宽,合同上行带宽";
const file = (name, rows) => ({ name, mimeType: "text/csv", buffer: Buffer.from(`${[head, ...rows].join("\r\n")}\r\n`) });
const good = file("名册.csv", ["3145000201,白水乡中心小学,否,白水乡,200,40", "3145000202,白水乡坪上教学点,是,白水乡,50,10"]);
async function trial(sheet) {
  await page.setInputFiles("input[type=file]", [sheet]);
  await page.waitForFunction(() => !document.querySelector(".busy"));
  await page.waitForSelector(".sums");
}
await page.goto(`${base}/roster`);
await trial(file("坏.csv", ["3145000201,白水乡中心小学,否,白水乡,两百,40", "3145000201,白水乡中心小学,否,白水乡,200,40"]));
await page.getByText(/有 \d+ 处错误，什么都没有写入/).waitFor();
assert.equal(await page.getByRole("button", { name: /确认导入/ }).count(), 0, "a roster with errors cannot be applied");
await trial(good);
await page.getByRole("button", { name: /确认导入/ }).click();
await page.getByText("导入完成").waitFor();
await page.goto(`${base}/roster`);
await trial(good);
await page.getByText("名册与系统完全一致，没有变化").waitFor();
console.log("roster: mistakes named, applied, and nothing twice");

await page.goto(`${base}/people`);
await button(page, "新建人员").click();
await dialog.locator("#new-username").fill("zhang.min");
await dialog.locator("#new-name").fill("张敏");
await dialog.getByText("县运维", { exact: true }).click();
await dialog.locator(".el-tree-node__content", { hasText: "白水乡" }).first().click();
await button(dialog, "建立账户").click();
await page.getByText("密码只显示这一次").waitFor();
const first = (await page.locator(".secret .big").last().innerText()).trim();
await button(page, "我已记下").click();
await page.waitForURL(/\/people\/\d+/);
console.log("a colleague was added:", page.url());

const other = await open();
await signIn(other, "zhang.min", first);
await other.waitForURL(`${base}/`);
await other.goto(`${base}/schools`);
await other.locator(".el-tree").getByText("白水乡中心小学").waitFor();
assert.equal(await other.locator(".el-tree").getByText("云溪镇").count(), 0, "a sibling township is not there");
assert.equal(await other.locator("nav").getByText("人员与权限").count(), 0, "what one may not do is not offered");
await other.goto(`${base}/people`);
await other.getByText("您没有“查看人员与权限”的权限").waitFor();
await other.goto(`${base}/account`);
await button(other, "启用动态口令").click();
await other.fill("#totp-password", first);
await other.keyboard.press("Enter");
const secret = (await other.locator(".secret").innerText()).replace(/\s/g, "");
await other.fill("#totp-confirm", totp(secret));
await other.getByText("动态口令已启用，下次登录时需要输入").waitFor();
await button(other, "退出").click();
await other.waitForURL(/sign-in/);
await signIn(other, "zhang.min", first);
await other.waitForSelector("#totp");
// A code opens once: the next step's is taken, a little early.
await other.fill("#totp", totp(secret, Date.now() + 30_000));
await other.waitForURL(`${base}/`);
console.log("the colleague sees their township only, and signs in with a second factor");

await page.goto(`${base}/audit?range=all`);
await page.getByText("新建和修改区域").or(page.getByText("导入名册")).first().waitFor();
await button(page, "校验整条日志").click();
await page.getByText(/条记录完整，没有被改动过/).waitFor();
await page.goto(`${base}/people`);
await page.getByText("张敏").click();
await page.getByRole("link", { name: "查看操作记录" }).click();
await page.waitForURL(/actor=zhang\.min/);
await page.getByText("登录", { exact: true }).first().waitFor();
console.log("the audit log is whole and names who did what");
await browser.close();
