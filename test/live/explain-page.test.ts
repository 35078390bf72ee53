import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expectFailure, expectSuccess, live, type BaseConfig } from './support/rig.ts';
import { missingTools, needsRoot } from './support/surroundings.ts';

const HOSTILE = [
  `</style></title></code><script>document.documentElement.dataset.taken = '1'</script>`,
  `"><img src=x onerror="document.documentElement.dataset.taken = '2'">`,
  `' onmouseover='x' \u202e\u0007 &lt;b&gt;`,
];
const LONG = 'wide'.repeat(150);

/** A container that says wherever it may what must be nothing but text on a page, and what is wider than any screen. */
function makeHostile(config: BaseConfig): void {
  const [script = '', image = '', quotes = ''] = HOSTILE;
  config.process.args = ['/bin/echo', ...HOSTILE, LONG];
  config.process.cwd = `/${LONG.slice(0, 200)}${image.replaceAll('/', '')}`;
  config.mounts.push({ destination: `/${script.replaceAll('/', '')}`, type: 'tmpfs', source: quotes });
  config.mounts.push({
    destination: `/tmp/${LONG.slice(0, 200)}`,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['size=1m'],
  });
  config.hooks = { poststop: [{ path: `/${script}` }] };
  config.linux.maskedPaths = [`/proc/${image}`, ...(config.linux.maskedPaths ?? [])];
  config.hostname = 'page';
}

/** What has to be there to read. */
const WORDS = ['From outside in', 'Root file system'.toUpperCase(), 'pivot_root', 'looked-at', 'wide'];

/** In the copy of a page that a test opens: what a browser has made of it, for the page around it. */
const MEASURE = `<script>
  for (const details of document.querySelectorAll('details')) details.open = true;
  parent.postMessage({
    width: document.documentElement.scrollWidth,
    window: innerWidth,
    back: getComputedStyle(document.body).backgroundColor,
    images: document.images.length,
    fetched: performance.getEntriesByType('resource').length,
    taken: document.documentElement.dataset.taken ?? 'no',
    words: ${JSON.stringify(WORDS)}.filter((word) => document.body.innerText.includes(word)).length,
  }, '*');
</script>`;

/** A window is never narrower than 500 pixels, and a frame is as narrow as anybody wants. */
function frame(file: string, width: number): string {
  return `<!doctype html><iframe src="file://${file}" style="width:${width}px;height:1600px;border:0"></iframe><script>
    onmessage = ({ data }) => Object.assign(document.documentElement.dataset, data);
  </script>`;
}

const WIDTHS = { wide: 1280, narrow: 360 };
const SCHEMES = { dark: 0, light: 1 };

