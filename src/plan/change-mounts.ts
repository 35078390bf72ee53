import { TsrunError } from '../errors.ts';
import { call, failWhen } from '../program/build.ts';
import { Memory } from '../program/step.ts';
import type { Region, Step } from '../program/step.ts';
import { isBindMount } from '../spec/bind-mount.ts';
import type { Config, Mount } from '../spec/generated/config.ts';
import { CAP_SYS_ADMIN, MNT_DETACH, MS_REMOUNT, UMOUNT_NOFOLLOW } from '../util/constants.ts';
import { allocateSharedSlots, type PlanContext } from './base/context.ts';
import { holdsCapability, type HostFacts, type SourceKind } from './base/facts.ts';
import { failedWith } from './base/failed-with.ts';
import { components, openInRoot } from './base/handles.ts';
import { PhaseList, type Phase } from './base/phases.ts';
import { reply } from './base/reply.ts';
import { withHandle } from './base/with-handle.ts';
import { execDescriptors, openContainerRoot, planJoin, type ExecDescriptors } from './exec.ts';
import { differingNamespaces } from './namespaces/exec-namespaces.ts';
import { HANDED_NAMESPACES, type NamespaceFile } from './namespaces/hand-out.ts';
import { planStartInit } from './namespaces/start-init.ts';
import { planBindMount } from './rootfs/bind-mounts.ts';
import { describeBind, makeBindMount, openHostTree, type BindMount } from './rootfs/bind-source.ts';
import { isFileSystem, lookAtFileSystem } from './rootfs/mount-target.ts';
import { planLoneTmpfs } from './rootfs/mounts.ts';

/** What becomes of the mounts of a container that is there. */
export type MountChange =
  | {
      readonly kind: 'add';
      readonly mount: Mount;
      /** What lies at the source of a bind mount. */ readonly source: SourceKind;
    }
  | { readonly kind: 'remove'; readonly target: string };

/** A container whose mounts are to change, and what was found out about it. */
export interface MountChangeInput {
  readonly id: string;
  readonly config: Config;
  readonly host: HostFacts;
  readonly rootfs: string;
  readonly isChrooted: boolean;
  /** Namespaces of its init: file name below /proc/PID/ns -> inode number as decimal text. */
  readonly inodes: Readonly<Record<string, string>>;
  /** Of which of them there are handles, where init had to be asked for them. */
  readonly handed: readonly NamespaceFile[] | undefined;
  readonly change: MountChange;
}

/** One program, in a process that ends behind it. */
export interface MountChangePlan {
  readonly descriptors: ExecDescriptors;
  /** Those of the namespaces that were handed out whose handles it wants, in this order. */
  readonly handles: readonly NamespaceFile[];
  readonly phase: Phase<'rootfs'>;
}

/**
 * Plans a change of the mounts of a container that is there. Errors: `usage`, `unsupported`.
 *
 * The source is opened where the host is, detached, with all its flags; then the process enters the mount namespace, and the user namespace
 * whose root it belongs to, and puts it onto a handle of the target, which was looked up below the container's root: whatever symlinks the
 * container makes, they lead no further than its own.
 */
export function planMountChange(input: MountChangeInput): MountChangePlan {
  const { id, host, isChrooted, rootfs, inodes, handed, change } = input;
  const differing = differingNamespaces(inodes, host.namespaces).filter((type) => type === 'user' || type === 'mount');
  if (!differing.includes('mount'))
    throw new TsrunError(
      'unsupported',
      `change the mounts of container ${JSON.stringify(id)}: it shares those of the host`,
    );
  const handles = handed?.filter((file) => differing.some((type) => type === HANDED_NAMESPACES[file])) ?? [];
  const descriptors = execDescriptors(0);
  const memory = new Memory();
  const context: PlanContext = {
    id,
    config: { ...input.config, mounts: change.kind === 'add' ? [change.mount] : [] },
    host,
    bundle: {
      bundle: '/',
      rootfs,
      rootfsMountPoint: '/',
      sources: sourcesOf(change),
      danglingLinks: {},
      namespaces: {},
    },
    options: { noPivot: false, noNewKeyring: false, preserveFds: 0 },
    memory,
    descriptors,
    slots: allocateSharedSlots(memory),
    warnings: [],
  };
  const join = {
    differing,
    ...(handed && { handles: handles.map((file) => HANDED_NAMESPACES[file]) }),
    changeRoot: isChrooted,
  };
  const enter = [...planJoin(join, descriptors), openContainerRoot(context)];
  const phases = new PhaseList<'rootfs'>()
    .add(planStartInit(context, { lastDescriptor: descriptors.idmaps + handles.length - 1 }))
    .add(change.kind === 'add' ? planAdd(context, change.mount, enter) : planRemove(context, change.target, enter))
    .add([reply(descriptors.sync, 'rootfs', 'tell that it is done')])
    .exchange('rootfs', change.kind === 'add' ? 'add a mount' : 'remove a mount')
    .finish();
  const [phase] = phases;
  if (phase === undefined) throw new Error('bug: a change without a program');
  return { descriptors, handles, phase };
}

