import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Case } from '../harness/case.ts';
import { equal, ok, skipUnless } from '../harness/check.ts';
import { isKernelAtLeast, mountAt, parseMounts } from '../harness/probe.ts';
import { Failure, section, type Requirement } from '../harness/requirement.ts';

/** config.md, "Linux mount options": every option of the table, seen in the container's mountinfo. */

const { must, should } = section('config.md', 'Linux mount options');

const READ_MOUNTS = 'cat /proc/self/mountinfo';

/** Words of a mountinfo line that a tmpfs with these options has (`+ro`) or lacks (`-noexec`); none: it is only accepted. */
const ON_TMPFS: readonly (readonly [option: string, effects: string])[] = [
  ['async', '-sync'],
  ['atime', '-noatime'],
  ['defaults', '+rw -nosuid -nodev -noexec'],
  ['dev', '-nodev'],
  ['diratime', '-nodiratime'],
  ['dirsync', '+dirsync'],
  ['exec', '-noexec'],
  ['iversion', ''],
  ['lazytime', '+lazytime'],
  ['loud', ''],
  ['noatime', '+noatime'],
  ['nodev', '+nodev'],
  ['nodiratime', '+nodiratime'],
  ['noexec', '+noexec'],
  ['noiversion', ''],
  ['nolazytime', '-lazytime'],
  ['norelatime', '-noatime'],
  ['nostrictatime', '+relatime'],
  ['nosuid', '+nosuid'],
  ['relatime', '+relatime'],
  ['ro', '+ro'],
  ['rw', '+rw'],
  ['silent', ''],
  ['strictatime', '-relatime -noatime'],
  ['suid', '-nosuid'],
  ['sync', '+sync'],
];

/** Options after those that they undo. */
const OVERRIDING: readonly (readonly [option: string, before: string, effects: string])[] = [
  ['async', 'sync', '-sync'],
  ['atime', 'noatime', '-noatime'],
  ['dev', 'nodev', '-nodev'],
  ['diratime', 'nodiratime', '-nodiratime'],
  ['exec', 'noexec', '-noexec'],
  ['nolazytime', 'lazytime', '-lazytime'],
  ['nostrictatime', 'strictatime', '+relatime'],
  ['rw', 'ro', '+rw'],
  ['suid', 'nosuid', '-nosuid'],
];

const SYMFOLLOW: readonly (readonly [option: string, effects: string])[] = [
  ['nosymfollow', '+nosymfollow'],
  ['symfollow', '-nosymfollow'],
];

/** Recursive options: flags of the source's mounts before (for mount(8)), and what both mounts of the copy have. */
const RECURSIVE: readonly (readonly [option: string, before: string, effects: string])[] = [
  ['ratime', 'noatime', '-noatime'],
  ['rdev', 'nodev', '-nodev'],
  ['rdiratime', 'nodiratime', '-nodiratime'],
  ['rexec', 'noexec', '-noexec'],
  ['rnoatime', 'relatime', '+noatime'],
  ['rnodev', 'dev', '+nodev'],
  ['rnodiratime', 'diratime', '+nodiratime'],
  ['rnoexec', 'exec', '+noexec'],
  ['rnorelatime', 'relatime', ''],
  ['rnostrictatime', 'strictatime', ''],
  ['rnosuid', 'suid', '+nosuid'],
  ['rnosymfollow', 'symfollow', '+nosymfollow'],
  ['rrelatime', 'noatime', '+relatime'],
  ['rro', 'rw', '+ro'],
  ['rrw', 'ro', '+rw'],
  ['rstrictatime', 'noatime', '-noatime -relatime'],
  ['rsuid', 'nosuid', '-nosuid'],
  ['rsymfollow', 'nosymfollow', '-nosymfollow'],
];

/** Propagation options: what the mount shows, whether the source is shared before, and whether it holds for mounts below. */
const PROPAGATION: readonly (readonly [option: string, wanted: RegExp, isRecursive: boolean])[] = [
  ['private', /^$/, false],
  ['shared', /^shared:/, false],
  ['slave', /^master:/, false],
  ['unbindable', /^unbindable$/, false],
  ['rprivate', /^$/, true],
  ['rshared', /^shared:/, true],
  ['rslave', /^master:/, true],
  ['runbindable', /^unbindable$/, true],
];

function checkEffects(mountinfo: string, place: string, effects: string): void {
  const mount = mountAt(mountinfo, place);
  if (mount === undefined) throw new Failure('the mount is missing', { wanted: place, found: mountinfo });
  // Read-only is a flag of both; that of the mount is the one that the option sets.
  const words = new Set([...mount.options, ...mount.superOptions.filter((word) => word !== 'rw' && word !== 'ro')]);
  for (const effect of effects.split(' ').filter((word) => word !== ''))
    equal(words.has(effect.slice(1)), effect.startsWith('+'), `${place} is ${effect.slice(1)} (${[...words].join()})`);
}

