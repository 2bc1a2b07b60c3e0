// How soon a page of a big county is of use: cold cache, one fresh browser context a round, signed in.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/first-paint.mjs [ROUNDS]
// Useful is: the figures of the fleet, the first row of a list or the word that there is none. Fails when a page does not come to
// that; with BBT_LIMIT_MS, when the median of one is later. Its last line is the same as JSON. BBT_ONLY=/devices,/wall: those alone.
import { chromium } from "playwright-core";

const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password, BBT_LIMIT_MS: limit, BBT_ONLY: only } = process.env;
const rounds = Number(process.argv[2] ?? 7);
if (!password) {
  console.error("usage: BBT_URL=… BBT_USER=… BBT_PASSWORD=… node dev/first-paint.mjs [ROUNDS]");
  process.exit(2);
}
const ROWS = "main .el-table-v2__row, main .el-table__row, main .empty";
const PAGES = [
  { path: "/", useful: ".figure.big b" },
  { path: "/devices", useful: ".el-table-v2__row" },
  { path: "/devices?state=offline&sort=-last_seen_at", useful: ".el-table-v2__row, .empty" },
  { path: "/devices?size=500", useful: ".el-table-v2__row" },
  { path: "/wall", useful: ".wall .state b" },
  { path: "/schools", useful: ".el-tree-node" },
  { path: "/lessons", useful: ROWS },
  { path: "/pushes", useful: ROWS },
  { path: "/readiness", useful: ROWS },
  { path: "/incidents", useful: ROWS },
  { path: "/orders", useful: ROWS },
  { path: "/bandwidth", useful: ROWS },
  { path: "/audit", useful: ROWS },
  { path: "/people", useful: ROWS },
];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const options = { locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1280, height: 800 } };
const door = await browser.newContext(options);
const page = await door.newPage();
await page.goto(`${base}/sign-in`);
await page.fill("#username", user);
await page.fill("#password", password);
await page.keyboard.press("Enter");
await page.waitForURL((url) => !url.pathname.includes("sign-in"));
const storageState = await door.storageState();
const { total: devices, items: [one] } = await page.evaluate(async () => (await fetch("/api/v1/devices?page_size=1")).json());
if (one) PAGES.push({ path: `/devices/${one.id}`, useful: "main dl.facts dd" });
await door.close();

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const found = [];
const late = [];
console.log(`${base}: ${devices} devices, ${rounds} rounds`);
for (const { path, useful } of PAGES.filter((one) => !only || only.split(",").includes(one.path))) {
  const seen = [];
  for (let n = 0; n < rounds; n += 1) {
    const context = await browser.newContext({ ...options, storageState });
    const fresh = await context.newPage();
    // Time that the page's own thread works, whatever else the machine does.
    const work = await context.newCDPSession(fresh);
    await work.send("Performance.enable", { timeDomain: "threadTicks" });
    // From inside the page, so that what is measured is the page and not the wire to its driver.
    await fresh.addInitScript((selector) => {
      const look = () => {
        const there = [...document.querySelectorAll(selector)].find((e) => e.getClientRects().length && e.textContent.trim());
        if (there) requestAnimationFrame(() => { window.usefulAt = performance.now(); });
        else setTimeout(look, 5);
      };
      look();
    }, useful);
    await fresh.goto(base + path, { waitUntil: "commit" });
    try {
      await fresh.waitForFunction(() => window.usefulAt !== undefined, null, { timeout: 30_000 });
    } catch {
      console.error(`${path} is of no use after 30 s`);
      process.exit(1);
    }
    const { metrics } = await work.send("Performance.getMetrics");
    const at = await fresh.evaluate(() => ({ useful: window.usefulAt, paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0, bytes: performance.getEntriesByType("resource").reduce((sum, r) => sum + r.transferSize, 0) }));
    seen.push({ ...at, cpu: 1_000 * (metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN) });
    await context.close();
  }
  const middle = (key) => median(seen.map((one) => one[key]));
  const now = { path, useful_ms: middle("useful"), worst_ms: Math.max(...seen.map((one) => one.useful)), paint_ms: middle("paint"), cpu_ms: middle("cpu"), kib: middle("bytes") / 1024 };
  found.push(now);
  const above = limit !== undefined && now.useful_ms > Number(limit);
  if (above) late.push(path);
  console.log(`${path.padEnd(44)} useful after ${Math.round(now.useful_ms)} ms (worst ${Math.round(now.worst_ms)}), first paint ${Math.round(now.paint_ms)} ms, ${Math.round(now.cpu_ms)} ms of work, ${Math.round(now.kib)} KiB fetched${above ? `  > ${limit}` : ""}`);
}
await browser.close();
console.log(JSON.stringify(found));
process.exit(late.length ? 1 : 0);
