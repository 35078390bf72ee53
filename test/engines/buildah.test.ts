import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectSuccess } from '../live/support/rig.ts';
import { IMAGE } from './support/image.ts';
import { podmanTests } from './support/podman.ts';

const CONTAINERFILE = `FROM ${IMAGE}
ENV FROM_FILE=yes
COPY copied /copied
RUN echo "$FROM_FILE $FROM_IMAGE $(id -u) $(cat /copied)" >/built
USER worker
WORKDIR /home/worker
RUN id -un >who; grep Seccomp: /proc/self/status >seccomp
CMD ["cat", "/built", "who"]
`;

podmanTests('builds', { tools: ['buildah'] }, async (declare, _t, inside) => {
  const directory = inside.path('build');
  mkdirSync(directory);
  writeFileSync(path.join(directory, 'copied'), 'copied\n');
  writeFileSync(path.join(directory, 'Containerfile'), CONTAINERFILE);
  writeFileSync(path.join(directory, 'Failing'), `FROM ${IMAGE}\nRUN exit 9\nRUN echo never\n`);

  await declare('podman build runs what a Containerfile says, and podman run its result', async (t, podman) => {
    const tag = podman.name('podman-built');
    const build = ['build', '--no-cache', '--network', 'none'];
    expectSuccess(t, await podman.podman([...build, '--tag', tag, directory]), 'podman build');
    t.strictSame(podman.calls().slice(0, 4), ['create', 'start', 'state', 'delete'].slice(0, 4));
    const run = await podman.podman(['run', '--rm', '--network', 'none', tag]);
    t.equal(run.stdout, 'yes yes 0 copied\nworker\n');
    const seccomp = await podman.podman(['run', '--rm', '--network', 'none', tag, 'cat', 'seccomp']);
    t.match(seccomp.stdout, /^Seccomp:\t2$/m);
    const failed = await podman.podman([...build, '--file', path.join(directory, 'Failing'), directory]);
    t.equal(failed.code, 9);
    t.match(failed.stderr, /exit status 9/);
    t.notMatch(failed.stdout, /never\n/);
    t.equal((await podman.podman(['build', '--isolation', 'oci', '--tag', tag, directory])).code, 0, 'from its cache');
  });

  await declare('buildah build', async (t, podman) => {
    const tag = podman.name('buildah-built');
    expectSuccess(t, await podman.buildah(['build', '--no-cache', '--network', 'none', '--tag', tag, directory]));
    t.ok(podman.calls().includes('create'));
    t.equal((await podman.podman(['run', '--rm', '--network', 'none', tag])).stdout, 'yes yes 0 copied\nworker\n');
  });

  await declare('buildah from, run, config, commit, rm', async (t, podman) => {
    const name = podman.name('working');
    expectSuccess(t, await podman.buildah(['from', '--name', name, IMAGE]), 'from');
    t.teardown(async () => podman.buildah(['rm', name]));
    const run = async (options: readonly string[], command: string, stdin?: string) =>
      podman.buildah(['run', ...options, name, '--', 'sh', '-c', command], stdin === undefined ? {} : { stdin });
    const first = await run(['--env', 'GIVEN=1'], 'echo "$GIVEN" | tee /made; echo wrong >&2; exit 4');
    t.equal(first.code, 4);
    t.equal(first.stdout, '1\n');
    t.match(first.stderr, /^wrong$/m);
    t.equal((await run(['--user', 'worker', '--workingdir', '/tmp'], 'id -un; pwd')).stdout, 'worker\n/tmp\n');
    t.equal((await run([], 'cat', 'text')).stdout, 'text');
    const volume = ['--volume', `${directory}:/volume:ro`, '--hostname', 'building'];
    const mounted = await run(volume, 'hostname; cat /volume/copied; touch /volume/x');
    t.equal(mounted.stdout, 'building\ncopied\n');
    t.match(mounted.stderr, /Read-only/);
    t.not((await podman.buildah(['run', name, '--', 'no-such-program'])).code, 0);
    t.match(
      (await podman.buildah(['run', name, '--', 'no-such-program'])).stderr,
      /executable file not found in \$PATH/,
    );
    const calls = podman.calls();
    for (const verb of ['create', 'start', 'state', 'delete']) t.ok(calls.includes(verb), verb);
    expectSuccess(t, await podman.buildah(['config', '--cmd', 'cat /made', name]));
    expectSuccess(t, await podman.buildah(['commit', '--quiet', name, podman.name('committed')]));
    const result = await podman.podman(['run', '--rm', '--network', 'none', podman.name('committed')]);
    t.equal(result.stdout, '1\n');
  });

  await declare('buildah run on a terminal', async (t, podman) => {
    const name = podman.name('terminal');
    expectSuccess(t, await podman.buildah(['from', '--name', name, IMAGE]), 'from');
    t.teardown(async () => podman.buildah(['rm', name]));
    const show = "sh -c 'test -t 0 && test -t 1 && echo all-tty; tty; exit 6'";
    const result = await podman.onTerminal(`buildah run --terminal ${name} -- ${show}`);
    t.equal(result.code, 6, result.stdout);
    t.match(result.stdout, /all-tty\r*\n\/dev\/(pts\/0|console)\r*\n/);
  });
});