async function checkTmpfs(c: Case, options: readonly string[], effects: string): Promise<void> {
  const mountinfo = await c.observe(READ_MOUNTS, (config) =>
    config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', options: [...options] }),
  );
  checkEffects(mountinfo, '/m', effects);
}

/** A directory with a tmpfs on it, and another in its directory `below`, which only `rbind` takes along. */
async function makeTree(c: Case, { flags = 'rw' }: { readonly flags?: string } = {}): Promise<string> {
  const tree = c.fresh('tree');
  mkdirSync(tree);
  await c.prepare('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', tree);
  mkdirSync(path.join(tree, 'below'));
  await c.prepare('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', path.join(tree, 'below'));
  writeFileSync(path.join(tree, 'below/file'), 'below\n');
  for (const place of [path.join(tree, 'below'), tree]) await c.prepare('mount', '-o', `remount,bind,${flags}`, place);
  return tree;
}

async function checkRecursive(c: Case, option: string, [before, effects]: readonly [string, string]): Promise<void> {
  skipUnless(isKernelAtLeast(5, 12), 'mount_setattr needs Linux 5.12');
  const source = await makeTree(c, { flags: before });
  const mountinfo = await c.observe(READ_MOUNTS, (config) =>
    config.mounts.push({ destination: '/m', type: 'bind', source, options: ['rbind', option] }),
  );
  for (const place of ['/m', '/m/below']) checkEffects(mountinfo, place, effects);
}

async function checkPropagation(
  c: Case,
  option: string,
  [wanted, isRecursive]: readonly [RegExp, boolean],
): Promise<void> {
  const source = await makeTree(c);
  await c.prepare('mount', '--make-rshared', source);
  const mountinfo = await c.observe(READ_MOUNTS, (config) =>
    config.mounts.push({ destination: '/m', type: 'bind', source, options: ['rbind', option] }),
  );
  for (const place of isRecursive ? ['/m', '/m/below'] : ['/m']) {
    const found = mountAt(mountinfo, place)?.propagation.join(' ');
    if (found === undefined || !wanted.test(found))
      throw new Failure(`the propagation of ${place}`, { wanted: String(wanted), found });
  }
}

async function observeBind(c: Case, option: 'bind' | 'rbind'): Promise<string> {
  const source = await makeTree(c);
  return c.observe('ls /m; cat /m/below/file 2>/dev/null', (config) =>
    config.mounts.push({ destination: '/m', type: 'none', source, options: [option] }),
  );
}

export const mountOptions: readonly Requirement[] = [
  ...ON_TMPFS.map(([option, effects]) =>
    must(`mount-option.${option}`, `the mount option ${option} is implemented`, (c) =>
      checkTmpfs(c, [option], effects),
    ),
  ),
  ...OVERRIDING.map(([option, before, effects]) =>
    must(
      `mount-option.${option}.after-${before}`,
      `${option} undoes ${before} before it`,
      (c) => checkTmpfs(c, [before, option], effects),
      {
        says: 'The options mean what they mean to mount(8), for which the last of those that contradict each other holds.',
      },
    ),
  ),
  must('mount-option.bind', 'bind mounts a directory without the mounts below it', async (c) => {
    equal(await observeBind(c, 'bind'), 'below', 'what is in the mount');
  }),
  must('mount-option.rbind', 'rbind mounts a directory with the mounts below it', async (c) => {
    equal(await observeBind(c, 'rbind'), 'below\nbelow', 'what is in the mount');
  }),
  must('mount-option.remount', 'remount changes the flags of what is mounted', async (c) => {
    const mountinfo = await c.observe(READ_MOUNTS, (config) => {
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', options: ['rw'] });
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', options: ['remount', 'ro'] });
    });
    checkEffects(mountinfo, '/m', '+ro');
    equal(parseMounts(mountinfo).filter(({ place }) => place === '/m').length, 1, 'mounts there');
  }),
  ...PROPAGATION.map(([option, ...wanted]) =>
    must(`mount-option.${option}`, `${option} sets the propagation of a bind mount`, (c) =>
      checkPropagation(c, option, wanted),
    ),
  ),
  ...SYMFOLLOW.map(([option, effects]) =>
    should(`mount-option.${option}`, `the mount option ${option} is implemented`, (c) => {
      skipUnless(isKernelAtLeast(5, 10), 'nosymfollow needs Linux 5.10');
      return checkTmpfs(c, [option], effects);
    }),
  ),
  ...RECURSIVE.map(([option, ...wanted]) =>
    should(`mount-option.${option}`, `${option} holds for the mounts below as well`, (c) =>
      checkRecursive(c, option, wanted),
    ),
  ),
  should('mount-option.unknown', 'an unknown option is given to the file system', async (c) => {
    const mountinfo = await c.observe(READ_MOUNTS, (config) =>
      config.mounts.push({ destination: '/m', type: 'tmpfs', source: 'tmpfs', options: ['nr_inodes=4321'] }),
    );
    ok(mountAt(mountinfo, '/m')?.superOptions.includes('nr_inodes=4321') === true, 'nr_inodes of the tmpfs', mountinfo);
  }),
];
