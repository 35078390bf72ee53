import type { Issue } from '../../errors.ts';
import { isBindMount } from '../../spec/bind-mount.ts';
import type { Config, IdMapping, Mount, NamespaceType } from '../../spec/generated/config.ts';
import { hookKinds } from '../../spec/rules/hooks.ts';
import { findWeakSpots } from '../../spec/rules/weak-spots.ts';
import { findNamespace } from '../base/context.ts';
import { directoryPath } from '../cgroup/print.ts';
import type { CgroupWrite } from '../cgroup/writes.ts';
import type { CreatePlan } from '../create.ts';
import { describeNetwork } from './network.ts';
import { show } from './show.ts';
import type { NetworkChoice } from '../network/choice.ts';
import type { SeccompPlan } from '../seccomp/load.ts';

/** A property of a container in words, and where config.json asks for it. */
export interface Fact {
  readonly text: string;
  readonly pointer?: string;
}

/** Whose namespace of a type the container is in. */
export interface NamespaceFact {
  readonly type: NamespaceType;
  readonly kind: 'own' | 'joined' | 'host';
  /** Of one that is joined. */
  readonly path?: string;
}

/** A place in the container's tree of mounts, and what is mounted below it. */
export interface MountNode extends Fact {
  readonly destination: string;
  readonly children: readonly MountNode[];
}

/** What a container is, from outside in, before there is one. */
export interface Picture {
  readonly id: string;
  readonly bundle: string;
  readonly program: Fact;
  readonly namespaces: readonly NamespaceFact[];
  /** What was chosen in place of the config's; empty when nothing was. */
  readonly network: readonly Fact[];
  readonly ids: readonly Fact[];
  readonly capabilities: readonly Fact[];
  readonly mounts: MountNode;
  readonly cgroup: readonly Fact[];
  readonly seccomp: Fact;
  readonly hooks: readonly Fact[];
  /** What else holds the program back. */
  readonly bounds: readonly Fact[];
  readonly weakSpots: readonly Issue[];
  readonly warnings: readonly string[];
}

/** What a picture is made from. */
export interface Sitter {
  readonly id: string;
  readonly bundle: string;
  /** Absolute. */
  readonly rootfs: string;
  readonly config: Config;
  readonly plan: CreatePlan;
  readonly seccomp: SeccompPlan | undefined;
  /** In place of that of the config. */
  readonly network?: NetworkChoice | undefined;
}

/** A picture of the container that would be made. */
export function pictureOf({ id, bundle, rootfs, config, plan, seccomp, network }: Sitter): Picture {
  return {
    id,
    bundle,
    program: describeProgram(config),
    namespaces: listNamespaces(config),
    network: network === undefined ? [] : describeNetwork(network).map((text) => fact(text)),
    ids: describeIds(config),
    capabilities: describeCapabilities(config),
    mounts: mountTree(config, describeRoot(rootfs, plan)),
    cgroup: describeCgroup(plan),
    seccomp: describeSeccomp(config, seccomp),
    hooks: hookKinds.flatMap((kind) =>
      (config.hooks?.[kind] ?? []).map(({ path }, index) => fact(`${kind}: ${show(path)}`, `/hooks/${kind}/${index}`)),
    ),
    bounds: describeBounds(config),
    weakSpots: findWeakSpots(config),
    warnings: plan.warnings,
  };
}

function fact(text: string, pointer?: string): Fact {
  return pointer === undefined ? { text } : { text, pointer };
}

function describeProgram({ process }: Config): Fact {
  if (process === undefined) return fact('none: it can be created, and not started');
  const { args = [], cwd, terminal = false } = process;
  const where = `in ${show(cwd)}${terminal ? ', with a terminal' : ''}`;
  return fact(`${args.map(show).join(' ')}, ${where}`, '/process/args');
}

const TYPES: readonly NamespaceType[] = ['user', 'mount', 'pid', 'network', 'ipc', 'uts', 'cgroup', 'time'];

