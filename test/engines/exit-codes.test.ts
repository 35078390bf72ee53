import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandResult } from '../live/support/command.ts';
import { DOCKER_FILES, DOCKER_TOOLS, withEachDocker, type Dockerd } from './support/dockerd.ts';
import { IMAGE } from './support/image.ts';
import { podmanTests } from './support/podman.ts';
import { engines, type Surroundings } from './support/surroundings.ts';

// Engines make their exit codes of the words that a runtime fails with; those of runc are what their users know.

/** A command that fails, with the code of the engine and what it says. */
interface Failure {
  readonly flags?: readonly string[];
  readonly command?: readonly string[];
  readonly code: number;
  readonly says: RegExp;
}

podmanTests('podman: exit codes of failures', {}, async (declare, _t, inside) => {
  const bind = bindScript(inside);
  const runs: readonly Failure[] = [
    { flags: ['--sysctl', 'net.nosuch=1'], code: 127, says: /net.nosuch.*: no such file or directory/ },
    { flags: ['--sysctl', 'net.ipv4.ip_default_ttl=x'], code: 126, says: /ip_default_ttl.*: invalid argument/ },
    { flags: ['-v', '/etc/passwd:/etc'], code: 126, says: /"\/etc".*: not a directory/ },
    { command: [''], code: 127, says: /executable file not found in \$PATH/ },
    { command: ['/etc/passwd/x'], code: 126, says: /"\/etc\/passwd\/x": .*not a directory/ },
    { flags: bind, command: ['/bound/script'], code: 1, says: /^exec \/bound\/script: no such file or directory/ },
  ];
  await declare('podman run', async (t, podman) => {
    await expectFailures(t, runs, async (flags, command) => podman.run(flags, command));
  });

  const execs: readonly Failure[] = [
    { flags: ['-w', '/nosuch'], code: 127, says: /"\/nosuch".*: no such file or directory/ },
    { flags: ['-w', '/etc/passwd'], code: 255, says: /"\/etc\/passwd".*: not a directory/ },
    { command: [''], code: 127, says: /executable file not found in \$PATH/ },
    { command: ['/etc'], code: 126, says: /"\/etc": .*permission denied/ },
    { command: ['/bin/nosuch'], code: 127, says: /"\/bin\/nosuch": .*no such file or directory/ },
    { command: ['/bound/script'], code: 1, says: /^exec \/bound\/script: no such file or directory/ },
  ];
  await declare('podman exec', async (t, podman) => {
    const name = await podman.start(t, 'codes', bind, ['sleep', '1000']);
    await expectFailures(t, execs, async (flags, command) => podman.podman(['exec', ...flags, name, ...command]));
  });
});

engines('docker: exit codes of failures', { tools: DOCKER_TOOLS, files: DOCKER_FILES }, async (t, inside) => {
  const bind = bindScript(inside);
  await withEachDocker(t, inside, async (t, docker) => {
    await t.test('docker run', async (t) => dockerRun(t, docker, bind));
    await t.test('docker exec', async (t) => dockerExec(t, docker, bind));
  });
});

async function dockerRun(t: Test, docker: Dockerd, bind: readonly string[]): Promise<void> {
  const runs: readonly Failure[] = [
    { flags: ['--nosuch-flag'], code: 125, says: /unknown flag: --nosuch-flag/ },
    { flags: ['--user', 'nobody-such'], code: 125, says: /unable to find user/ },
    // docker takes the missing file for a missing program.
    { flags: ['--sysctl', 'net.nosuch=1'], code: 127, says: /OCI runtime create failed: .*net.nosuch/ },
    { flags: ['--sysctl', 'net.ipv4.ip_default_ttl=x'], code: 125, says: /ip_default_ttl.*: invalid argument/ },
    { flags: ['-v', '/etc/passwd:/etc'], code: 125, says: /"\/etc".*: not a directory/ },
    { command: ['/etc/not-executable'], code: 126, says: /permission denied/ },
    { command: ['/etc'], code: 126, says: /permission denied/ },
    { command: ['nosuch'], code: 127, says: /exec: "nosuch": executable file not found in \$PATH/ },
    { command: ['/bin/nosuch'], code: 127, says: /no such file or directory/ },
    { command: [''], code: 127, says: /executable file not found in \$PATH/ },
    { flags: bind, command: ['/bound/script'], code: 1, says: /^exec \/bound\/script: no such file or directory/ },
  ];
  await expectFailures(t, runs, async (flags, command) =>
    docker.docker(['run', '--rm', '--network', 'none', ...flags, IMAGE, ...command]),
  );
}

async function dockerExec(t: Test, docker: Dockerd, bind: readonly string[]): Promise<void> {
  const execs: readonly Failure[] = [
    { flags: ['-w', '/nosuch'], code: 126, says: /"\/nosuch".*: no such file or directory/ },
    { command: [''], code: 126, says: /executable file not found in \$PATH/ },
    { command: ['/bin/nosuch'], code: 126, says: /"\/bin\/nosuch": .*no such file or directory/ },
    { command: ['/bound/script'], code: 1, says: /^exec \/bound\/script: no such file or directory/ },
  ];
  await docker.start(t, 'codes', bind);
  await expectFailures(t, execs, async (flags, command) => docker.docker(['exec', ...flags, 'codes', ...command]));
  await docker.remove(t, 'codes');
}

/** Runs every one; `true` is the program where none is named. docker shows failures of `exec` on standard output. */
async function expectFailures(
  t: Test,
  failures: readonly Failure[],
  run: (flags: readonly string[], command: readonly string[]) => Promise<CommandResult>,
): Promise<void> {
  for (const { flags = [], command = ['true'], code, says } of failures) {
    const result = await run(flags, command);
    const name = JSON.stringify([...flags, ...command]);
    t.equal(result.code, code, name);
    t.match(result.stdout + result.stderr, says, name);
  }
}

/** A script whose interpreter is missing, and the flags that show it as `/bound/script`. */
function bindScript(inside: Surroundings): string[] {
  const directory = inside.fresh('bound');
  mkdirSync(directory);
  writeFileSync(`${directory}/script`, '#!/no/such/interpreter\n');
  chmodSync(`${directory}/script`, 0o755);
  return ['-v', `${directory}:/bound`];
}
