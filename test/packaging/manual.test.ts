import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { commandTable } from '../../src/cli/command-table.ts';

const directory = 'dist/man';
const pages = readdirSync(directory).map((name) => path.join(directory, name));

/** Why a formatter cannot be asked, and in which package it is. */
function lacks(program: string, debianPackage: string): string | false {
  return spawnSync(program, ['--version']).error === undefined
    ? false
    : `${program} is not installed (${debianPackage})`;
}

t.test('there is a page of tsrun, of its shim, and of each command', (t) => {
  const wanted = ['containerd-shim-tsrun-v2', 'tsrun', ...Object.keys(commandTable).map((name) => `tsrun-${name}`)];
  t.strictSame(pages.map((page) => path.basename(page, '.1')).sort(), wanted.sort());
  t.end();
});

t.test('groff sets every page without a warning', { skip: lacks('groff', 'groff-base') }, (t) => {
  for (const page of pages) {
    const { status, stderr } = spawnSync('groff', ['-ww', '-man', '-Tutf8', '-z', page], { encoding: 'utf8' });
    t.strictSame({ status, stderr }, { status: 0, stderr: '' }, page);
  }
  t.end();
});

t.test('mandoc finds nothing to warn of', { skip: lacks('mandoc', 'mandoc') }, (t) => {
  const { status, stdout } = spawnSync('mandoc', ['-Tlint', '-Wwarning', ...pages], { encoding: 'utf8' });
  t.strictSame({ status, stdout }, { status: 0, stdout: '' });
  t.end();
});

t.test('a page has every option and example as it is typed', { skip: lacks('groff', 'groff-base') }, async (t) => {
  for (const [name, entry] of Object.entries(commandTable)) {
    const { options, examples = [] } = (await entry.load()).command;
    const page = path.join(directory, `tsrun-${name}.1`);
    const args = ['-man', '-Tascii', '-P-cbou', '-rLL=1000n', page];
    const { stdout } = spawnSync('groff', args, { encoding: 'utf8' });
    for (const option of Object.keys(options)) t.ok(stdout.includes(`--${option}`), `${name} --${option}`);
    for (const [line] of examples) t.ok(stdout.includes(line), line);
  }
});