function listNamespaces(config: Config): NamespaceFact[] {
  return TYPES.map((type) => {
    const found = findNamespace(config, type);
    if (found === undefined) return { type, kind: 'host' };
    const { path = '' } = found;
    return path === '' ? { type, kind: 'own' } : { type, kind: 'joined', path };
  });
}

function describeIds(config: Config): Fact[] {
  const { uid = 0, gid = 0, additionalGids = [], umask } = config.process?.user ?? {};
  const groups = additionalGids.length === 0 ? 'no other groups' : `groups ${summarize(additionalGids.map(String))}`;
  const mask = umask === undefined ? '' : `, umask 0${umask.toString(8)}`;
  const facts = [fact(`uid ${uid}, gid ${gid}, ${groups}${mask}`, '/process/user')];
  const maps = (['uid', 'gid'] as const).flatMap((kind) =>
    (config.linux?.[`${kind}Mappings`] ?? []).map((range, index) =>
      fact(`${kind} ${describeRange(range)}`, `/linux/${kind}Mappings/${index}`),
    ),
  );
  if (findNamespace(config, 'user') === undefined) facts.push(fact('the same ids as on the host'));
  return [...facts, ...maps];
}

function describeRange({ containerID, hostID, size }: IdMapping): string {
  const range = (first: number): string => (size === 1 ? `${first}` : `${first} to ${first + size - 1}`);
  return `${range(containerID)} ${size === 1 ? 'is' : 'are'} ${range(hostID)} of the host`;
}

const LISTED_MAX = 16;

/** The first of many. */
function summarize(texts: readonly string[]): string {
  const more = texts.length - LISTED_MAX;
  return more <= 0 ? texts.join(', ') : `${texts.slice(0, LISTED_MAX).join(', ')} and ${more} more`;
}

const SETS = ['bounding', 'permitted', 'effective', 'inheritable', 'ambient'] as const;

/** Sets that are alike are said once. */
function describeCapabilities({ process }: Config): Fact[] {
  const sets = process?.capabilities ?? {};
  const alike = new Map<string, (typeof SETS)[number][]>();
  for (const set of SETS) {
    const names = [...(sets[set] ?? [])].sort().map((name) => name.replace(/^CAP_/, ''));
    const text = names.length === 0 ? 'none' : names.join(' ');
    alike.set(text, [...(alike.get(text) ?? []), set]);
  }
  return [...alike].map(([text, found]) =>
    fact(`${found.join(', ')}: ${text}`, found[0] === undefined ? undefined : `/process/capabilities/${found[0]}`),
  );
}

/** What is read, and where what is changed goes. */
function describeRoot(rootfs: string, { overlay }: CreatePlan): string {
  if (overlay === undefined) return show(rootfs);
  const { directory, lowers, isKept } = overlay;
  const stack = summarize(lowers.map(show));
  return `a layer in ${show(directory)}, ${isKept ? 'which is kept' : 'which goes with the container'}, over ${stack}`;
}

/** Mounts as they lie in one another: a later one on the same place covers what was there. */
function mountTree(config: Config, rootfs: string): MountNode {
  interface Draft extends Fact {
    readonly destination: string;
    readonly children: Draft[];
  }
  const readonly = config.root?.readonly === true ? ', read-only' : '';
  const root: Draft = { destination: '/', text: `${rootfs}${readonly}`, pointer: '/root', children: [] };
  (config.mounts ?? []).forEach((mount, index) => {
    const destination = cleanDestination(mount.destination);
    const node = { destination, ...fact(describeMount(mount), `/mounts/${index}`), children: [] };
    let place = root;
    for (;;) {
      const next: Draft | undefined = place.children.findLast(
        ({ destination: above }) => destination === above || destination.startsWith(`${above}/`),
      );
      if (next === undefined) break;
      place = next;
    }
    place.children.push(node);
  });
  return root;
}