live('explain-page', async (t, rig) => {
  const bundle = rig.bundle({ change: makeHostile });
  const page = rig.fresh('page.html');
  const measured = rig.fresh('trace.json');
  const plain = rig.bundle({ args: 'true' });
  expectSuccess(
    t,
    await rig.tsrun(['run', '--bundle', plain, rig.id('measured')], { global: ['--trace', measured] }),
    'run',
  );
  expectSuccess(
    t,
    await rig.tsrun(['explain', '--html', page, '--trace', measured, '--bundle', bundle, 'looked-at']),
    'explain --html',
  );
  const html = readFileSync(page, 'utf8');
  const printed = await rig.tsrun(['explain', '--html', '-', '--bundle', bundle, 'looked-at']);
  t.match(printed.stdout, /^<!doctype html>[^]*<\/html>\n?$/, 'a dash is standard output');

  await t.test('is one file, in which what a configuration says is text', (t) => {
    t.match(html, /^<!doctype html>/);
    t.notMatch(html, /<script|<img|<link|<iframe|url\(|https?:|@import/i, 'nothing is run or fetched');
    t.match(html, `default-src 'none'`, 'and nothing could be');
    t.match(html, '&#60;script&#62;');
    t.match(html, String.raw`\u202e`, 'what turns the direction of text is shown');
    const tags = new Set([...html.matchAll(/<\/?([a-z0-9]+)/g)].map(([, name]) => name));
    t.ok(!['script', 'img', 'b'].some((name) => tags.has(name)), [...tags].join(' '));
    for (const wanted of ['From outside in', 'What happens', 'Every step', 'Where the time went', 'looked-at'])
      t.match(html, wanted);
    t.match(html, /class="at">\/mounts\/0</, 'steps have their place in config.json');
    t.match(html, /class="time">[\d.]+ (µs|ms)</, 'and their time');
    t.end();
  });

  await t.test('a trace that is none is refused', async (t) => {
    const file = rig.fresh('no-trace');
    for (const content of ['', '{}', '[1', 'null', '{"traceEvents":1}']) {
      writeFileSync(file, content);
      const result = await rig.tsrun(['explain', '--html', page, '--trace', file, '--bundle', plain]);
      expectFailure(t, result, { message: 'read the trace' });
    }
    writeFileSync(
      file,
      '{"traceEvents":[null,1,{"name":1},{"name":"x","cat":"phase","ts":"a","dur":-1},{"cat":"step"}]}',
    );
    expectSuccess(t, await rig.tsrun(['explain', '--html', page, '--trace', file, '--bundle', plain]), 'of no use');
  });

  const skip = missingTools('chromium') || needsRoot('a browser that is started as root has no sandbox');
  await t.test('fits into a window of a browser, wide and narrow, light and dark', { skip }, (t) => {
    const copy = `${rig.fresh('copy')}.html`;
    const open = html.replace(`default-src 'none'`, `default-src 'unsafe-inline'`);
    writeFileSync(copy, open.replace('</main>', `</main>${MEASURE}`));
    const backs = new Map<string, string>();
    for (const [size, width] of Object.entries(WIDTHS)) {
      for (const [scheme, number] of Object.entries(SCHEMES)) {
        const name = `${size}, ${scheme}`;
        const home = rig.fresh('browser');
        mkdirSync(home);
        const framed = `${rig.fresh('frame')}.html`;
        writeFileSync(framed, frame(copy, width));
        const browse = (file: string, ...options: string[]): string =>
          execFileSync(
            'chromium',
            [
              ...[
                '--headless',
                '--no-sandbox',
                '--disable-gpu',
                '--hide-scrollbars',
                `--user-data-dir=${home}/profile`,
              ],
              ...[`--blink-settings=preferredColorScheme=${number}`, `--window-size=${width},1600`],
              ...['--virtual-time-budget=3000', ...options, `file://${file}`],
            ],
            {
              encoding: 'utf8',
              stdio: ['ignore', 'pipe', 'ignore'],
              timeout: 120_000,
              env: { ...process.env, HOME: home },
            },
          );
        const dom = browse(framed, '--dump-dom');
        const read = (key: string): string => new RegExp(`<html[^>]* data-${key}="([^"]*)"`).exec(dom)?.[1] ?? '';
        t.equal(Number(read('window')), width, `${name}: the window is as wide as it should be`);
        t.equal(Number(read('width')), width, `${name}: nothing is wider than the window`);
        t.equal(read('taken'), 'no', `${name}: no script of the configuration has run`);
        t.equal(read('images'), '0', `${name}: no image`);
        t.equal(read('fetched'), '0', `${name}: nothing else was fetched`);
        t.equal(read('words'), `${WORDS.length}`, `${name}: what there is to read`);
        backs.set(scheme, read('back'));
        const shot = `${rig.fresh('shot')}.png`;
        browse(copy, `--screenshot=${shot}`);
        const png = readFileSync(shot);
        t.equal(png.subarray(1, 4).toString(), 'PNG', name);
        t.equal(png.readUInt32BE(16), width, `${name}: a picture of that width`);
      }
    }
    t.equal(new Set(backs.values()).size, 2, `light and dark are not the same: ${[...backs.values()].join(' ')}`);
    t.end();
  });
});
