import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { build } from 'esbuild';
import t from 'tap';
import { requirePreservedDescriptors } from '../../src/own-process/preserved-descriptors.ts';

const script = path.join(t.testdir(), 'check.mjs');

// A process of its own, started as tsrun is, so that its descriptors are known.
t.before(async () => {
  await build({
    stdin: {
      contents: `
        import { requirePreservedDescriptors } from './src/own-process/preserved-descriptors.ts';
        try {
          requirePreservedDescriptors(Number(process.argv[2]));
        } catch ({ code, message }) {
          console.log(code + ': ' + message);
        }
      `,
      resolveDir: process.cwd(),
    },
    outfile: script,
    bundle: true,
    format: 'esm',
    platform: 'node',
  });
});

/** What the check says about `count` descriptors, when a shell starts it with these redirections. */
function check(count: number, redirections: string): string {
  const environment = { PATH: process.env.PATH, NODE: process.execPath, SCRIPT: script };
  // The shell's own standard input is a pipe of which the other end is elsewhere.
  const command = `true | { exec 0</dev/null; exec "$NODE" "$SCRIPT" ${count} ${redirections}; }`;
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], { encoding: 'utf8', env: environment });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const refusal = (number: number, last: number) =>
  `usage: unable to stat preserved-fd ${number}: the caller has to open descriptors 3 to ${last}\n`;

t.test('requirePreservedDescriptors() asks for nothing when none are preserved', (t) => {
  t.doesNotThrow(() => {
    requirePreservedDescriptors(0);
  });
  t.equal(check(0, ''), '');
  t.end();
});

t.test('requirePreservedDescriptors() takes what the caller opened', (t) => {
  t.equal(check(1, '3</dev/null'), '');
  t.equal(check(3, `3</dev/null 4<"$SCRIPT" 5</`), '');
  t.equal(check(2, '3</dev/null 4</dev/null 5</dev/null'), '', 'more are open than preserved');
  t.end();
});

t.test('requirePreservedDescriptors() takes one end of a pipe', (t) => {
  const environment = { PATH: process.env.PATH, NODE: process.execPath, SCRIPT: script };
  const command = 'sleep 0 | "$NODE" "$SCRIPT" 1 3<&0';
  const { status, stdout } = spawnSync('/bin/sh', ['-c', command], { encoding: 'utf8', env: environment });
  t.same([status, stdout], [0, '']);
  t.end();
});

t.test('requirePreservedDescriptors() refuses the descriptors that Node has for itself', (t) => {
  // Node takes the lowest free numbers: whatever the caller did not open is Node's or nobody's.
  t.equal(check(1, ''), refusal(3, 3));
  t.equal(check(2, '3</dev/null'), refusal(4, 4));
  t.equal(check(2, '4</dev/null'), refusal(3, 4), 'a gap');
  t.equal(check(20, '3</dev/null 4</dev/null'), refusal(5, 22));
  for (let number = 3; number < 9; number++) {
    const others = [3, 4, 5, 6, 7, 8].filter((other) => other !== number).map((other) => `${other}</dev/null`);
    t.equal(check(6, others.join(' ')), refusal(number, 8), `all but ${number}`);
  }
  t.end();
});

t.test('requirePreservedDescriptors() refuses numbers that nobody opened', (t) => {
  const many = Array.from({ length: 7 }, (_, index) => `${index + 3}</dev/null`).join(' ');
  t.match(check(100_000, many), /^usage: unable to stat preserved-fd 10: .* 3 to 100002\n$/);
  t.end();
});
