// An operator's work on a running county, by the page: BBT_URL=… BBT_PASSWORD=… BBT_HOOK=… BBT_SCHOOL=1 node operators_work.mjs OUT
// Says what it does; its last line is one JSON object of what was seen. Judging what the console holds is the test's part.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { button, choose, get, onFailure, PNG, sayer, start } from "./browser.mjs";

const [out] = process.argv.slice(2);
const { BBT_URL: base, BBT_USER: user = "admin", BBT_PASSWORD: password, BBT_HOOK: hook, BBT_SCHOOL: school } = process.env;
const seen = { errors: [] };
const say = sayer();
const { browser, open, signIn, picture } = await start(base, seen.errors, out);

const page = await open();
onFailure(() => picture(page, "failed"));
const dialog = page.getByRole("dialog");
await signIn(page, user, password);
const where = (await get(page, `/schools/${school}`)).name;

// A rule, tried before it holds.
await page.goto(`${base}/alert-settings`);
await choose(page, "哪里的规则", where);
await button(page, "温度过高: 修改规则").click();
await dialog.locator("#rule-raise").fill("40");
await dialog.locator("#rule-clear").fill("30");
await dialog.locator("#rule-for").fill("0");
await dialog.locator("#rule-for").press("Tab");
await button(dialog, "试一试").click();
await dialog.getByText(/近 7 天(会触发 \d+ 次|一次也不会触发)/).waitFor();
await picture(page, "rule");
await button(dialog, "保存规则").click();
await page.getByText("规则已保存，马上生效").waitFor();
say("a rule was tried and changed for one school");

// A way to people, and who is next if nobody acts.
await page.goto(`${base}/alert-settings?tab=notify`);
await button(page, "新建渠道").click();
await choose(page, "类型", "Webhook", dialog);
await dialog.locator("#channel-name").fill("值班群");
await dialog.locator("#channel-url").fill(hook);
await choose(page, "整个群也收到", "警告", dialog);
await button(dialog, "保存").click();
await button(page, "值班群: 发一条试试").click();
await page.getByText(/对方已收下，用时 \d+ 毫秒/).waitFor();
assert.ok(!(await page.content()).includes("secret-of-the-robot"), "the key of an address is never shown again");
await button(page, "为一个区域单独设定").click();
await choose(page, "哪里", "模拟县", dialog);
await dialog.locator("#esc-critical").fill("15");
await button(dialog, "保存").click();
await page.getByText("15 分钟").first().waitFor();
await picture(page, "notify");
say("a channel took a test message; a region climbs sooner");

// What stands behind orders.
await page.goto(`${base}/order-settings?tab=areas`);
await button(page, "新建包区").click();
await dialog.locator("#area-name").fill("东片");
await dialog.locator("#area-vendor").fill("云联科技");
await choose(page, "学校", where, dialog);
await page.keyboard.press("Escape");
await button(dialog, "添加负责人").click();
await choose(page, "账户（用户名）", "陈工", dialog);
await button(dialog, "保存").click();
await page.getByText("包区已保存").waitFor();
await page.getByText("还有 1 所学校没有划进包区").waitFor();
await picture(page, "areas");
await page.getByRole("tab", { name: "响应和维修时限" }).click();
await page.locator("tr", { hasText: "基础设施" }).filter({ hasText: "紧急" }).locator(".el-checkbox").click();
await page.getByRole("spinbutton", { name: "基础设施, 紧急（课上不了）: 响应（分钟）" }).fill("20");
await page.keyboard.press("Tab");
await button(page, "保存时限").click();
await page.getByText("时限已保存，马上生效").waitFor();
await picture(page, "slas");
await page.getByRole("tab", { name: "备件库存" }).click();
await button(page, "登记备件").click();
await dialog.locator("#part-name").fill("风扇");
await dialog.locator("#part-code").fill("FAN-80");
await dialog.locator("#part-stock").fill("2");
await button(dialog, "保存").click();
await page.getByText("备件已登记").waitFor();
await button(page, "风扇: 入库或出库").click();
await dialog.locator("#move-change").fill("3");
await dialog.locator("#move-note").fill("新购");
await dialog.getByText("变动后 5 件").waitFor();
await button(dialog, "保存").click();
await page.getByText("库存已改").waitFor();
await picture(page, "parts");
say("an area with its technician, times of its own, a part in stock");

