import { TsrunError } from '../../errors.ts';
import type { Step } from '../../program/step.ts';
import { pointerTo } from '../../spec/pointer.ts';
import { sysctlPath } from '../../spec/sysctl-path.ts';
import type { PlanContext } from '../base/context.ts';
import { openProcFile, writeProcFile } from '../base/proc-file.ts';
import { withHandle } from '../base/with-handle.ts';

/**
 * config-linux.md, "Sysctl": writes the kernel parameters, in their order, from inside the container's namespaces.
 *
 * Which parameters may be set is judged by spec/rules/sysctl.ts. Throws a TsrunError `config` for a key that would leave its
 * directory: the rules judge by the first names of a path.
 */
export function planSysctl(context: PlanContext): Step[] {
  return Object.entries(context.config.linux?.sysctl ?? {}).flatMap(([key, value]) => {
    const pointer = pointerTo('/linux/sysctl', key);
    const shown = JSON.stringify(key);
    const path = sysctlPath(key);
    if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      const message = `is ${shown}, wanted a kernel parameter such as "net.ipv4.ip_forward"`;
      throw new TsrunError('config', `config.json: ${pointer}: ${message}`, { issues: [{ pointer, message }] });
    }
    return withHandle(
      context,
      {
        name: 'sysctl',
        open: (file) => [openProcFile(context, `sys/${path}`, file, { label: `open sysctl ${shown}`, pointer })],
        closeLabel: `close sysctl ${shown}`,
      },
      (file) => [writeProcFile(file, value, { label: `set sysctl ${shown}`, pointer, purpose: 'set sysctl' })],
    );
  });
}
