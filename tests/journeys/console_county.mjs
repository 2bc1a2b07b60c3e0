// A county's working day by the pages, one block for each part of the work, then a look at every page in light and dark:
//   BBT_URL=… BBT_PASSWORD=… … node console_county.mjs OUT   (county_day.rs says what else it is handed)
// BBT_PART=restored is the morning after a backup was put back. BBT_ONLY=devices,reports does those blocks alone, while one works on them.
// Says what it does; its last line is one JSON object of what was seen. Judging what the console holds is the test's part.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { addresses, button, choose, COLOURS, get, onFailure, PNG, sayer, settle, sideways, start, still, theme, until, violations } from "./browser.mjs";

const [out] = process.argv.slice(2);
const { BBT_URL: base, BBT_USER: user = "admin", BBT_PASSWORD: password, BBT_HOOK: hook, BBT_SCHOOL: school, BBT_FILES: files, BBT_SHOTS: shots } = process.env;
const BOARDS = Number(process.env.BBT_BOARDS);
const ONLINE = Number(process.env.BBT_ONLINE);
const people = JSON.parse(process.env.BBT_PEOPLE ?? "{}");
const seen = { faults: [] };
const say = sayer();
const { browser, context, open, watch, signIn, picture } = await start(base, seen.faults, out);

const page = await open();
onFailure(() => picture(page, "failed"));
const dialog = page.getByRole("dialog");
const at = (path) => page.goto(base + path);
const upload = (input, ...list) => input.setInputFiles(list.map(([name, mimeType, buffer]) => ({ name, mimeType, buffer: Buffer.from(buffer) })));
/** A file behind a link, by the browser's own session: its first bytes. */
const fetched = (href) => page.evaluate(async (url) => { const answer = await fetch(url); const bytes = new Uint8Array(await answer.arrayBuffer()); return { ok: answer.ok, head: String.fromCharCode(...bytes.slice(0, 5)), text: new TextDecoder().decode(bytes.slice(0, 4_000_000)) }; }, href);
const day = (n) => new Date(Date.now() + 8 * 3600e3 + n * 864e5).toISOString().slice(0, 10);
const number = (text) => Number(/\d+/.exec(text)?.[0] ?? Number.NaN);
const rows = (within = page) => within.locator(".el-table-v2__row, .el-table__row");
let region, place;

