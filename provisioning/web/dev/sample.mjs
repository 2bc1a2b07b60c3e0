// Makes the lesson that comes with the console (public/sample): a test picture, a sound that goes left, right and both, an exercise for
// touch. Its parts are our own. Run after a change in dev/sample; needs Chromium and ffmpeg.
//   node dev/sample.mjs
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { zipSync } from "fflate";
import { chromium } from "playwright-core";

const here = join(dirname(fileURLToPath(import.meta.url)), "sample");
const out = join(here, "../../public/sample");
mkdirSync(out, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1920, height: 1080 } });
await page.goto(pathToFileURL(join(here, "screen.html")).href);
await page.evaluate(() => document.fonts.ready);
await page.screenshot({ path: join(out, "screen.png") });
await browser.close();

// do, mi, sol: two seconds left, two right, two together.
const tones = [[523.25, 0], [659.25, 2], [783.99, 4]].map(([hz, at]) => `if(between(t,${at},${at + 1.8}),0.35*sin(2*PI*${hz}*t)*min(1,min((t-${at})*20,(${at + 1.8}-t)*20)),0)`);
const [left, right, both] = tones;
execFileSync("ffmpeg", ["-y", "-v", "error", "-f", "lavfi", "-i", `aevalsrc=${`'${left}+${both}|${right}+${both}'`}:s=44100:d=6`, "-c:a", "libmp3lame", "-b:a", "96k", "-map_metadata", "-1", join(out, "sound.mp3")]);

const touch = join(here, "touch");
const files = Object.fromEntries(readdirSync(touch).sort().map((name) => [name, [readFileSync(join(touch, name)), { mtime: "2026-01-01" }]]));
writeFileSync(join(out, "touch.zip"), zipSync(files, { level: 9 }));
for (const name of readdirSync(out)) console.log(name, statSync(join(out, name)).size);