function sourcesOf(change: MountChange): Record<string, SourceKind> {
  return change.kind === 'add' && isBindMount(change.mount) ? { [change.mount.source ?? '']: change.source } : {};
}

function planAdd(context: PlanContext, mount: Mount, enter: readonly Step[]): Step[] {
  const shown = JSON.stringify(mount.destination);
  if (components(mount.destination).length === 0)
    throw new TsrunError('usage', `mount on ${shown}: wanted a place below the root of the container`);
  if (!isBindMount(mount)) {
    if (mount.type !== 'tmpfs')
      throw new TsrunError(
        'unsupported',
        `mount ${JSON.stringify(mount.type)} on ${shown}: wanted the type bind or tmpfs`,
      );
    return [...enter, ...planLoneTmpfs(context, mount, 0)];
  }
  const bind = makeBindMount(context, mount, 0);
  requireSimple(bind);
  requireMeans(context, bind);
  const tree = context.memory.word('tree');
  return [...openHostTree(context, bind, tree), ...enter, ...planBindMount(context, mount, 0, tree)];
}

/** What needs a look at the bundle, and what is no mount. Errors: `usage`, `unsupported`. */
function requireSimple(bind: BindMount): void {
  const { flags, data, manner } = bind.options;
  if (bind.mount.source?.startsWith('/') !== true)
    throw new TsrunError('usage', `${describeBind(bind)}: wanted an absolute path as the source`);
  const [unknown] = data;
  if (unknown !== undefined)
    throw new TsrunError('usage', `${describeBind(bind)}: unknown option ${JSON.stringify(unknown)} of a bind mount`);
  if ((flags & MS_REMOUNT) !== 0)
    throw new TsrunError('unsupported', `${describeBind(bind)}: the option "remount" changes a mount, and adds none`);
  if (manner.idMap === 'none' && manner.sourceLink === 'follow') return;
  const problem = 'the options "idmap", "ridmap", "copy-symlink" and "src-nofollow" are for mounts of config.json';
  throw new TsrunError('unsupported', `${describeBind(bind)}: ${problem}`);
}

function requireMeans({ host }: PlanContext, bind: BindMount): void {
  const { mountSetattr, version } = host.kernel;
  if (!holdsCapability(host, CAP_SYS_ADMIN))
    throw new TsrunError(
      'unsupported',
      `${describeBind(bind)}: nobody but root of this host can bring its files into a container that runs`,
    );
  if (!mountSetattr)
    throw new TsrunError('unsupported', `${describeBind(bind)}: wanted Linux 5.12, found ${version.join('.')}`);
}

/** The last component is a name in a directory that a handle is of: umount2(2) takes no handle. */
function planRemove(context: PlanContext, target: string, enter: readonly Step[]): Step[] {
  const parts = components(target);
  const name = parts.at(-1);
  const label = `unmount ${JSON.stringify(target)}`;
  if (name === undefined) throw new TsrunError('usage', `${label}: wanted a place below the root of the container`);
  const open = (parent: Region): Step[] =>
    openInRoot(context, `/${parts.slice(0, -1).join('/')}`, parent, {
      label: `${label}: open its directory`,
      directory: true,
    });
  return [
    ...enter,
    ...withHandle(context, { name: 'parent', open }, (parent) => [
      lookAtFileSystem(context, parent, `${label}: look at its directory`),
      ...(['proc', 'sysfs'] as const).map((type) =>
        failWhen(isFileSystem(context, type), 'EPERM', {
          label,
          failure: `${label}: what is mounted on a ${type} hides the host's`,
        }),
      ),
      call('fchdir', [parent], { label: `${label}: enter its directory` }),
      call('umount2', [name, MNT_DETACH | UMOUNT_NOFOLLOW], {
        label,
        accept: ['EINVAL'],
        result: context.slots.answer,
      }),
      failWhen(failedWith(context.slots.answer, 'EINVAL'), 'EINVAL', {
        label,
        failure: `${label}: no mount that could be taken away is there`,
      }),
    ]),
  ];
}
