import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { PLANNER_NAME } from '../../../src/plan/launcher/acknowledge.ts';
import { planLookForEnd } from '../../../src/plan/launcher/foreground.ts';
import { LAUNCHED } from '../../../src/util/launched.ts';
import { encodeWill } from '../../../src/util/wills.ts';
import { platformOf } from '../real-init.ts';
import { coldHeader, FakePlanner } from './fake-planner.ts';

/** A process that has the name of a planner. */
async function startSleeper(): Promise<{ pid: number; child: ChildProcess }> {
  const script = `process.title = '${PLANNER_NAME}'; console.log(''); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { pid: child.pid ?? -1, child };
}

t.setTimeout(120_000);

for (const arch of ['x86-64', 'arm64'] as const) {
  const { skip } = platformOf(arch);

  t.test(`a launcher on ${arch} gives a stopped planner up`, { skip }, async (t) => {
    const planner = new FakePlanner(t, arch);
    planner.place.putEngine();
    const { pid, child: stopped } = await startSleeper();
    const { child, hello, connection } = planner.drive(['run', 'x'], { planner: pid });
    hello.cwd.close();
    const will = { stage: 'running', pid: 77 } as const;
    connection.run(planLookForEnd(connection.context, { pid: 'any', reap: [] }), { will });
    const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    await wait(2500);
    t.same(
      connection.run(planLookForEnd(connection.context, { pid: 'any', reap: [] }), { will }).length,
      18,
      'one that is busy is waited for',
    );
    process.kill(pid, 'SIGSTOP');
    const start = performance.now();
    const header = await coldHeader(t, child);
    const seconds = (performance.now() - start) / 1000;
    t.ok(seconds > 4.5 && seconds < 8, `after ${seconds} s`);
    t.equal(header.getUint32(LAUNCHED.will, true), encodeWill(will));
    t.equal(Number(header.getBigUint64(LAUNCHED.planner, true)), hello.socket);
    stopped.kill('SIGKILL');
    connection.close();
  });
}
