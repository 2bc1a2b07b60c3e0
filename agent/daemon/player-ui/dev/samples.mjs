// Makes sample lessons in dev/.samples with ffmpeg and Chromium: real H.264/AAC, MP3, PNG, PDF with Chinese, an exercise.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const out = join(dirname(fileURLToPath(import.meta.url)), '.samples');
const chromium = process.env.CHROMIUM || '/usr/bin/chromium';
const CHROMIUM_ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
mkdirSync(join(out, 'exercise'), { recursive: true });
const ffmpeg = (...args) => execFileSync('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-y', ...args], { cwd: out });
const write = (name, text) => writeFileSync(join(out, name), text);
const vttTime = (s) => new Date(s * 1000).toISOString().slice(11, 23);
const vtt = (cues) => `WEBVTT\n\n${cues.map(([from, to, text]) => `${vttTime(from)} --> ${vttTime(to)}\n${text}\n`).join('\n')}`;
const page = (body, style = '') => `<!doctype html><meta charset="utf-8"><style>*{box-sizing:border-box}body{margin:0;font-family:"Noto Sans CJK SC",sans-serif}${style}</style>${body}`;

function shot(name, html, width, height) {
  const dir = mkdtempSync(join(tmpdir(), 'bbt-shot-'));
  writeFileSync(join(dir, 'p.html'), html);
  execFileSync(chromium, [...CHROMIUM_ARGS, `--user-data-dir=${dir}/profile`, '--hide-scrollbars',
    `--window-size=${width},${height}`, `--screenshot=${join(out, name)}`, pathToFileURL(join(dir, 'p.html')).href], { stdio: 'ignore' });
  rmSync(dir, { recursive: true, force: true });
}

function pdf(name, html) {
  const dir = mkdtempSync(join(tmpdir(), 'bbt-pdf-'));
  writeFileSync(join(dir, 'p.html'), html);
  execFileSync(chromium, [...CHROMIUM_ARGS, `--user-data-dir=${dir}/profile`, '--no-pdf-header-footer',
    `--print-to-pdf=${join(out, name)}`, pathToFileURL(join(dir, 'p.html')).href], { stdio: 'ignore' });
  rmSync(dir, { recursive: true, force: true });
}

// Video: a drawn slide with a moving marker and a clock, 90 seconds, so that seeking shows.
if (!existsSync(join(out, 'angles.mp4'))) {
  shot('slide.png', page(`<div class=s><h1>三角形的内角和</h1><svg viewBox="0 0 600 260" width="1000"><path d="M60 230 L300 30 L540 230z" fill="#fff3d1" stroke="#16423a" stroke-width="6"/>
    <text x="90" y="222" font-size="30">∠1</text><text x="280" y="85" font-size="30">∠2</text><text x="470" y="222" font-size="30">∠3</text></svg><p>∠1 + ∠2 + ∠3 = 180°</p></div>`,
    '.s{width:1280px;height:720px;background:#e9f2ec;text-align:center;padding:30px}h1{margin:0;font-size:64px;color:#16423a}p{font-size:56px;margin:0;color:#b23a2e;font-weight:700}'), 1280, 720);
  ffmpeg('-loop', '1', '-framerate', '24', '-i', 'slide.png', '-f', 'lavfi', '-i', 'sine=frequency=330:sample_rate=44100',
    '-f', 'lavfi', '-i', 'color=c=0xb23a2e:s=40x14:r=24', '-filter_complex',
    "[0:v]scale=1280:720[b];[b][2:v]overlay=x='t*13.7':y=700[v];[1:a]volume=0.05[a]", '-map', '[v]', '-map', '[a]',
    '-t', '90', '-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', '-b:a', '64k', '-movflags', '+faststart', 'angles.mp4');
}
write('angles.zh-CN.vtt', vtt([...Array(18)].map((_, i) => [i * 5, i * 5 + 4.6,
  ['同学们，这是一个三角形。', '它有三个角，我们叫它们角一、角二、角三。', '把三个角剪下来，拼在一起会怎样？', '正好拼成一个平角，也就是 180 度！'][i % 4]])));
write('angles.en.vtt', vtt([...Array(18)].map((_, i) => [i * 5, i * 5 + 4.6,
  ['This is a triangle.', 'It has three angles: one, two and three.', 'What if we cut them off and join them?', 'They make a straight angle: 180 degrees!'][i % 4]])));

// Audio with its sentences.
const dialogue = ['Good morning, class!', 'Good morning, Miss Li!', 'Today we talk about our school.', 'This is our library. It is on the second floor.',
  'Where is the teachers’ office?', 'It is next to the library.', 'Is this the art room?', 'No, it isn’t. It is the music room.'];
if (!existsSync(join(out, 'listening.mp3'))) {
  ffmpeg('-f', 'lavfi', '-i', 'sine=frequency=440:duration=40', '-af', "volume='0.04*gt(mod(t,5),0.6)':eval=frame", '-c:a', 'libmp3lame', '-b:a', '64k', 'listening.mp3');
}
write('listening.en.vtt', vtt(dialogue.map((text, i) => [i * 5, i * 5 + 4.4, text])));

