// Opens every page of the console whose data is full of scripts and formulas, every tab on it, and says what happened.
//   node hostile_strings.mjs, with BBT_URL, BBT_USER, BBT_PASSWORD, BBT_IDS (ids by page), BBT_MORE (further addresses) and BBT_WANTED (what must stand where)
// The pages are those of the router: a new one that is not opened here is told as a fault.
import { createRequire } from "node:module";

import { addresses, web } from "./browser.mjs";

const { chromium } = createRequire(`${web}package.json`)("playwright-core");
const { BBT_URL: base, BBT_USER: user, BBT_PASSWORD: password } = process.env;
const ids = JSON.parse(process.env.BBT_IDS);
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// A board's fault code that somebody else has written; words that a catalogue is asked for among its errors.
const code = { d: "=1<b data-bbt>", s: "=2<img data-bbt src=x onerror=bbtHit=9>", b: "<svg data-bbt onload=bbtHit=9>", v: "{{bbtHit=9}}", t: "<b>", c: true, u: 5, L: [1, 2, 3], q: 0, e: "<i data-bbt>", r: 0, E: ["<a data-bbt href=javascript:bbtHit=9>", "constructor", "__proto__", "[", "a.b..c"] };
const diag = `/diag#1.${Buffer.from(JSON.stringify(code)).toString("base64url")}`;
const wanted = [...JSON.parse(process.env.BBT_WANTED), ["/diag", code.s], ["/diag", code.b]];

const faults = [];
const shown = new Set();
/** What was read on each page, without blanks and what does not show. */
const read = new Map();
const bare = (text) => text.replace(/[\s\p{C}]/gu, "");
const pages = addresses(ids, (name, path) => faults.push(`the page ${name} (${path}) is not opened: no id of it in hostile_strings.rs`)).map((one) => one.path).concat(JSON.parse(process.env.BBT_MORE), diag);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
const context = await browser.newContext({ locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1600, height: 1000 } });
await context.addInitScript(() => {
  window.bbtRefused = [];
  document.addEventListener("securitypolicyviolation", (e) => window.bbtRefused.push(`${e.effectiveDirective} ${e.blockedURI} ${e.sample}`));
});

async function watched() {
  const page = await context.newPage();
  page.on("dialog", (d) => { faults.push(`${page.url()}: a dialog: ${d.message()}`); void d.dismiss(); });
  page.on("pageerror", (e) => faults.push(`${page.url()}: script error: ${e.message}`));
  page.on("console", (m) => { if (m.type() === "error" && !/status of 4\d\d/.test(m.text())) faults.push(`${page.url()}: ${m.text()}`); });
  page.on("request", (r) => {
    const url = new URL(r.url());
    if (/^https?:$/.test(url.protocol) && url.origin !== base) faults.push(`${page.url()}: a request left the console: ${r.url()}`);
    if (/^\/x$|\/x\?|bbtHit|%3Cimg/i.test(url.pathname)) faults.push(`${page.url()}: asked for ${url.pathname}`);
  });
  return page;
}

/** What stands in the page that none of ours may hold. */
async function look(page, where) {
  const seen = await page.evaluate(() => {
    const all = (selector) => [...document.querySelectorAll(selector)].map((e) => e.outerHTML.slice(0, 200));
    return {
      ran: window.bbtHit,
      elements: all("[data-bbt], iframe[srcdoc], [onerror], [onload], [onclick], script:not([src]):not([type='application/json'])"),
      links: all("a[href]").length === 0 ? [] : [...document.links].filter((a) => !/^(https?|mailto|tel|blob):$/.test(a.protocol)).map((a) => a.outerHTML.slice(0, 200)),
      refused: window.bbtRefused.splice(0),
      all: document.body.innerText,
      texts: (document.body.innerText.match(/data-bbt/g) ?? []).length,
    };
  });
  if (seen.ran !== undefined) faults.push(`${where}: a script ran (${seen.ran})`);
  for (const element of seen.elements) faults.push(`${where}: an element came in: ${element}`);
  for (const link of seen.links) faults.push(`${where}: a link that is no address: ${link}`);
  for (const refused of seen.refused) faults.push(`${where}: the policy had to refuse ${refused}`);
  const name = where.split(/[#?]/)[0];
  if (seen.texts > 0) shown.add(where.split("#")[0]);
  read.set(name, (read.get(name) ?? "") + bare(seen.all));
}

async function settle(page) {
  await page.waitForLoadState("domcontentloaded");
  await page.waitForFunction(() => !document.querySelector(".el-skeleton, .el-loading-mask:not([style*='none'])"), null, { timeout: 8_000 }).catch(() => {});
  await page.waitForTimeout(120);
}

async function visit(page, path) {
  await page.goto(base + path);
  await settle(page);
  await look(page, path);
  // Its saved views.
  const views = page.getByRole("button", { name: "视图", exact: true }).first();
  if (await views.count()) {
    await views.click({ timeout: 10_000 });
    await page.locator("ul.views").waitFor({ timeout: 10_000 }).catch(() => {});
    await look(page, `${path}#views`);
    await page.keyboard.press("Escape");
  }
  // Every tab, every choice of view: what is behind it is only made then.
  const tabs = page.locator("main .el-tabs__item:visible, main .el-radio-button:visible");
  for (let n = 0; n < Math.min(await tabs.count(), 12); n += 1) {
    await tabs.nth(n).click({ timeout: 1_500 }).catch(() => {});
    await settle(page);
    await look(page, `${path}#${n}`);
  }
  // A tooltip and what opens at the first row.
  const first = page.locator("main .el-table__row:visible, main .el-table-v2__row:visible").first();
  if (await first.count()) {
    await first.hover({ timeout: 1_000 }).catch(() => {});
    await first.locator(".el-table__expand-icon, button, .el-link").first().click({ timeout: 600 }).catch(() => {});
    await settle(page);
    await look(page, `${path}#row`);
  }
  await seek(page, path, tabs);
}

/** What must stand here and was not read yet: on a slow machine a tab may fill after it was looked at. */
async function seek(page, path, tabs) {
  const name = path.split(/[#?]/)[0];
  const missing = () => wanted.some(([where, text]) => where === name && !read.get(name)?.includes(bare(text)));
  for (let n = 0; missing() && n < Math.min(await tabs.count(), 12); n += 1) {
    await tabs.nth(n).click({ timeout: 1_500 }).catch(() => {});
    for (let tries = 0; missing() && tries < 12; tries += 1) {
      await page.waitForTimeout(250);
      await look(page, `${path}#${n}`);
    }
  }
}

const page = await watched();
await page.goto(`${base}/sign-in`);
await page.fill("#username", user);
await page.fill("#password", password);
await page.keyboard.press("Enter");
await page.waitForURL((url) => !url.pathname.includes("sign-in"));
await settle(page);

const queue = pages.filter((path) => path !== "/sign-in");
await Promise.all(Array.from({ length: 3 }, async () => {
  const own = await watched();
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    try {
      await visit(own, path);
    } catch (cause) {
      faults.push(`${path}: ${String(cause.message).split("\n")[0]}`);
    }
  }
}));
await browser.close();
for (const [where, text] of wanted) if (!read.get(where)?.includes(bare(text))) faults.push(`${where}: does not show ${JSON.stringify(text)}`);
console.log(JSON.stringify({ pages: pages.length, shown: [...shown].sort(), faults: [...new Set(faults)] }));
