/** `node test/bench/shim-memory.mjs`: what the shims of containerd keep in memory, for one container and for thirty. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { executable, top } from '../../bundles/ready.mjs';
import { SHIM_FILE } from '../../src/util/launched.ts';
import { Containerd, CONTAINERD_TOOLS } from '../engines/support/containerd.ts';
import { writeImage } from '../engines/support/image.ts';
import type { Runtime } from '../engines/support/runtimes.ts';
import { reasonAgainst, Surroundings } from '../engines/support/surroundings.ts';
import { findTool } from '../live/support/surroundings.ts';

const COUNTS = [1, 30];
/** What is collected after a start is collected by then. */
const SETTLED_S = '3';

interface Memory {
  readonly shims: number;
  readonly privateKb: number;
  readonly proportionalKb: number;
}

/** A table, as text: all shims of a row together. */
export async function measureShims(): Promise<string> {
  const reason = reasonAgainst(CONTAINERD_TOOLS);
  if (reason !== false) throw new Error(reason);
  const lines = ['| shim | containers | processes | private | proportional (Pss) |', '| --- | --- | --- | --- | --- |'];
  const inside = await Surroundings.make();
  try {
    for (const runtime of listShims(inside)) {
      const containerd = await Containerd.start(inside, runtime);
      try {
        const archive = inside.path('image.tar');
        writeImage(archive);
        await inside.output(containerd.argv(['images', 'import', archive]));
        for (const [count, memory] of await measureAll(containerd)) lines.push(rowOf(runtime, count, memory));
        console.error(lines.at(-1));
      } finally {
        await containerd.daemon.stop({ fail: console.error, passing: () => true, comment: () => undefined });
      }
    }
  } finally {
    await inside.leave();
  }
  return lines.join('\n');
}

function listShims(inside: Surroundings): Runtime[] {
  const script = inside.path(`node-${SHIM_FILE}`);
  writeFileSync(script, `#!/bin/sh\nexec '${process.execPath}' '${top}/dist/bin/shim.js' "$@"\n`, { mode: 0o755 });
  const runc = findTool('runc');
  const own = path.join(path.dirname(executable), SHIM_FILE);
  const environment = { TSRUN_SHIM_SHARED: '1' };
  return [
    ...(runc === undefined ? [] : [{ name: 'runc', path: runc }]),
    { name: 'executable-pod', path: own, isShim: true },
    { name: 'executable-shared', path: own, isShim: true, environment },
    { name: 'node-pod', path: script, isShim: true },
    { name: 'node-shared', path: script, isShim: true, environment },
  ];
}

async function measureAll(containerd: Containerd): Promise<Map<number, Memory>> {
  const measured = new Map<number, Memory>();
  let made = 0;
  for (const count of COUNTS) {
    for (; made < count; made += 1) {
      const args = containerd.runArgs(['--detach', '--null-io'], `memory-${made}`, ['sleep', '1000']);
      await containerd.inside.output(containerd.argv(args));
    }
    await containerd.inside.output(['sleep', SETTLED_S]);
    measured.set(count, await readMemory(containerd.inside));
  }
  while (made > 0) {
    made -= 1;
    await containerd.inside.output(containerd.argv(['task', 'delete', '--force', `memory-${made}`]));
    await containerd.inside.output(containerd.argv(['container', 'delete', `memory-${made}`]));
  }
  // A shim that is shared stays for a while: the next row has none of it.
  await containerd.inside.run(['sh', '-c', 'kill $(cd /proc; grep -l containerd-shim [0-9]*/comm | cut -d/ -f1)']);
  return measured;
}

async function readMemory(inside: Surroundings): Promise<Memory> {
  const script = 'cd /proc; for file in $(grep -l containerd-shim [0-9]*/comm); do cat ${file%comm}smaps_rollup; done';
  const text = await inside.output(['sh', '-c', script]);
  const sum = (name: RegExp): number => [...text.matchAll(name)].reduce((total, [, kb]) => total + Number(kb), 0);
  return {
    shims: [...text.matchAll(/\[rollup\]/g)].length,
    privateKb: sum(/^Private_(?:Clean|Dirty): *(\d+) kB$/gm),
    proportionalKb: sum(/^Pss: *(\d+) kB$/gm),
  };
}

function rowOf({ name }: Runtime, count: number, { shims, privateKb, proportionalKb }: Memory): string {
  const megabytes = (kb: number): string => `${(kb / 1024).toFixed(1)} MB`;
  return `| ${name} | ${count} | ${shims} | ${megabytes(privateKb)} | ${megabytes(proportionalKb)} |`;
}