const blocks = {
  async overview() {
    await at("/");
    await until(`the overview counts ${ONLINE}`, async () => number(await page.locator(".figure.big b").innerText()) === ONLINE);
    await page.locator(".picture canvas").waitFor();
    // A figure leads to what it counts, and the address says it.
    await page.locator(".legend a").first().click();
    await page.waitForURL(/\/devices\?state=online/);
    await until("the list has as many", async () => number(await page.locator(".count").innerText()) === ONLINE);
    await page.goBack();
    await page.locator("a[href='/wall'], button[aria-label='大屏']").first().click();
    await page.waitForURL(/\/wall/);
    await until("the wall counts them too", async () => (await page.locator(".wall .state b").allInnerTexts()).some((text) => number(text) === ONLINE));
    assert.ok(await page.evaluate(() => document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth), "the wall does not scroll");
    await picture(page, "wall");
    await page.keyboard.press("Escape");
    await page.waitForURL(`${base}/`);
    await page.keyboard.press("F1");
    await until("help says something", async () => (await page.locator("aside.help .text").innerText().catch(() => "")).trim().length > 40);
    await page.keyboard.press("F1");
    await page.locator("aside.help").waitFor({ state: "detached" });
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: /输入页面/ }).fill(place);
    await page.locator(".palette [role=option]").filter({ hasText: place }).first().click();
    await page.waitForURL(/at=school/);
    return `${ONLINE} of ${BOARDS} boards on overview, list and wall; a school found by typing`;
  },

  async devices() {
    await at(`/devices?place=school:${school}`);
    await until("the school's 25", async () => number(await page.locator(".count").innerText()) === 25);
    const all = page.locator(".el-table-v2__header-cell .el-checkbox").first();
    await all.click();
    await button(page.locator(".bulk"), "发通知").click();
    await dialog.locator("#bulk-title").fill("今天下午四点放学");
    await button(dialog, "看看会影响哪些教室").click();
    await dialog.getByText("1 所学校、25 间教室的 25 台终端，其中 25 台在线").waitFor();
    await picture(page, "bulk");
    await button(dialog, "发给 25 间教室").click();
    await dialog.getByText(/已下达 25 台/).waitFor();
    await dialog.locator("a[href*='tab=commands']").first().click();
    await page.waitForURL(/\/devices\/.+tab=commands/);
    seen.device = new URL(page.url()).pathname.split("/").at(-1);
    // Told live by the board.
    await page.locator(".el-table__row").filter({ hasText: "今天下午四点放学" }).first().getByText("成功", { exact: true }).waitFor();
    await page.locator(".el-table__expand-icon").first().click();
    await page.locator(".history li").nth(2).waitFor();
    const listed = (await get(page, `/devices?school_id=${school}&page_size=100`)).items;
    const states = await until("all 25 have done it", async () => {
      const found = await Promise.all(listed.map(async (one) => { const made = await get(page, `/devices/${one.id}/commands`); return (made.items ?? made)[0]?.state; }));
      return found.every((state) => state === "succeeded") && found;
    });
    seen.bulk = { sent: listed.length, done: states.length };
    await page.getByRole("tab", { name: "经过" }).click();
    await page.locator(".el-tab-pane:visible li").filter({ hasText: "通知" }).first().waitFor();
    await page.getByRole("tab", { name: "健康曲线" }).click();
    await page.locator(".el-tab-pane:visible canvas").first().waitFor();
    await page.locator(".el-tab-pane:visible").getByText("近 7 天", { exact: true }).click();
    await page.getByRole("tab", { name: "身份与证书" }).click();
    await page.locator(".el-tab-pane:visible .facts").first().waitFor();
    await picture(page, "device");
    return `a notice to 25 classrooms, done by ${states.length}; one device's days`;
  },

  async schools() {
    await at(`/schools?at=school:${school}`);
    await page.getByText(/25 间教室 · 25 台终端 · 25 台在线/).first().waitFor();
    await button(page, "线路设置").click();
    await dialog.locator("#line-measured").fill("50");
    await page.keyboard.press("Tab");
    await button(dialog, "保存").click();
    await page.getByText("已保存，终端会陆续收到").waitFor();
    await dialog.waitFor({ state: "hidden" });

    // A roster is tried before anything is written.
    await at("/roster");
    const head = "学校代码,学校名称,教学点,乡镇,合同下行带宽,合同上行带宽,纬度,经度";
    const line = "3145000201,白水乡中心小学,否,白水乡";
    const sheet = (...lines) => ["名册.csv", "text/csv", `\uFEFF${[head, ...lines].join("\r\n")}\r\n`];
    const input = page.locator("input[type=file]");
    await page.locator(".drop:not(.off)").waitFor();
    await upload(input, sheet(`${line},两百,40,25.4,110.3`));
    await page.getByText(/有 \d+ 处错误，什么都没有写入/).waitFor();
    assert.equal(await page.getByRole("button", { name: /确认导入/ }).count(), 0, "a roster with mistakes cannot be applied");
    await upload(input, sheet(`${line},200,40,25.4123,110.3184`));
    const apply = page.getByRole("button", { name: /确认导入/ });
    const known = page.getByText("名册与系统完全一致，没有变化");
    await apply.or(known).first().waitFor();
    await picture(page, "roster");
    if (await apply.count()) { await apply.click(); await page.getByText("导入完成").waitFor(); }

    // The ledger: how many classrooms have a screen.
    await at("/assets?tab=equipment");
    await page.locator(".el-tab-pane:visible .el-table__row").filter({ hasText: place }).first().waitFor();

    // A week as another program writes it, seen before it is set.
    const room = (await get(page, `/schools/${school}`)).classrooms[0];
    await at(`/timetables?at=classroom:${room.id}&school=${school}&tab=week`);
    const times = [["08:00", "08:40"], ["08:50", "09:30"], ["09:50", "10:30"], ["14:00", "14:40"]];
    const subjects = ["语文", "数学", "英语", "科学"];
    const cses = ["version: 1", "subjects:", ...subjects.map((name) => `  - name: ${name}\n    teacher: 赵钱孙`), "schedules:", ...[1, 2, 3, 4, 5].flatMap((d) => [`  - name: 星期${d}`, `    enable_day: ${d}`, "    weeks: all", "    classes:", ...subjects.map((subject, i) => `      - subject: ${subject}\n        start_time: "${times[i][0]}:00"\n        end_time: "${times[i][1]}:00"`)])].join("\n");
    await button(page, "导入").click();
    await upload(dialog.locator("input[type=file]"), ["三1班.yaml", "application/yaml", cses]);
    await dialog.locator("[data-preview]").waitFor();
    assert.equal(await dialog.locator("[data-preview] .chip").count(), 20, "a week of 20 periods");
    const set = button(dialog, "确认导入");
    if (await set.isEnabled()) { await set.click(); await dialog.waitFor({ state: "detached" }); } else await button(dialog, "取消").click();
    await page.locator(".grid .chip").nth(19).waitFor();
    assert.ok(!(await page.content()).includes("赵钱孙"), "no teacher is in it");
    return "a line was set; a roster with a mistake named, then applied; a week of 20 periods";
  },

  async rules() {
    await at("/alert-settings");
    await button(page, "温度过高: 修改规则").click();
    await button(dialog, "试一试").click();
    await dialog.getByText(/近 7 天(会触发 \d+ 次|一次也不会触发)/).waitFor({ timeout: 60_000 });
    await button(dialog, "取消").click();
    await at("/alert-settings?tab=notify");
    await button(page, "新建渠道").click();
    await choose(page, "类型", "Webhook", dialog);
    await dialog.locator("#channel-name").fill("值班群");
    await dialog.locator("#channel-url").fill(hook);
    await button(dialog, "保存").click();
    await button(page, "值班群: 发一条试试").click();
    await page.getByText(/对方已收下，用时 \d+ 毫秒/).waitFor();
    await at("/reports?tab=indicators");
    await page.getByRole("textbox", { name: "搜索指标" }).fill("带宽");
    await until("indicators of that word", async () => { const count = await page.locator(".el-tab-pane:visible .list > li").count(); return count > 0 && count < 20; });
    await at("/reports?tab=manual");
    await page.locator(".el-tab-pane:visible .bar .el-select__wrapper").first().click();
    await page.locator(".el-select-dropdown__item:visible", { hasText: place }).first().click();
    const form = page.locator(".el-tab-pane:visible .list form").first();
    const fields = form.getByRole("spinbutton");
    await fields.nth(0).fill("9");
    await fields.nth(1).fill("2");
    await page.keyboard.press("Tab");
    await form.getByRole("textbox").last().fill("资产台账");
    await button(form, "保存").click();
    await page.getByText("已保存").first().waitFor();
    return "a rule tried on the whole county, a channel tried, a figure of one's own";
  },

  async incidents() {
    seen.incident = (await until("an incident of the hot school", async () => (await get(page, `/incidents?open=true&school_id=${school}`)).items?.[0])).id;
    await at("/incidents");
    await page.locator(`.el-table a[href="/incidents/${seen.incident}"]`).first().click();
    await page.waitForURL(/\/incidents\/\d+/);
    await button(page, "开工单").click();
    await page.waitForURL(/\/orders\/\d+/);
    seen.order = number(new URL(page.url()).pathname);
    const card = page.locator(`a[href="/orders/${seen.order}"]`);
    await at("/orders?view=board");
    await page.getByRole("region", { name: "待受理" }).locator(`a[href="/orders/${seen.order}"]`).waitFor();
    await card.first().click();
    await button(page, "受理").click();
    await page.getByText("已受理", { exact: true }).first().waitFor();
    await at("/orders?view=board");
    await page.getByRole("region", { name: "已受理" }).locator(`a[href="/orders/${seen.order}"]`).waitFor();
    await picture(page, "board");
    await at("/orders?view=calendar");
    await page.locator(".days").locator(`a[href="/orders/${seen.order}"]`).first().waitFor();
    await picture(page, "calendar");
    return `incident ${seen.incident}, order ${seen.order} on board and calendar`;
  },

  async reports() {
    // What a report of the running month would say; nothing of it is kept.
    const kept = (await get(page, "/reports?page_size=1")).total;
    await at("/reports");
    await page.getByRole("link", { name: "本期预览" }).click();
    await page.waitForURL(/\/reports\/preview/);
    await page.getByText(/这份预览没有保存/).waitFor({ timeout: 60_000 });
    assert.ok((await rows().count()) > 10, "the indicators of the running month");
    await picture(page, "report-preview");
    assert.equal((await get(page, "/reports?page_size=1")).total, kept, "a preview is not kept");

    await at("/reports");
    await button(page, "新建报表").click();
    await choose(page, "位置", region.name, dialog);
    if (kept > 0) { // once more on the same county: a month further back
      await dialog.locator("#report-day").fill(day(-31 * (kept + 1)));
      await page.keyboard.press("Enter");
    }
    await button(dialog, "生成").click();
    await page.waitForURL(/\/reports\/\d+/, { timeout: 60_000 });
    seen.report = number(new URL(page.url()).pathname);
    await button(page, "核对").click();
    await page.getByText("重新计算的结果与报表逐字节一致").waitFor({ timeout: 60_000 });
    await page.getByRole("button", { name: /: 明细 [1-9]\d*$/ }).first().click();
    await rows(page.locator(".el-drawer")).first().waitFor();
    await picture(page, "report-rows");
    await page.keyboard.press("Escape");
    await button(page, "上报").click();
    await page.locator("h1").getByText("已上报", { exact: true }).waitFor();
    const above = await open();
    await signIn(above, people.overseer, people.password);
    await above.goto(page.url());
    for (const [press, state] of [["审核通过", "已审核"], ["冻结", "已冻结"]]) {
      await button(above, press).click();
      await above.locator("h1").getByText(state, { exact: true }).waitFor({ timeout: 60_000 });
    }
    await above.context().close();
    await page.locator("h1").getByText("已冻结", { exact: true }).waitFor(); // told live
    const snapshot = await fetched(await page.locator("a", { hasText: "冻结包" }).getAttribute("href"));
    assert.ok(snapshot.ok && snapshot.head.startsWith("PK"), "the snapshot is a zip");
    await button(page, "核对").click();
    await page.getByText("签名和全部文件都完好").waitFor({ timeout: 60_000 });
    await at("/registers");
    const printed = await fetched(await page.locator("a.el-button--primary", { hasText: "打印" }).getAttribute("href"));
    assert.ok(printed.ok && printed.text.includes("<table"), "a register to print");
    return `report ${seen.report}: made, opened, handed in, approved, frozen, its seal whole`;
  },

  async exams() {
    const monday = day(1 - (((new Date(`${day(0)}T00:00:00Z`).getUTCDay() + 6) % 7) + 1));
    await at(`/timetables?at=region:${region.id}&tab=calendar`);
    const own = page.locator(".el-checkbox", { hasText: "在这里设置学期" });
    await own.waitFor();
    if (!(await page.locator("#term-first").count())) await own.click();
    await page.fill("#term-first", monday);
    await page.keyboard.press("Enter");
    const kept = page.waitForResponse((r) => r.request().method() === "PUT" && r.url().includes("/calendar"));
    await button(page, "保存").click();
    assert.ok((await kept).ok(), "the term is kept");

    await at("/exams");
    await button(page, "新建考试").click();
    await dialog.locator("#exam-name").fill("期中考试·英语");
    await choose(page, "在哪里", place, dialog);
    for (const [field, text] of [["#exam-when", `${day(3)} 09:00`], ["#exam-until", `${day(3)} 11:00`]]) { await page.locator(field).fill(text); await page.keyboard.press("Tab"); }
    await page.locator(".el-picker-panel:visible").waitFor({ state: "detached", timeout: 3_000 }).catch(() => page.locator(".el-dialog__header").click());
    await button(dialog, "加一段听力").click();
    await button(dialog, "新建").click();
    const pin = await page.locator("[data-pin]").innerText();
    assert.match(pin, /^\d{6}$/, "the exam's PIN is shown");
    await dialog.last().locator(".el-dialog__footer .el-button--primary").click();
    await page.waitForURL(/\/exams\/.+/);
    seen.exam = new URL(page.url()).pathname.split("/").at(-1);
    await page.getByText("已设 PIN").first().waitFor();
    assert.ok(!(await page.content()).includes(pin), "and never again");
    await picture(page, "exam");
    await page.locator(".head").getByRole("button", { name: /取消/ }).click();
    await page.locator(".el-message-box .el-button--primary").click();
    await page.getByText("已取消", { exact: true }).first().waitFor();
    return "a term begins; an exam with a PIN that is shown once, then cancelled";
  },

  async people() {
    await at("/people");
    await button(page, "新建人员").click();
    const name = `zhang.min${Date.now() % 100_000}`;
    await dialog.locator("#new-username").fill(name);
    await dialog.locator("#new-name").fill("张敏");
    await dialog.getByText("学校管理员", { exact: true }).click();
    await dialog.getByRole("textbox", { name: "按名称筛选" }).fill(place);
    await dialog.locator(".el-tree-node__content:visible", { hasText: place }).first().click();
    await button(dialog, "建立账户").click();
    await page.getByText("密码只显示这一次").waitFor();
    const word = (await page.locator(".secret .big").last().innerText()).trim();
    await button(page, "我已记下").click();
    await page.waitForURL(/\/people\/\d+/);
    seen.person = number(new URL(page.url()).pathname);

    // Whoever answers for one school has that school, and nothing of the next one.
    const stranger = (await get(page, "/devices?page_size=200")).items.find((one) => one.school !== place)?.id;
    assert.ok(stranger, "a device of another school");
    const other = await open();
    await signIn(other, name, word);
    await other.goto(`${base}/devices`);
    await until("one school's devices", async () => number(await other.locator(".count").innerText().catch(() => "")) === 25);
    assert.equal(await other.locator("nav").getByText("人员与权限").count(), 0, "what one may not do is not offered");
    await other.goto(`${base}/devices/${stranger}`);
    await other.locator(".el-alert").first().waitFor();
    const status = await other.evaluate(async (id) => (await fetch(`/api/v1/devices/${id}`)).status, stranger);
    assert.equal(status, 404, "a foreign device is not there");
    await other.context().close();

    await at("/roles");
    await page.locator("tbody td.yes").first().waitFor();
    await at("/audit?range=all");
    await button(page, "校验整条日志").click();
    await page.getByText(/条记录完整，没有被改动过/).waitFor({ timeout: 60_000 });

    // Labels to print, for the school that came with the roster.
    const rest = (await get(page, "/tree")).regions.flatMap((one) => one.schools).find((one) => one.name === "白水乡中心小学");
    if (rest && !rest.classrooms) await page.evaluate(async (id) => { for (const n of [1, 2]) await fetch("/api/v1/classrooms", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ school_id: id, code: `30${n}`, name: `三年级（${n}）班`, grade: "三年级" }) }); }, rest.id);
    await at("/tickets");
    await button(page, "整校批次").click();
    await dialog.getByRole("textbox", { name: "按名称筛选" }).fill("白水乡中心小学");
    await dialog.locator(".el-tree-node__content:visible", { hasText: "白水乡中心小学" }).last().click();
    await dialog.locator(".el-dialog__footer .el-button--primary").click();
    await dialog.getByText(/白水乡中心小学：2 个注册码/).waitFor();
    const labels = await fetched(await dialog.locator(".ways a").first().getAttribute("href"));
    assert.equal(labels.head, "%PDF-", "labels to print");
    await picture(page, "tickets");
    await button(dialog, "关闭").click();
    await at("/security");
    await page.getByText(/信任根第 \d+ 版/).waitFor();
    return "an account for one school sees that school alone; the log is whole; labels are printed";
  },

  async system() {
    // One that was due may be on its way; names of files are of the second.
    await until("no other backup is being made", async () => { const { running, items } = await get(page, "/backups"); return !running && items.every((one) => Date.now() - Date.parse(one.made_at) > 2_000); });
    await at("/system");
    const start = button(page, "现在备份");
    await start.waitFor();
    const before = await page.locator(".backup a[download]").count();
    await start.click();
    await until("a backup more", async () => (await page.locator(".backup a[download]").count()) > before && (await start.count()) > 0, 300);
    const [file] = await Promise.all([page.waitForEvent("download"), page.locator(".backup a[download]").first().click()]);
    seen.backup = "county.age";
    await file.saveAs(join(out, seen.backup));
    assert.ok(readFileSync(join(out, seen.backup)).subarray(0, 22).toString().startsWith("age-encryption.org/v1"), "nobody reads it without the key");
    await picture(page, "system");
    return `a backup was made and fetched (${file.suggestedFilename()})`;
  },

  async lessons() {
    await at("/lessons");
    const title = `口算练习 ${Date.now() % 100_000}`;
    const bundle = (name) => ["口算.zip", "application/zip", readFileSync(join(files, name, "口算.zip"))];
    await button(page, "上传课程").click();
    await upload(dialog.locator("input[type=file]"), bundle("far"), ["图.png", "image/png", PNG]);
    for (const [field, value] of [["title", title], ["subject", "数学"], ["grade", "三年级"], ["stage", "小学"], ["edition", "人教版"], ["volume", "上册"], ["chapter", "第五单元 倍的认识"], ["period", "第1课时"]]) { await dialog.locator(`#meta-${field}`).fill(value); await page.keyboard.press("Tab"); }
    await button(dialog, "上传").click();
    await page.waitForURL(/\/lessons\/.+/, { timeout: 60_000 });
    seen.lesson = decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1));
    await page.getByText(/互动课件引用了外部地址/).first().waitFor();
    await picture(page, "lint");
    await button(page, "上传新版本").click();
    await upload(dialog.locator("input[type=file]"), bundle("whole"), ["图.png", "image/png", PNG]);
    await button(dialog, "上传").click();
    await page.getByText("没有发现问题").waitFor({ timeout: 60_000 });
    await page.locator(".review").getByText("第 2 版", { exact: true }).first().waitFor();

    await page.getByRole("button", { name: /: 预览$/ }).first().click();
    const shown = dialog.locator("img");
    await shown.waitFor();
    assert.ok(await shown.evaluate((img) => img.decode().then(() => img.naturalWidth > 0)), "a picture is seen in the page");
    await page.keyboard.press("Escape");

    // Nothing reaches a board before other eyes have seen it.
    const steps = ["初审通过", "复审通过", "准入通过"];
    await button(page, "自审通过").click();
    await page.getByText("等待有权限的人办理").or(page.getByText("要由别人审核")).first().waitFor();
    assert.equal(await page.getByRole("button", { name: steps[0] }).count(), 0, "who uploads does not review");
    for (const [n, name] of people.reviewers.entries()) {
      const colleague = await open();
      await signIn(colleague, name, people.password);
      await colleague.goto(`${base}/reviews`);
      await colleague.getByRole("link", { name: title }).first().click();
      await button(colleague, steps[n]).click();
      await colleague.getByText("你已经审过这个版本的另一步").or(colleague.getByText("等待有权限的人办理")).first().waitFor();
      await colleague.context().close();
    }
    await page.reload();
    await button(page, "出库并签名").click();
    await page.getByText("终端上是第 2 版").waitFor();

    // Whom, what, by when; what will come of it; then it is sent.
    await page.getByRole("button", { name: "推送这节课" }).click();
    await page.waitForURL(/\/pushes\/new/);
    await page.getByText("已选 1 节").waitFor();
    await button(page, "下一步").click();
    await page.locator(".place-tree .el-tree-node__content", { hasText: region.name }).first().click();
    await button(page, "下一步").click();
    await page.locator("#needed-by").fill(`${day(3)} 08:00`);
    await page.keyboard.press("Enter");
    await page.locator(".verdict").waitFor({ timeout: 60_000 });
    assert.ok((await rows(page.locator(".forecast")).count()) >= 12, "a word for each school");
    await picture(page, "push-wizard");
    const sent = Date.now();
    await page.locator(".foot .el-button--primary").click();
    await page.waitForURL(/\/pushes\/\d+/);
    seen.push = number(new URL(page.url()).pathname);
    await until(`${ONLINE} classrooms are ready, told live`, async () => number(await page.locator(".head .big b").innerText()) === ONLINE, Math.max(600, BOARDS));
    seen.push_ms = Date.now() - sent;
    await page.locator(".el-radio-button", { hasText: "回执" }).first().click();
    const arrived = page.locator(".counts .el-radio-button", { hasText: "已到达" });
    await until("receipts of all that are there", async () => number(await arrived.innerText().catch(() => "")) === ONLINE, Math.max(150, BOARDS));
    await page.locator(".schools li", { hasText: /线路 .+校内互传 / }).first().waitFor();
    // One board of each school had it over the line, the others from that one.
    const { schools } = await until("the ways are known", async () => { const found = await get(page, `/pushes/${seen.push}/receipt-summary`); return found.schools.find((one) => one.school_id === Number(school))?.ways.lan_bytes > 0 && found; }, 60, 500);
    const ways = schools.find((one) => one.school_id === Number(school)).ways;
    const table = await fetched(await page.locator("a[download]", { hasText: "csv" }).first().getAttribute("href"));
    seen.receipts = { arrived: number(await arrived.innerText()), lines: table.text.trim().split("\n").length, wan: ways.wan_bytes, lan: ways.lan_bytes };
    await picture(page, "receipts");
    await button(page, "撤回推送").click();
    await page.locator(".el-message-box .el-button--primary").click();
    await page.getByText("已撤回", { exact: true }).first().waitFor();
    return `a lesson linted, mended, reviewed by three, on ${seen.receipts.arrived} boards, withdrawn`;
  },
};

