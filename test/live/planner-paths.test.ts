import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bundle, compare, done, useRig, withSleeper, type Scene } from './support/planner-scenes.ts';
import { TestPlanner } from './support/planner.ts';
import { livePlanners } from './support/rig.ts';

/** Paths that only the caller's own process can open, or that make whoever opens them wait: they are left to it. */
const COLD: Readonly<Record<string, Scene>> = {
  'a config that is a FIFO': async (call, id) => {
    const place = bundle('true');
    const config = path.join(place, 'config.json');
    return await done(
      call(['run', '--bundle', place, id], {
        shell: `mv ${config} ${config}.x; mkfifo ${config}; cat ${config}.x > ${config} & exec "$@"`,
      }),
    );
  },
  'a config elsewhere that is a FIFO': async (call, id, directory) => {
    const place = bundle('true');
    const config = path.join(directory, 'fifo');
    return await done(
      call(['run', '--bundle', place, '--config', config, id], {
        shell: `mkfifo ${config}; timeout 5 cat ${place}/config.json > ${config} & exec "$@"`,
      }),
    );
  },
  // The planner has been there for longer than these mounts.
  'a rootfs on a proc that was mounted a moment ago': async (call, id, directory) => {
    const place = bundle('true', (config) => (config.root = { path: mounted(directory) }));
    return await done(call(['run', '--bundle', place, id], { shell: withProc(directory) }));
  },
  'a mount source on a proc that was mounted a moment ago': async (call, id, directory) => {
    const place = bundle('cat /there', (config) => {
      const source = `${mounted(directory)}/filesystems`;
      config.mounts = [...config.mounts, { destination: '/there', source, options: ['bind', 'ro'] }];
    });
    return await done(call(['run', '--bundle', place, id], { shell: withProc(directory) }));
  },
  'a config that is a descriptor of the caller': async (call, id) => {
    const place = bundle('echo hi');
    const config = path.join(place, 'config.json');
    return await done(
      call(['run', '--bundle', place, id], {
        shell: `mv ${config} ${config}.x; ln -s /dev/fd/9 ${config}; exec "$@" 9<${config}.x`,
      }),
    );
  },
  'a bundle behind /proc/self/cwd': async (call, id) => {
    const place = bundle('echo hi');
    symlinkSync('/proc/self/cwd', `${place}-link`);
    return await done(call(['run', '--bundle', `${place}-link`, id], { cwd: place }));
  },
  'a bundle behind /proc/self/fd': async (call, id) =>
    await done(call(['run', '--bundle', '/proc/self/fd/9', id], { shell: `exec "$@" 9<${bundle('echo hi')}` })),
  'a log that is a descriptor of the caller': async (call, id) =>
    await done(call(['--log', '/dev/stderr', 'state', id])),
  'a log that is a FIFO': async (call, id, directory) =>
    await done(
      call(['--log', `${directory}/fifo`, 'state', id], {
        shell: `rm -f ${directory}/fifo; mkfifo ${directory}/fifo; cat ${directory}/fifo > /dev/null & exec "$@"`,
      }),
    ),
  'a command that is measured': async (call, id, directory) =>
    await done(call(['--trace', path.join(directory, 'trace'), 'run', '--bundle', bundle('echo hi'), id])),
  'a config of 300 KB': async (call, id) =>
    await done(
      call([
        'run',
        '--bundle',
        bundle('echo hi', (config) => (config.annotations = { long: 'x'.repeat(300_000) })),
        id,
      ]),
    ),
};

function mounted(directory: string): string {
  return path.join(directory, 'mounted');
}

function withProc(directory: string): string {
  const place = mounted(directory);
  return `mkdir ${place}; mount -t proc proc ${place}; "$@"; code=$?; umount ${place}; exit $code`;
}

const COLD_IN_SLEEPER: Readonly<Record<string, Scene>> = {
  'a process that is a descriptor of the caller': async (call, id, directory) => {
    const file = processFile(directory);
    return await done(call(['exec', '--process', '/dev/fd/9', id], { shell: `exec "$@" 9<${file}` }));
  },
  'a process that is standard input': async (call, id, directory) =>
    await done(call(['exec', '--process', '/dev/stdin', id], { shell: `exec "$@" <${processFile(directory)}` })),
  'a process that is a FIFO': async (call, id, directory) =>
    await done(
      call(['exec', '--process', `${directory}/fifo`, id], {
        shell: `rm -f ${directory}/fifo; mkfifo ${directory}/fifo; timeout 5 cat ${processFile(directory)} > ${directory}/fifo & exec "$@"`,
      }),
    ),
};

function processFile(directory: string): string {
  const file = path.join(directory, 'process.json');
  writeFileSync(
    file,
    JSON.stringify({ cwd: '/', args: ['/bin/echo', 'hi'], env: ['PATH=/bin'], user: { uid: 0, gid: 0 } }),
  );
  return file;
}

livePlanners('paths of a caller that a planner does not open', async (t, rig) => {
  useRig(rig);
  const planner = await TestPlanner.start(rig.path('planner.err'));
  for (const [name, scene] of Object.entries(COLD)) {
    await t.test(name, async (t) => {
      const served = await compare(t, planner, scene);
      t.strictSame([served.warm, served.left], [0, 1], 'left to the engine');
    });
  }
  for (const [name, scene] of Object.entries(COLD_IN_SLEEPER)) {
    await t.test(name, async (t) => {
      const served = await compare(t, planner, withSleeper(scene));
      t.strictSame([served.warm, served.left], [3, 1], 'left to the engine');
    });
  }
  await planner.finish(t);
});
