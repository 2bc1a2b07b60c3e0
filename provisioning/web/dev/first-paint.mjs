// How soon a page of a big county is of use: cold cache, one fresh browser context a round, signed in.
//   BBT_URL=… BBT_USER=admin BBT_PASSWORD=… node dev/first-paint.mjs [ROUNDS]
// Fails when the median of a page is above BBT_LIMIT_MS (1500). Useful is: the figures of the fleet, the first row of a list.
import { chromium } from "playwright-core";

const { BBT_URL: base = "http://127.0.0.1:8080", BBT_USER: user = "admin", BBT_PASSWORD: password, BBT_LIMIT_MS: limit = "1500" } = process.env;
const rounds = Number(process.argv[2] ?? 7);
if (!password) {
  console.error("usage: BBT_URL=… BBT_USER=… BBT_PASSWORD=… node dev/first-paint.mjs [ROUNDS]");
  process.exit(2);
}
const PAGES = [
  { path: "/", useful: ".figure.big b" },
  { path: "/devices", useful: ".el-table-v2__row" },
  { path: "/devices?state=offline&sort=-last_seen_at", useful: ".el-table-v2__row, .empty" },
  { path: "/wall", useful: ".wall .state b" },
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
const devices = await page.evaluate(async () => (await (await fetch("/api/v1/devices?page_size=1")).json()).total);
await door.close();

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
let late = 0;
console.log(`${base}: ${devices} devices, ${rounds} rounds`);
for (const { path, useful } of PAGES) {
  const times = [];
  const paints = [];
  let bytes = 0;
  for (let n = 0; n < rounds; n += 1) {
    const context = await browser.newContext({ ...options, storageState });
    const fresh = await context.newPage();
    // From inside the page, so that what is measured is the page and not the wire to its driver.
    await fresh.addInitScript((selector) => {
      const look = () => {
        const found = [...document.querySelectorAll(selector)].find((e) => e.getClientRects().length && e.textContent.trim());
        if (found) requestAnimationFrame(() => { window.usefulAt = performance.now(); });
        else setTimeout(look, 5);
      };
      look();
    }, useful);
    await fresh.goto(base + path, { waitUntil: "commit" });
    await fresh.waitForFunction(() => window.usefulAt !== undefined, null, { timeout: 30_000 });
    const seen = await fresh.evaluate(() => ({ useful: window.usefulAt, paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0, bytes: performance.getEntriesByType("resource").reduce((sum, r) => sum + r.transferSize, 0) }));
    times.push(seen.useful);
    paints.push(seen.paint);
    bytes = seen.bytes;
    await context.close();
  }
  const middle = median(times);
  if (middle > Number(limit)) late += 1;
  console.log(`${path.padEnd(44)} useful after ${Math.round(middle)} ms (worst ${Math.round(Math.max(...times))}), first paint ${Math.round(median(paints))} ms, ${Math.round(bytes / 1024)} KiB fetched${middle > Number(limit) ? `  > ${limit}` : ""}`);
}
await browser.close();
process.exit(late ? 1 : 0);
