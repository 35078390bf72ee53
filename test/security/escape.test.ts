import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { CommandResult } from '../live/support/command.ts';
import { live, type BaseConfig, type BundleOptions } from '../live/support/rig.ts';
import { attack } from './compare.ts';
import { elfWithInterpreter } from './elf.ts';

const refusal = ({ code }: CommandResult): string => (code === 0 ? 'runs inside' : 'refused');

/** The template without anything below a directory. */
function withoutMountsBelow(directory: string): (config: BaseConfig) => void {
  return (config) => {
    config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith(directory));
  };
}

live('attacks of an image, beside runc', async (t, rig) => {
  const victim = rig.fresh('victim');
  mkdirSync(victim);
  writeFileSync(path.join(victim, 'file'), 'untouched');
  /** Whether the directory of the host that attacks aim at is as it was. */
  const isUntouched = (): boolean =>
    readdirSync(victim).join() === 'file' && readFileSync(path.join(victim, 'file'), 'utf8') === 'untouched';
  const restore = (): void => {
    rmSync(victim, { recursive: true });
    mkdirSync(victim);
    writeFileSync(path.join(victim, 'file'), 'untouched');
  };
  /** Says that the attack succeeds when the host has changed, and undoes it. */
  const withVictim =
    (otherwise: (result: CommandResult) => string) =>
    (result: CommandResult): string => {
      if (isUntouched()) return otherwise(result);
      restore();
      return 'succeeds: the host has changed';
    };
  const replace = (name: string, target: string) => (rootfs: string) => {
    rmSync(path.join(rootfs, name), { recursive: true, force: true });
    symlinkSync(target, path.join(rootfs, name));
  };

  await t.test('/proc, /sys and /dev are symlinks', async (t) => {
    for (const name of ['proc', 'sys']) {
      await attack(t, rig, {
        name: `\`/${name}\` is a symlink (CVE-2019-19921, CVE-2023-27561)`,
        bundle: () => ({ fill: replace(name, victim) }),
        judge: withVictim(refusal),
      });
    }
    await attack(t, rig, {
      name: '`/dev` is a symlink to the host, devices are made (CVE-2026-41579)',
      bundle: () => ({ fill: replace('dev', victim), change: withoutMountsBelow('/dev') }),
      judge: withVictim(refusal),
    });
    await attack(t, rig, {
      name: '`/dev/console` is a symlink to the host (CVE-2025-52565)',
      bundle: () => ({
        fill: (rootfs) => {
          symlinkSync(path.join(victim, 'console'), path.join(rootfs, 'dev/console'));
        },
        change: withoutMountsBelow('/dev'),
      }),
      judge: withVictim(refusal),
    });
  });

  await t.test('a mount target is a symlink to the host', async (t) => {
    const source = rig.fresh('source');
    mkdirSync(source);
    for (const target of [victim, `../../../../../../../..${victim}`]) {
      await attack(t, rig, {
        name: `a mount target leads through a symlink to the host, ${target === victim ? 'absolute' : 'relative'} (CVE-2021-30465)`,
        bundle: () => ({
          fill: (rootfs) => {
            symlinkSync(target, path.join(rootfs, 'escape'));
          },
          change: (config) =>
            config.mounts.push({ destination: '/escape/made/deep', type: 'bind', source, options: ['bind'] }),
        }),
        judge: withVictim(refusal),
      });
    }
  });

  await t.test('masked paths: /dev/null is something else (CVE-2025-31133)', async (t) => {
    // Writing would change the host name of the container alone: the file is that of its own UTS namespace.
    const bundle = (): BundleOptions => ({
      args: 'cat /proc/kcore | head -c 64; echo changed >/proc/kcore && echo WRITTEN',
      fill: replace('dev/null', '/proc/sys/kernel/hostname'),
      change: (config) => {
        withoutMountsBelow('/dev')(config);
        config.linux.maskedPaths = ['/proc/kcore'];
        config.linux.readonlyPaths = [];
      },
    });
    await attack(t, rig, {
      name: 'a masked path becomes a writable bind of what `/dev/null` links to (CVE-2025-31133)',
      bundle,
      judge: (result) => (result.stdout.includes('WRITTEN') ? 'succeeds: it is writable' : refusal(result)),
    });
  });

  await t.test('a leaked descriptor of the host as the working directory (CVE-2024-21626)', async (t) => {
    const marker = 'marker-of-the-host';
    const directory = rig.fresh('leaked');
    mkdirSync(directory);
    writeFileSync(path.join(directory, marker), '');
    const fd = openSync(directory, 'r');
    const judge = (result: CommandResult): string =>
      result.stdout.includes(marker) ? 'succeeds: the host shows' : refusal(result);
    for (const number of [3, 5, 7, 8]) {
      await attack(t, rig, {
        name: `the caller leaks directories, cwd is \`/proc/self/fd/${number}\` (CVE-2024-21626)`,
        bundle: () => ({ args: 'ls', change: (config) => (config.process.cwd = `/proc/self/fd/${number}`) }),
        extraFds: [fd, fd, fd, fd, fd, fd],
        judge,
      });
    }
    await attack(t, rig, {
      name: 'cwd is a symlink of the image to `/proc/self/fd/7` (CVE-2024-21626)',
      bundle: () => ({
        args: 'ls',
        fill: replace('here', '/proc/self/fd/7'),
        change: (config) => (config.process.cwd = '/here'),
      }),
      extraFds: [fd, fd, fd, fd, fd, fd],
      judge,
    });
    await attack(t, rig, {
      name: 'descriptors of the caller are still open in the program',
      bundle: () => ({ args: 'for n in /proc/self/fd/*; do readlink $n; done; ls /proc/self/fd/3' }),
      extraFds: [fd, fd, fd],
      judge: (result) => (result.stdout.includes('leaked') ? 'succeeds: the host shows' : refusal(result)),
    });
    closeSync(fd);
    const outside = await rig.run({ change: (config) => (config.process.cwd = '/../../../../../tmp/../..') });
    t.equal(outside.code, 0, 'the root has no parent');
  });

  await t.test('the executable of the runtime runs in the container (CVE-2019-5736)', async (t) => {
    const judge = (result: CommandResult): string => {
      const text = result.stdout + result.stderr;
      if (/WRITTEN/.test(text)) return 'succeeds: it is written to';
      return result.code === 0 || /USAGE|version/.test(text) ? 'a copy of it runs' : 'refused';
    };
    const entry = (content: string | Buffer) => (rootfs: string) => {
      writeFileSync(path.join(rootfs, 'entry'), content, { mode: 0o755 });
    };
    for (const [name, content] of [
      ['the program is a script of `#!/proc/self/exe`', '#!/proc/self/exe\n'],
      ['the interpreter of the program is `/proc/self/exe`', elfWithInterpreter('/proc/self/exe')],
    ] as const) {
      await attack(t, rig, {
        name: `${name} (CVE-2019-5736)`,
        bundle: () => ({ args: ['/entry', '--version'], fill: entry(content) }),
        judge,
      });
    }
  });

  await t.test('capabilities that a program would inherit (CVE-2022-29162)', async (t) => {
    await attack(t, rig, {
      name: 'inheritable capabilities by default (CVE-2022-29162, CVE-2022-27650)',
      bundle: () => ({ args: 'grep CapInh /proc/self/status' }),
      judge: ({ stdout }) => (/CapInh:\s+0{16}\n/.test(stdout) ? 'none' : 'succeeds: there are some'),
    });
  });

  await t.test('a /proc of plain files (CVE-2019-16884, CVE-2025-52881)', async (t) => {
    let file = '';
    await attack(t, rig, {
      name: 'sysctl and labels are written to a fake `/proc` (CVE-2025-52881)',
      bundle: () => ({
        fill: (rootfs) => {
          file = path.join(rootfs, 'proc/sys/kernel/shmmax');
          mkdirSync(path.dirname(file), { recursive: true });
          mkdirSync(path.join(rootfs, 'proc/self/attr'), { recursive: true });
          writeFileSync(file, 'fake');
          writeFileSync(path.join(rootfs, 'proc/self/oom_score_adj'), 'fake');
        },
        change: (config) => {
          config.mounts = config.mounts.filter(({ destination }) => destination !== '/proc');
          config.linux.sysctl = { 'kernel.shmmax': '65536' };
          config.process.oomScoreAdj = 100;
        },
      }),
      judge: (result) => {
        const score = path.join(path.dirname(file), '../../self/oom_score_adj');
        const isFooled = readFileSync(file, 'utf8') !== 'fake' || readFileSync(score, 'utf8') !== 'fake';
        return isFooled ? 'succeeds: the fake is written' : refusal(result);
      },
    });
  });

  t.ok(isUntouched() && existsSync(victim), 'the host is as it was');
});
