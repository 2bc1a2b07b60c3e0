// Copies what the player needs of pdf.js into vendor/: the library, its worker and the character maps of Chinese PDFs.
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const from = join(root, 'node_modules', 'pdfjs-dist');
const to = join(root, 'vendor');
// Simplified (GB) and traditional (CNS, Big5, Hong Kong) Chinese; Identity is built in. Japanese and Korean stay out.
const CHINESE = /^(Adobe-GB1|Adobe-CNS1|GB|UniGB|UniCNS|CNS|B5|ETen|ETHK|HK)/;
// Chrome 61 has no globalThis. pdf.js then falls back on Function(…), which our CSP forbids, and does not load at all.
const SHIM = '/* first line added by bbt */if(typeof globalThis==="undefined"){self.globalThis=self}\n';
const MAX_BYTES = 3 * 1024 * 1024;

rmSync(to, { recursive: true, force: true });
mkdirSync(join(to, 'cmaps'), { recursive: true });
for (const name of ['pdf.min.js', 'pdf.worker.min.js']) {
  // The map is not shipped; without this line no tool asks for it either.
  const text = readFileSync(join(from, 'legacy', 'build', name), 'utf8').replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n');
  writeFileSync(join(to, name), SHIM + text);
}
for (const name of readdirSync(join(from, 'cmaps')).filter((n) => CHINESE.test(n))) {
  cpSync(join(from, 'cmaps', name), join(to, 'cmaps', name));
}
cpSync(join(from, 'LICENSE'), join(to, 'pdfjs-LICENSE.txt'));
cpSync(join(from, 'cmaps', 'LICENSE'), join(to, 'cmaps', 'LICENSE'));

let total = 0;
const walk = (dir) => {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) walk(path); else total += statSync(path).size;
  }
};
walk(to);
if (total > MAX_BYTES) {
  console.error(`vendor/ has ${total} bytes, more than ${MAX_BYTES}: the agent's binary would outgrow its 12 MiB`);
  process.exit(1);
}
console.log(`vendor/: ${total} bytes`);
