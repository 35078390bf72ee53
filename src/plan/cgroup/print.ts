import type { CgroupPlan, ScopePlan, UnitProperty, UnitValue } from './plan.ts';
import type { CgroupDirectory } from './path.ts';
import type { CgroupWrite } from './writes.ts';

/** The plan as text for `tsrun explain`, one line a write. */
export function printCgroupPlan(plan: CgroupPlan): string {
  if (plan.version === 'none') return 'cgroup: none\n';
  const show = (write: CgroupWrite): string => `  ${printCgroupWrite(write, plan.directories)}`;
  const lines = [`cgroup ${plan.version}`];
  if (plan.scope !== undefined) lines.push(...printScope(plan.scope));
  lines.push(...plan.directories.map((directory) => `  make ${JSON.stringify(directoryPath(directory))}`));
  if (plan.prepare.length > 0) lines.push('before joining', ...plan.prepare.map(show));
  if (plan.owner !== undefined) {
    const directory = plan.directories[plan.owner.directory];
    lines.push(
      `  give ${JSON.stringify(directory === undefined ? '' : directoryPath(directory))} to uid ${plan.owner.uid}`,
    );
  }
  const late = (plan.scope?.limits ?? []).map((property) => `  tell systemd ${printProperty(property)}`);
  if (plan.limits.length + late.length > 0) lines.push('limits', ...late, ...plan.limits.map(show));
  if (plan.devices?.kind === 'v1') lines.push('devices', ...plan.devices.writes.map(show));
  if (plan.devices?.kind === 'v2') {
    const directory = plan.directories[plan.devices.directory];
    lines.push(`devices: eBPF program on ${JSON.stringify(directory === undefined ? '' : directoryPath(directory))}`);
    lines.push(...plan.devices.listing.map((line) => `  ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

function printScope({ bus, unit, properties }: ScopePlan): string[] {
  const shown = properties.map((property) => `    ${printProperty(property)}`);
  return [`  start ${unit} by the ${bus} manager of systemd`, ...shown];
}

function printProperty({ name, signature, value }: UnitProperty): string {
  return `${name} ${signature} ${showValue(value)}`;
}

function showValue(value: UnitValue): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
}

/** The plan as plain JSON: the eBPF program is given by its listing, numbers of 64 bits as strings. */
export function cgroupPlanToJson(plan: CgroupPlan): object {
  const { scope, devices } = plan;
  const numbers = ({ value, ...property }: UnitProperty): object => {
    return { ...property, value: JSON.parse(showValue(value)) as unknown };
  };
  const shown =
    scope === undefined
      ? plan
      : {
          ...plan,
          scope: { ...scope, properties: scope.properties.map(numbers), limits: scope.limits.map(numbers) },
        };
  if (devices?.kind !== 'v2') return shown;
  const { kind, directory, optional, listing } = devices;
  return { ...shown, devices: { kind, directory, optional, listing } };
}

/** Absolute path of a cgroup: the container's own in this hierarchy, or one above it. */
export function directoryPath(directory: CgroupDirectory, ancestor = directory.path): string {
  return ancestor === '/' ? directory.mountPoint : `${directory.mountPoint}${ancestor}`;
}

/** One write as one line: `write "64" to "/sys/fs/cgroup/pids/x/pids.max"`. */
export function printCgroupWrite(write: CgroupWrite, directories: readonly CgroupDirectory[]): string {
  const directory = directories[write.directory];
  const path = (file: string): string => {
    return JSON.stringify(`${directory === undefined ? '' : directoryPath(directory, write.ancestor)}/${file}`);
  };
  const origin = write.pointer === undefined ? '' : `  (${write.pointer})`;
  switch (write.kind) {
    case 'value': {
      const or =
        write.orElse === undefined ? '' : ` or ${JSON.stringify(write.orElse.value)} to ${path(write.orElse.file)}`;
      const accept = write.accept === undefined ? '' : ` unless ${write.accept.join(', ')}`;
      return `write ${JSON.stringify(write.value)} to ${path(write.file)}${or}${accept}${origin}`;
    }
    case 'inherit':
      return `inherit ${path(write.file)}`;
    case 'check':
      return `refuse unless ${path(write.file)} is below ${write.limit}${origin}`;
    case 'enable':
      return `enable ${write.controllers.join(' ')} in ${path('cgroup.subtree_control')}`;
  }
}