function cleanDestination(destination: string): string {
  const parts = destination.split('/').filter((part) => part !== '' && part !== '.');
  return `/${parts.join('/')}`;
}

function describeMount(mount: Mount): string {
  const { type = '', source = '', options = [] } = mount;
  const own = options.filter((option) => !['bind', 'rbind'].includes(option));
  const what = isBindMount(mount) ? `${show(source)} of the host` : show(type === '' ? source : type);
  return own.length === 0 ? what : `${what} (${summarize(own.map(show))})`;
}

function describeCgroup({ cgroup }: CreatePlan): Fact[] {
  const { version, scope, directories, limits, devices } = cgroup;
  if (version === 'none' || directories.length === 0) return [fact('none', '/linux/cgroupsPath')];
  const [first] = [...directories].sort((a, b) => a.path.length - b.path.length);
  const by = scope === undefined ? '' : `, as ${show(scope.unit)} by systemd`;
  const path = first === undefined ? '' : show(version === 'v2' ? directoryPath(first) : first.path);
  const hierarchies = version === 'v2' ? '' : ` in ${directories.length} hierarchies`;
  const facts = [fact(`${version}: ${path}${hierarchies}${by}`, '/linux/cgroupsPath')];
  for (const property of scope?.limits ?? []) facts.push(fact(`${property.name} by systemd`));
  for (const write of limits) {
    const text = describeLimit(write);
    if (text !== undefined) facts.push(fact(text, write.pointer));
  }
  if (limits.length === 0 && (scope?.limits ?? []).length === 0) facts.push(fact('no limits', '/linux/resources'));
  if (devices !== undefined) {
    const count = devices.kind === 'v1' ? `${devices.writes.length} rules` : 'an eBPF program';
    facts.push(fact(`devices: ${count}`, '/linux/resources/devices'));
  }
  return facts;
}

function describeLimit(write: CgroupWrite): string | undefined {
  return write.kind === 'value' ? `${write.file} = ${show(write.value)}` : undefined;
}

function describeSeccomp({ linux }: Config, plan: SeccompPlan | undefined): Fact {
  const { seccomp } = linux ?? {};
  if (seccomp === undefined || plan === undefined) return fact('none: every system call is allowed', '/linux/seccomp');
  const calls = (seccomp.syscalls ?? []).reduce((count, { names }) => count + names.length, 0);
  const place = plan.position === 'late' ? 'just before the program' : 'before the capabilities are given up';
  const asks = plan.listener === undefined ? '' : `, asks ${show(plan.listener.path)}`;
  return fact(`${seccomp.defaultAction} but for ${calls} named calls, loaded ${place}${asks}`, '/linux/seccomp');
}

function describeBounds({ process, linux, root }: Config): Fact[] {
  const facts: Fact[] = [];
  const add = (holds: boolean, text: string, pointer: string): void => {
    if (holds) facts.push(fact(text, pointer));
  };
  const { maskedPaths = [], readonlyPaths = [] } = linux ?? {};
  add(process?.noNewPrivileges === true, 'no new privileges', '/process/noNewPrivileges');
  add(root?.readonly === true, 'read-only root file system', '/root/readonly');
  const { apparmorProfile = '', selinuxLabel = '' } = process ?? {};
  add(apparmorProfile !== '', `AppArmor profile ${show(apparmorProfile)}`, '/process/apparmorProfile');
  add(selinuxLabel !== '', `SELinux label ${show(selinuxLabel)}`, '/process/selinuxLabel');
  add(maskedPaths.length > 0, `${maskedPaths.length} masked paths`, '/linux/maskedPaths');
  add(readonlyPaths.length > 0, `${readonlyPaths.length} read-only paths`, '/linux/readonlyPaths');
  (process?.rlimits ?? []).forEach(({ type, soft, hard }, index) => {
    add(true, `${type} ${soft}${soft === hard ? '' : ` to ${hard}`}`, `/process/rlimits/${index}`);
  });
  return facts;
}