/** Every page there is, looked at in light and dark; what is wrong with it is a fault. */
async function everyPage() {
  const room = (await get(page, `/schools/${school}`)).classrooms[0];
  const ids = { device: seen.device, lesson: seen.lesson, push: seen.push, exam: seen.exam, incident: seen.incident, order: seen.order, "phone-order": seen.order, report: seen.report, person: seen.person };
  const lists = { device: "/devices?page_size=1", lesson: "/lessons?page_size=1", push: "/pushes?page_size=1&withdrawn=true", exam: "/exams?page_size=1", incident: "/incidents?page_size=1", order: "/orders?page_size=1", "phone-order": "/orders?page_size=1", report: "/reports?page_size=1", person: "/users?page_size=1" };
  for (const [name, path] of Object.entries(lists)) ids[name] ??= (await get(page, path)).items?.[0]?.id;
  const wanted = addresses(ids, (name, path) => seen.faults.push(`the page ${name} (${path}) is not looked at: nothing of it is there`)).filter(({ name }) => name !== "sign-in");
  const more = [
    ...["timeline", "health", "network", "events", "commands", "identity", "records"].map((tab) => `/devices/${ids.device}?tab=${tab}`),
    `/schools?at=school:${school}`, `/timetables?at=classroom:${room.id}&school=${school}&tab=week`, `/timetables?at=region:${region.id}&tab=calendar`, `/timetables?at=school:${school}&tab=rooms`,
    ...["notify", "maintenance"].map((tab) => `/alert-settings?tab=${tab}`), ...["areas", "parts"].map((tab) => `/order-settings?tab=${tab}`),
    ...["board", "calendar"].map((view) => `/orders?view=${view}`), ...["indicators", "manual", "data"].map((tab) => `/reports?tab=${tab}`), ...["equipment", "inspections"].map((tab) => `/assets?tab=${tab}`), "/usage?view=use",
  ];
  const queue = [...wanted.map(({ path }) => path), ...more];
  seen.pages = queue.length;
  const state = await page.context().storageState();
  const slowest = [];
  await Promise.all([1, 2, 3].map(async () => {
    const own = await context({ storageState: state });
    await still(own);
    const one = watch(await own.newPage());
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const began = Date.now();
      try {
        await look(one, path);
      } catch (cause) {
        seen.faults.push(`${path}: ${String(cause.message).split("\n")[0]}`);
      }
      slowest.push([Date.now() - began, path]);
    }
    await own.close();
  }));
  const outside = await context();
  await still(outside);
  await look(watch(await outside.newPage()), "/sign-in");
  await outside.close();
  slowest.sort((a, b) => b[0] - a[0]);
  say(`${seen.pages} pages in light and dark; longest: ${slowest.slice(0, 3).map(([ms, path]) => `${path} ${ms} ms`).join(", ")}`);
}
/** Pages for a telephone are as wide as one. */
const PHONE = /^\/(m|claim)(\/|$)/;
async function look(one, path) {
  const [width, height] = PHONE.test(path) ? [390, 844] : [1280, 800];
  await one.setViewportSize({ width, height });
  await one.goto(base + path);
  await settle(one);
  for (const dark of path === "/wall" ? [true] : [false, true]) {
    await theme(one, dark);
    for (const line of await violations(one, dark && path !== "/wall" ? COLOURS : undefined)) seen.faults.push(`${path} (${dark ? "dark" : "light"}): axe ${line}`);
    const over = await sideways(one);
    if (over > 0) seen.faults.push(`${path} at ${width}: ${over} px wider than its window`);
    if (!shots) continue;
    mkdirSync(join(out, "pages"), { recursive: true });
    for (const w of PHONE.test(path) ? [390] : [1280, 1920]) {
      await one.setViewportSize({ width: w, height: w === 1920 ? 1080 : height });
      await one.waitForTimeout(250);
      await one.screenshot({ path: join(out, "pages", `${path.slice(1).replace(/\W+/g, "-") || "overview"}-${w}-${dark ? "dark" : "light"}.png`) });
    }
    await one.setViewportSize({ width, height });
    await one.waitForTimeout(400); // tables take a moment to be narrow again
  }
  await theme(one, false);
}

