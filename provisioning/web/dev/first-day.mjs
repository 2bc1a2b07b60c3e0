// Walks an operator's first day on a fresh console, by hand as it were: county, school, classrooms, registration codes,
// a lesson, a push. Leaves ticket-N.json files behind, so that real agents can follow.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/first-day.mjs OUT_FOLDER LESSON_FILE…
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [out, ...lesson] = process.argv.slice(2);
const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password } = process.env;
if (!out || !password || lesson.length === 0) {
  console.error("usage: BBT_URL=… BBT_PASSWORD=… node dev/first-day.mjs OUT_FOLDER LESSON_FILE…");
  process.exit(2);
}
mkdirSync(out, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
const page = await browser.newPage({ locale: "zh-CN", viewport: { width: 1280, height: 800 }, acceptDownloads: true });
page.setDefaultTimeout(15_000);
page.on("pageerror", (e) => console.error("script error:", e.message));
page.on("console", (m) => m.type() === "error" && console.error("console:", m.text()));
const dialog = page.getByRole("dialog");
const button = (name, within = page) => within.getByRole("button", { name, exact: true }).first();

await page.goto(`${base}/sign-in`);
await page.fill("#username", user);
await page.fill("#password", password);
await page.keyboard.press("Enter");
await page.waitForURL((url) => !url.pathname.includes("sign-in")); // an empty console leads to its wizard

/** Types a word and closes the list of suggestions over the rest of the form. */
async function pick(field, value) {
  await field.fill(value);
  await page.keyboard.press("Tab");
}
async function place(open, name, code, grade) {
  await button(open).click();
  await dialog.locator("#place-name").fill(name);
  if (code) await dialog.locator("#place-code").fill(code);
  if (grade) await pick(dialog.locator("#place-grade"), grade);
  await button("保存", dialog).click();
  await dialog.waitFor({ state: "detached" });
  await page.waitForTimeout(400);
}
await page.goto(`${base}/schools`);
await place("新建区域", "青山县");
await place("新建区域", "云溪镇");
await place("新建学校", "云溪镇中心小学", "3145000101");
await place("新建教室", "三年级（1）班", "301", "三年级");
await place("新建教室", "三年级（2）班", "302", "三年级");
await place("新建教室", "接收教室", "303");
console.log("places made");

for (const n of [1, 2]) {
  await page.goto(`${base}/tickets`);
  await button("签发注册码").click();
  await dialog.locator(".el-tree-node__expand-icon").nth(2).click();
  await dialog.getByText(`三年级（${n}）班`).click();
  await dialog.locator(".el-dialog__footer .el-button--primary").click();
  const download = page.waitForEvent("download");
  await button("下载 ticket.json").click();
  await (await download).saveAs(join(out, `ticket-${n}.json`));
}
console.log("tickets made");

await page.goto(`${base}/lessons`);
await button("上传课程").click();
await page.setInputFiles("input[type=file]", lesson);
await dialog.locator("#meta-title").fill("倍的认识");
for (const [field, value] of [["subject", "数学"], ["grade", "三年级"], ["stage", "小学"], ["edition", "人教版"], ["volume", "上册"]]) await pick(dialog.locator(`#meta-${field}`), value);
await dialog.locator("#meta-chapter").fill("第五单元 倍的认识");
await dialog.locator("#meta-period").fill("第1课时");
await button("上传", dialog).click();
await page.waitForURL(/\/lessons\/.+/, { timeout: 60_000 });
console.log("lesson uploaded:", page.url());

// Nothing reaches a board before four pairs of eyes have seen it: who uploads says 自审, three colleagues pass the steps between.
const lessonPage = page.url();
await button("自审通过").click();
await page.getByText("等待有权限的人办理").or(page.getByText("要由别人审核")).first().waitFor();
const passwords = await page.evaluate(async () => {
  const made = [];
  for (const [username, display_name] of [["li.chu", "李初"], ["wang.fu", "王复"], ["zhao.zhun", "赵准"]]) {
    const answer = await fetch("/api/v1/users", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ username, display_name, grants: [{ role: "reviewer" }] }) });
    if (!answer.ok) throw new Error(await answer.text());
    made.push([username, (await answer.json()).password]);
  }
  return made;
});
for (const [[name, word], step] of passwords.map((one, n) => [one, ["初审通过", "复审通过", "准入通过"][n]])) {
  const colleague = await (await browser.newContext({ locale: "zh-CN", viewport: { width: 1280, height: 800 } })).newPage();
  colleague.setDefaultTimeout(15_000);
  colleague.on("pageerror", (e) => console.error("script error:", e.message));
  await colleague.goto(`${base}/sign-in?to=/reviews`);
  await colleague.fill("#username", name);
  await colleague.fill("#password", word);
  await colleague.keyboard.press("Enter");
  await colleague.waitForURL(/\/reviews/);
  await colleague.getByRole("link", { name: "倍的认识" }).first().click();
  await colleague.waitForURL(/\/lessons\/.+/);
  await button(step, colleague).click();
  await colleague.getByText("你已经审过这个版本的另一步").or(colleague.getByText("等待有权限的人办理")).first().waitFor();
  await colleague.context().close();
}
await page.goto(lessonPage);
await button("出库并签名").click();
await page.getByText("终端上是第 1 版").waitFor();
console.log("lesson reviewed by four and released");

await page.getByRole("button", { name: "推送这节课" }).click();
await page.waitForURL(/\/pushes\/new/);
await page.getByText("已选 1 节").waitFor();
await button("下一步").click();
await page.getByText("青山县").first().click();
await button("下一步").click();
await page.locator(".verdict").waitFor();
await page.locator(".foot .el-button--primary").click();
await page.waitForURL(/\/pushes\/\d+/);
await page.waitForTimeout(800);
console.log("pushed:", page.url(), "-", await page.locator("h1").innerText());
const push = page.url();
await page.getByText("回执", { exact: true }).click();
await page.getByText("截止").first().waitFor();

await page.goto(`${base}/packs`);
await button("制作课件盘").click();
await dialog.locator("#pack-title").fill("云溪镇 9 月课件");
await dialog.locator("#pack-push").click();
await page.getByRole("option").first().click();
await dialog.locator(".el-dialog__footer .el-button--primary").click();
await page.getByText("保留到").first().waitFor({ timeout: 60_000 });
console.log("a lesson disk was made of", push);

await page.goto(`${base}/schools`);
await page.getByText("云溪镇中心小学").first().click();
await button("线路设置").click();
await dialog.locator("#line-measured").fill("20");
await button("保存", dialog).click();
await dialog.waitFor({ state: "detached" });
console.log("the school's line was set");
await browser.close();