// The incident, and its order.
const raised = async () => (await get(page, `/incidents?open=true&school_id=${school}`)).items[0];
for (let n = 0; n < 100 && !(await raised()); n += 1) await page.waitForTimeout(400);
await page.goto(`${base}/incidents`);
await page.locator(".el-table .name").first().click();
await page.waitForURL(/\/incidents\/\d+/);
seen.incident = Number(new URL(page.url()).pathname.split("/").at(-1));
await button(page, "我来处理").click();
await dialog.getByRole("textbox").fill("先看风扇");
await button(dialog, "我来处理").click();
await page.getByText("已有人处理").first().waitFor();
await picture(page, "incident");
await button(page, "开工单").click();
await page.waitForURL(/\/orders\/\d+/);
seen.order = Number(new URL(page.url()).pathname.split("/").at(-1));
await page.getByText("来自告警").first().waitFor();
await picture(page, "order");
await page.getByRole("link", { name: "事件", exact: true }).click();
await page.waitForURL(/\/incidents\/\d+/);
assert.equal(Number(new URL(page.url()).pathname.split("/").at(-1)), seen.incident, "an order leads back to its incident");
await page.locator(`a[href="/orders/${seen.order}"]`).waitFor();
assert.equal(await page.getByRole("button", { name: "开工单", exact: true }).count(), 0, "an incident has one order");
say(`incident ${seen.incident} was taken and has order ${seen.order}`);

// The technician, on a telephone.
const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
await signIn(phone, "chen.gong", "repair horse 42");
await phone.goto(`${base}/m`);
await phone.getByText("片区", { exact: true }).click();
await phone.locator(`a[href="/m/orders/${seen.order}"]`).click();
for (const [press, state] of [["受理", "已受理"], ["我到了", "已到场"]]) {
  await button(phone, press).click();
  await phone.locator(".where").getByText(state, { exact: true }).waitFor();
}
await phone.locator("input[type=file]").setInputFiles([{ name: "风扇.png", mimeType: "image/png", buffer: PNG }]);
await phone.locator(".photos img").waitFor();
await choose(phone, "选择备件", "风扇");
await button(phone, "领用").click();
await phone.getByText("FAN-80").first().waitFor();
await phone.getByRole("textbox").first().fill("换了风扇");
await button(phone, "修好了").click();
await phone.locator(".where").getByText("待确认", { exact: true }).waitFor();
assert.equal(await phone.getByRole("button", { name: "确认修好", exact: true }).count(), 0, "who repairs does not confirm");
await picture(phone, "phone");
say("the technician went, took a photo and a part, and repaired it");

// Whoever answers for it confirms.
await page.goto(`${base}/orders/${seen.order}`);
for (const [press, state] of [["确认修好", "已确认"], ["关闭工单", "已关闭"]]) {
  await button(page, press).click();
  await page.getByText(state, { exact: true }).first().waitFor();
}
await picture(page, "closed");
say("confirmed and closed");

// Lines: a rule of one's own, a region that follows it, a test.
await page.goto(`${base}/bandwidth/rules`);
await button(page, "新建标准").click();
await dialog.locator("#set-name").fill("本县标准");
await dialog.locator("#set-id").fill("own-plan");
await dialog.locator("#set-down-0").fill("100");
await dialog.locator("#set-up-0").fill("20");
await dialog.locator("#set-quote-0").fill("下行不低于100M");
await button(dialog, "存为新的一版").click();
await page.getByText("本县标准").first().waitFor();
await choose(page, /: 本区域设定$/, "本县标准");
await page.getByText("已设定").waitFor();
await picture(page, "rules");
await page.goto(`${base}/bandwidth`);
await button(page, `${where}: 立即检测`).click();
await button(page, "上课也测").click();
await page.getByText("已安排检测").waitFor();
await page.getByText("检测中").first().waitFor();
await picture(page, "bandwidth");
say("rules of one's own hold for a region; a test was ordered");

