import { readFileSync } from 'node:fs';
import { runtimeFor, type Caller, type Runtime } from '../container/caller/caller.ts';
import type { RuntimeOptions } from '../container/store/options.ts';
import { identifyProcess, type ProcessIdentity } from '../container/store/process-identity.ts';
import { TsrunError } from '../errors.ts';
import { busAddresses } from '../plan/cgroup/systemd/bus-addresses.ts';

const PROC = '/proc/self';

/** What an operation works with when this very process is the caller. What is rarely asked for is read when it is. */
export function ownRuntime(
  options: RuntimeOptions,
  parts: Pick<Caller, 'signals' | 'terminal' | 'loadConfig' | 'planContainer' | 'planEntry' | 'host'> = {},
): Runtime {
  return runtimeFor(
    {
      proc: PROC,
      get identity() {
        return ownIdentity();
      },
      get umask() {
        return ownUmask();
      },
      environment: options.environment ?? {},
      get buses() {
        return busAddresses(process.env);
      },
      get openFiles() {
        return options.openFiles;
      },
      ...parts,
    },
    options,
  );
}

function ownIdentity(): ProcessIdentity {
  const identity = identifyProcess(process.pid);
  if (identity === undefined) throw new TsrunError('host', `read "${PROC}/stat": this process is not there`);
  return identity;
}

/** Not umask(2), which cannot ask without changing it, for a moment and for all threads. Source: man 5 proc_pid_status. */
function ownUmask(): number {
  const text = /^Umask:\s*([0-7]+)$/m.exec(readFileSync(`${PROC}/status`, 'latin1'))?.[1] ?? '022';
  return Number.parseInt(text, 8);
}
