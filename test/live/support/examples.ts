import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { expectSuccess, type Rig } from './rig.ts';

const project = fileURLToPath(new URL('../../../', import.meta.url));
/** Languages of code blocks that Node runs; a block of another language of scripts is one that nobody has thought of. */
const SCRIPTS = /^(js|javascript|mjs|ts|typescript)$/;

/** The page whose examples need CRIU. */
export const CHECKPOINT_PAGE = 'docs/checkpoint.md';

/** Pages of docs/ with examples for Node. */
export function pagesWithExamples(): string[] {
  return readdirSync(path.join(project, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
    .filter((page) => examplesOf(page).length > 0);
}

function examplesOf(page: string): string[] {
  const blocks = readFileSync(path.join(project, page), 'utf8').matchAll(/^ *```(\w+)\n(.*?)^ *```$/gms);
  return [...blocks].filter(([, language = '']) => SCRIPTS.test(language)).map(([, , text = '']) => text);
}

/** Runs each example of a page with the places of a rig, and holds what it prints against what it says it does. */
export async function runExamples(
  t: Test,
  rig: Rig,
  page: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const examples = examplesOf(page);
  t.not(examples.length, 0, `${page} has examples`);
  const directory = rig.fresh('examples');
  mkdirSync(path.join(directory, 'node_modules'), { recursive: true });
  symlinkSync(project, path.join(directory, 'node_modules/tsrun'));
  for (const [index, example] of examples.entries()) {
    const bundle = rig.bundle({ args: 'echo hello; exec sleep 1000' });
    const text = example
      .replaceAll('/run/my-program', rig.root)
      .replaceAll('/containers/web', bundle)
      .replaceAll('/images/busybox', rig.rootfs)
      .replaceAll('/data/layers', rig.path('layers'))
      .replaceAll('/saved/web', rig.fresh('saved'))
      .replaceAll(/(id: |openContainer\()'web'/g, `$1'${rig.id('example')}'`)
      .replaceAll("['first', 'second']", JSON.stringify([rig.id('first'), rig.id('second')]));
    const file = path.join(directory, `example-${index}.mjs`);
    writeFileSync(file, text);
    const result = await rig.start([process.execPath, file], { timeoutMs: 60_000, env }).done;
    expectSuccess(t, result, `example ${index + 1}`);
    const printed = [...example.matchAll(/^\/\/ prints: (.*)$/gm)].map(([, line]) => line);
    t.not(printed.length, 0, 'it says what it prints');
    t.strictSame(result.stdout.trim().split('\n').filter(Boolean), printed, `what example ${index + 1} prints`);
  }
}
