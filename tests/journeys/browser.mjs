// A browser at a running console, for journeys by the page: signs in, presses what a person presses, and notes down whatever a page does that none may do.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const web = join(dirname(fileURLToPath(import.meta.url)), "../../provisioning/web/");
const requireOfPages = createRequire(pathToFileURL(join(web, "package.json")));
const { chromium } = requireOfPages("playwright-core");
export const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC", "base64");
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const USUAL = { locale: "zh-CN", timezoneId: "Asia/Shanghai", viewport: { width: 1280, height: 800 }, acceptDownloads: true };

/** Names of routes and their addresses, as the router has them. */
export function routes() {
  const text = readFileSync(join(web, "src/router.ts"), "utf8");
  return [...text.matchAll(/path: "([^"]*)", name: "([^"]+)"/g)].map(([, path, name]) => ({ name, path: path.startsWith("/") ? path : `/${path}` }));
}
/** An address of each route. `ids` fills the one place that some have; those that lack one are handed to `missing`. */
export function addresses(ids, missing) {
  return routes().flatMap(({ name, path }) => {
    if (path.includes("*")) return [{ name, path: "/no/such/page" }];
    if (!path.includes(":")) return [{ name, path }];
    if (ids[name] === undefined) { missing(name, path); return []; }
    return [{ name, path: path.replace(/:\w+(\([^)]*\))?/, ids[name]) }];
  });
}

export const button = (within, name) => within.getByRole("button", { name, exact: true }).first();

/**
 * One browser. `faults` gathers script errors, complaints on the browser's own console, requests that leave the console and server errors.
 * An answer of the kind 401–429 is what the page asked for; it says so itself.
 */
export async function start(base, faults, out) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
  const origin = new URL(base).origin;
  const note = (page, what) => { const line = `${new URL(page.url() || base).pathname}: ${what}`; if (!faults.includes(line)) faults.push(line); };
  function watch(page) {
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (e) => note(page, `script error: ${e.message}`));
    page.on("console", (m) => { if (m.type() === "error" && !/status of (401|403|404|409|422|429)/.test(m.text())) note(page, m.text()); });
    page.on("response", (r) => { if (r.status() >= 500) note(page, `${r.status()} of ${new URL(r.url()).pathname}`); });
    page.on("request", (r) => { const url = new URL(r.url()); if (/^https?:$/.test(url.protocol) && url.origin !== origin) note(page, `request left the console: ${r.url()}`); });
    return page;
  }
  async function context(options = {}) {
    const made = await browser.newContext({ ...USUAL, ...options });
    // Pages of another folder than those in the console, while one works on them.
    if (process.env.BBT_PAGES) await made.route((url) => !/^\/(api|r)\//.test(url.pathname), (route) => { const file = join(process.env.BBT_PAGES, new URL(route.request().url()).pathname); return route.fulfill({ path: extname(file) ? file : join(process.env.BBT_PAGES, "index.html") }); });
    return made;
  }
  const open = async (options) => watch(await (await context(options)).newPage());
  async function signIn(page, name, word) {
    await page.goto(`${base}/sign-in`);
    await page.fill("#username", name);
    await page.fill("#password", word);
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => !url.pathname.includes("sign-in"));
  }
  const picture = (page, name) => page.screenshot({ path: join(out, `${name}.png`) });
  return { browser, context, open, watch, signIn, picture };
}

/** Chooses in a list that opens below the body. */
export async function choose(page, label, option, within = page) {
  await within.locator(".el-select__wrapper", { has: page.getByRole("combobox", { name: label, exact: true }) }).first().click();
  const found = page.locator(".el-select-dropdown__item:visible", { hasText: option }).first();
  await found.click();
  await found.waitFor({ state: "hidden", timeout: 1_000 }).catch(() => {}); // one of several stays open
}
/** What the API says to whoever is signed in here. */
export const get = (page, path) => page.evaluate(async (p) => (await fetch(`/api/v1${p}`)).json(), path);
export async function until(what, is, tries = 150, everyMs = 200) {
  for (let n = 0; n < tries; n += 1) {
    const found = await is();
    if (found) return found;
    await new Promise((done) => setTimeout(done, everyMs));
  }
  throw new Error(`never: ${what}`);
}
/** Until a page has what it asked for. */
export async function settle(page, restMs = 100) {
  await page.waitForLoadState("domcontentloaded");
  await page.waitForFunction(() => document.querySelector("main") && !document.querySelector(".el-skeleton, .el-loading-mask:not([style*='none'])"), null, { timeout: 10_000 }).catch(() => {});
  await page.waitForTimeout(restMs);
}

const axe = readFileSync(requireOfPages.resolve("axe-core/axe.min.js"), "utf8");
/** Faults of the library itself, looked at and lived with. */
const KNOWN = [/^aria-allowed-attr .*aria-checked="mixed"/]; // Element Plus' half-ticked "select all"
/** What axe-core has against a page as it is: WCAG 2 A and AA, serious and critical. `rules` narrows it. */
export async function violations(page, rules) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const found = await page.evaluate(async (only) => {
    const run = only ? { runOnly: { type: "rule", values: only } } : { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] };
    const { violations: all } = await window.axe.run(document, { ...run, resultTypes: ["violations"] });
    return all.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => `${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")} ${n.failureSummary?.split("\n")[1]?.trim() ?? ""} ${n.html.slice(0, 120)}`).join(" ; ")}`);
  }, rules);
  return found.filter((line) => !KNOWN.some((known) => known.test(line)));
}
/** All that differs between the light and the dark page is colour. */
export const COLOURS = ["color-contrast", "link-in-text-block"];
/** Pixels that a page is wider than its window. */
export const sideways = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
/** As the button at the top does it; pages without one take it from where the button leaves it. */
export async function theme(page, dark) {
  await page.evaluate((on) => {
    const is = () => document.documentElement.classList.contains("dark");
    if (is() !== on) document.querySelector("button[aria-label='切换到深色'], button[aria-label='切换到浅色']")?.click();
    return new Promise((done) => setTimeout(() => { if (is() !== on) document.documentElement.classList.toggle("dark", on); localStorage.setItem("bbt-theme", on ? "dark" : "light"); done(); }, 60));
  }, dark);
}
/** For a context: nothing moves, so that a look is not at a colour on its way to another. A sheet that no policy has to allow. */
export const still = (context) => context.addInitScript(() => {
  document.addEventListener("DOMContentLoaded", () => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, *::before, *::after { transition: none !important; animation-duration: 0s !important; animation-delay: 0s !important; }");
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  });
});

/** Says a line with the seconds since the beginning. */
export function sayer() {
  const began = Date.now();
  return (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1)} s  ${text}`);
}
/** A failed step leaves a picture and the few lines that matter. */
export function onFailure(picture) {
  process.on("uncaughtException", async (cause) => {
    await picture().catch(() => {});
    console.error(cause.stack.split("\n").filter((line) => !/^ +- /.test(line)).slice(0, 14).join("\n"));
    process.exit(1);
  });
}
