// What the built page weighs, gzipped as the console sends it; fails when it is more than it may be. Part of `npm run build`.
// `--json` says the figures so.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const KIB = 1024;
/** All scripts and styles of all pages together. */
const ALL_KIB = 900;
/** What every page needs before it shows anything. */
const FIRST_KIB = 400;
/** What one page may bring of its own; the charts are the largest of them. */
const PAGE_KIB = 200;

const json = process.argv.includes("--json");
const dist = process.argv.slice(2).find((arg) => !arg.startsWith("--")) ?? fileURLToPath(new URL("../dist", import.meta.url));
const folder = join(dist, "assets");
if (!existsSync(folder)) {
  console.error(`no built page in ${dist}: run vite build first`);
  process.exit(2);
}
const files = readdirSync(folder).filter((name) => /\.(js|css)$/.test(name)).map((name) => ({ name, bytes: gzipSync(readFileSync(join(folder, name)), { level: 9 }).length }));
const index = readFileSync(join(dist, "index.html"), "utf8");
const first = files.filter((file) => index.includes(file.name));
const later = files.filter((file) => !index.includes(file.name)).sort((a, b) => b.bytes - a.bytes);
const sum = (list) => list.reduce((all, file) => all + file.bytes, 0);
const kib = (bytes) => `${(bytes / KIB).toFixed(1)} KiB`;
const faults = [];
if (sum(files) > ALL_KIB * KIB) faults.push(`all pages together weigh ${kib(sum(files))}, allowed are ${ALL_KIB} KiB`);
if (sum(first) > FIRST_KIB * KIB) faults.push(`before the first page ${kib(sum(first))} are fetched, allowed are ${FIRST_KIB} KiB: ${first.map((f) => `${f.name} ${kib(f.bytes)}`).join(", ")}`);
for (const file of later) if (file.bytes > PAGE_KIB * KIB) faults.push(`${file.name} weighs ${kib(file.bytes)}, one page may bring ${PAGE_KIB} KiB`);
if (later.length < 40) faults.push(`only ${later.length} parts come later: the routes are no longer split`);
if (json) console.log(JSON.stringify({ all_kib: sum(files) / KIB, first_kib: sum(first) / KIB, later: later.length }));
else console.log(`bundle, gzipped: all ${kib(sum(files))} of ${ALL_KIB}, first ${kib(sum(first))} of ${FIRST_KIB} in ${first.length} files, ${later.length} later, the largest ${later[0]?.name} ${kib(later[0]?.bytes ?? 0)}`);
for (const fault of faults) console.error(`! ${fault}`);
process.exit(faults.length ? 1 : 0);