// Picture.
if (!existsSync(join(out, 'map.png'))) {
  shot('map.png', page('<div class=m><h1>长江三峡 水系示意图</h1><svg viewBox="0 0 1600 800" width="2200"><path d="M40 500 C300 300 420 640 700 460 S1100 300 1560 420" fill="none" stroke="#1f5fa8" stroke-width="34"/><path d="M500 120 C520 260 560 380 640 470" fill="none" stroke="#4a8fd8" stroke-width="16"/><g font-size="44"><text x="250" y="360">瞿塘峡</text><text x="700" y="400">巫峡</text><text x="1120" y="300">西陵峡</text></g><g fill="#b23a2e"><circle cx="300" cy="430" r="16"/><circle cx="740" cy="450" r="16"/><circle cx="1180" cy="355" r="16"/></g></svg></div>',
    '.m{width:2400px;height:1350px;background:#eef0dc;padding:60px}h1{font-size:88px;margin:0;color:#16423a}'), 2400, 1350);
}

// A text book of A4 pages, and slides of 16:9.
if (!existsSync(join(out, 'textbook.pdf'))) {
  pdf('textbook.pdf', page([...Array(12)].map((_, i) => `<section><h1>第 ${i + 1} 页　观潮</h1>${'<p>钱塘江大潮，自古以来被称为天下奇观。农历八月十八是一年一度的观潮日。这一天早上，我们来到了海宁市的盐官镇，据说这里是观潮最好的地方。</p>'.repeat(7)}<h2>想一想</h2><p>作者是按什么顺序描写大潮的？</p></section>`).join(''),
    '@page{size:A4;margin:20mm}section{page-break-after:always}h1{color:#16423a}p{font-size:15pt;line-height:1.9;text-indent:2em}'));
  pdf('slides.pdf', page([...Array(6)].map((_, i) => `<section><h1>${['圆的面积', '剪一剪，拼一拼', '近似的长方形', '推导公式', '例题', '小结'][i]}</h1><p>${['S = π r²', '把圆平均分成 16 份', '长 = π r，宽 = r', 'S = π r × r = π r²', '一个圆形花坛的半径是 5 米，它的面积是多少？', '转化是重要的数学方法'][i]}</p></section>`).join(''),
    '@page{size:338mm 190mm;margin:0}section{page-break-after:always;width:338mm;height:189mm;padding:22mm;background:#e8f1fb}h1{font-size:56pt;margin:0 0 12mm;color:#1f5fa8}p{font-size:40pt}'));
}

// As old office programs wrote it: the font is only named, the text is GBK, so it needs our character maps.
{
  const hex = Buffer.from([0xB9, 0xDB, 0xB3, 0xB1, 0xA3, 0xBA, 0xC7, 0xAE, 0xCC, 0xC1, 0xBD, 0xAD, 0xB4, 0xF3, 0xB3, 0xB1]).toString('hex');
  const stream = `BT /F1 60 Tf 60 250 Td <${hex}> Tj ET`;
  const objects = ['<</Type/Catalog/Pages 2 0 R>>', '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 800 500]/Resources<</Font<</F1 4 0 R>>>>/Contents 7 0 R>>',
    '<</Type/Font/Subtype/Type0/BaseFont/SimSun/Encoding/GBK-EUC-H/DescendantFonts[5 0 R]>>',
    '<</Type/Font/Subtype/CIDFontType2/BaseFont/SimSun/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 2>>/DW 1000/FontDescriptor 6 0 R>>',
    '<</Type/FontDescriptor/FontName/SimSun/Flags 4/FontBBox[-8 -145 1000 859]/ItalicAngle 0/Ascent 859/Descent -145/CapHeight 859/StemV 80>>',
    `<</Length ${stream.length}>>stream\n${stream}\nendstream`];
  let body = '%PDF-1.4\n';
  const offsets = objects.map((o, i) => { const at = body.length; body += `${i + 1} 0 obj\n${o}\nendobj\n`; return at; });
  const xref = body.length;
  body += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.map((o) => `${String(o).padStart(10, '0')} 00000 n \n`).join('')}trailer<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${xref}\n%%EOF\n`;
  writeFileSync(join(out, 'oldfont.pdf'), body, 'latin1');
}

// An exercise with its own storage, as exported ones have.
write('exercise/index.html', '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>选择题</title><link rel="stylesheet" href="style.css"><h1>三角形的内角和是多少度？</h1><div id="answers"></div><p id="result"></p><script src="quiz.js"></script></html>');
write('exercise/style.css', 'body{margin:0;height:100vh;display:flex;flex-direction:column;align-items:center;justify-content:center;background:#f2f7ff;font-family:"Noto Sans CJK SC",sans-serif;font-size:2vw}h1{font-size:4vw;margin:0 0 4vw}button{font:inherit;font-size:3vw;margin:1vw;padding:1.4vw 4vw;border:0;border-radius:1vw;background:#1f5fa8;color:#fff}button.right{background:#2b7a3e}button.wrong{background:#b3261e}#result{font-size:3vw;min-height:4vw}');
write('exercise/quiz.js', "var best;try{best=localStorage.getItem('tries')||0}catch(e){document.title='no storage'}['90°','180°','360°'].forEach(function(a){var b=document.createElement('button');b.textContent=a;b.onclick=function(){var ok=a==='180°';b.className=ok?'right':'wrong';document.getElementById('result').textContent=ok?'回答正确！':'再想一想';try{localStorage.setItem('tries',Number(best)+1)}catch(e){}};document.getElementById('answers').appendChild(b)});");
write('game.pptx', 'PK placeholder of a presentation');
console.log(`samples in ${out}`);