/** The morning after: boards that have been given more than the copy knows are named, and somebody decides. */
async function restored() {
  const counted = async (word) => number(new RegExp(`${word}\\s*\\d+`).exec(await page.locator(".restore").innerText())?.[0] ?? "");
  await at("/system");
  await page.getByText("恢复后需要决定的事").waitFor();
  await until("boards that are ahead are named", async () => (await counted("有冲突")) === ONLINE, 300);
  await picture(page, "restored");
  for (const line of await violations(page)) seen.faults.push(`/system, restored: axe ${line}`);
  const first = page.locator(".restore .el-table__row").first();
  const name = (await first.locator("a").first().innerText()).trim();
  await first.locator(".el-checkbox").click();
  await page.getByText("已选 1 台").waitFor();
  await button(page.locator(".restore"), "保持终端现状").click();
  await page.locator(".el-message-box").getByText(name).first().waitFor();
  await page.locator(".el-message-box .el-button--primary").click();
  await until("one keeps what it has", async () => (await counted("保持不动")) === 1);
  await page.locator(".restore .el-table__header .el-checkbox").click();
  await button(page.locator(".restore"), "按控制台重新下发").click();
  await page.locator(".el-message-box .el-button--primary").click();
  await until("all are decided", async () => (await counted("有冲突")) === 0, 300);
  await picture(page, "decided");
  say(`${ONLINE} boards were ahead of the copy: one kept what it has at first, then all were given this console's`);
}

await signIn(page, user, password);
if (process.env.BBT_PART === "restored") {
  await restored();
} else {
  region = (await get(page, "/tree")).regions[0];
  place = (await get(page, `/schools/${school}`)).name;
  const only = process.env.BBT_ONLY?.split(",");
  for (const [name, block] of Object.entries(blocks)) if (!only || only.includes(name)) say(`${name}: ${await block()}`);
  if (!only || only.includes("pages")) await everyPage();
}
await browser.close();
for (const fault of seen.faults) console.log(`FAULT ${fault}`);
console.log(JSON.stringify(seen));