// Equipment and an inspection.
await page.goto(`${base}/assets`);
await button(page, "登记设备").click();
await choose(page, "学校", where, dialog);
await dialog.locator("#asset-owner").fill("教育局");
await dialog.locator("#asset-tag").fill("ZC-1");
await button(dialog, "保存").click();
await page.getByText("设备已登记").waitFor();
const code = (await get(page, `/schools/${school}`)).code;
const head = "学校代码,班级代码,设备类型,资产编号,品牌";
const sheet = (...rows) => [{ name: "设备.csv", mimeType: "text/csv", buffer: Buffer.from(`\uFEFF${[head, ...rows].join("\r\n")}\r\n`) }];
await button(page, "导入").click();
await dialog.locator("input[type=file]").setInputFiles(sheet(`${code},,飞船,ZC-2,某品牌`));
await button(dialog, "试读").click();
await dialog.getByText(/错误 1/).waitFor();
assert.ok(await dialog.getByRole("button", { name: "导入", exact: true }).last().isDisabled(), "a file with mistakes cannot be entered");
await dialog.locator("input[type=file]").setInputFiles(sheet(`${code},,投影机,ZC-2,某品牌`));
await button(dialog, "试读").click();
await dialog.getByText(/新增 1，修改 0，不变 0，错误 0/).waitFor();
await picture(page, "import");
await dialog.getByRole("button", { name: "导入", exact: true }).last().click();
await dialog.waitFor({ state: "hidden" });
await page.goto(`${base}/assets?tab=inspections`);
await button(page, "登记巡检").click();
await choose(page, "学校", where, dialog);
await choose(page, "教室", "1班", dialog);
await dialog.getByRole("radiogroup", { name: "屏幕的结果" }).getByText("有问题", { exact: true }).click();
await dialog.getByRole("textbox", { name: /^屏幕/ }).fill("左下角花屏");
await button(dialog, "其余都正常").click();
await picture(page, "inspection");
await button(dialog, "登记").click();
await page.getByRole("link", { name: /工单 \d{6}/ }).waitFor();
await page.getByText("左下角花屏").first().waitFor();
say("equipment by the form and from a file; an inspection with its order");

// A month's report, from draft to frozen, and its file.
await page.goto(`${base}/reports`);
await button(page, "新建报表").click();
await choose(page, "位置", "模拟县", dialog);
await button(dialog, "生成").click();
await page.waitForURL(/\/reports\/\d+/);
seen.report = Number(new URL(page.url()).pathname.split("/").at(-1));
await button(page, "上报").click();
await page.locator("h1").getByText("已上报", { exact: true }).waitFor();
await page.getByText("您上报的报表，要由另一个人审核。").waitFor();
assert.equal(await page.getByRole("button", { name: "审核通过", exact: true }).count(), 0, "who hands a report in does not judge it");
const above = await open();
await signIn(above, "shi.jiandu", "oversee horse 42");
await above.goto(page.url());
for (const [press, state] of [["审核通过", "已审核"], ["冻结", "已冻结"]]) {
  await button(above, press).click();
  await above.locator("h1").getByText(state, { exact: true }).waitFor();
}
await page.locator("h1").getByText("已冻结", { exact: true }).waitFor(); // told live
const [file] = await Promise.all([page.waitForEvent("download"), page.locator('a[href*="format=xlsx"]').click()]);
const bytes = readFileSync(await file.path());
assert.equal(bytes.subarray(0, 2).toString(), "PK", "the file is a workbook");
assert.ok(file.suggestedFilename().endsWith(".xlsx"), file.suggestedFilename());
seen.workbook = bytes.length;
await picture(page, "report");
say(`report ${seen.report} is frozen; its workbook has ${bytes.length} bytes`);

await browser.close();
console.log(JSON.stringify(seen));
