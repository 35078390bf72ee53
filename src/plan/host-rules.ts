import { describeIssues, TsrunError, type Issue } from '../errors.ts';
import { isBindMount } from '../spec/bind-mount.ts';
import { checkMountOnRoot, checkProcMounts } from '../spec/rules/mounts.ts';
import { pointerTo } from '../spec/pointer.ts';
import { sysctlPath } from '../spec/sysctl-path.ts';
import { makeBindMount, sourceKind } from './rootfs/bind-source.ts';
import { findNamespace, type PlanContext } from './base/context.ts';
import { deviceKey, listDevices } from './rootfs/device-nodes.ts';
import { makesDevices, mustBindDevices } from './rootfs/devices.ts';
import { overlayProblem } from './rootfs/overlay.ts';
import { S_IFIFO } from '../util/constants.ts';
import { wording } from '../util/wording.ts';

/**
 * What a config asks for that only a look at the host can refuse, all of it at once, as a user wants to mend it in one go.
 *
 * Errors: `bundle`.
 */
export function refuseOnThisHost(context: PlanContext): void {
  const issues = [
    missingSources,
    strippedDestinations,
    missingNamespaces,
    sharedUserNamespace,
    sharedNetworkSysctl,
    netDevices,
    intelRdt,
    missingDevices,
    layers,
  ].flatMap((rule) => rule(context));
  if (issues.length > 0) throw new TsrunError('bundle', describeIssues('invalid bundle', issues), { issues });
}

function missingSources({ config, bundle }: PlanContext): Issue[] {
  return (config.mounts ?? []).flatMap((mount, index) => {
    if (!isBindMount(mount) || mount.options?.includes('remount') === true) return [];
    const bind = makeBindMount({ bundle }, mount, index);
    const pointer = `/mounts/${index}/source`;
    const shown = JSON.stringify(bind.source);
    if (bind.inRootfs !== undefined) {
      if (bind.copiedLink === undefined) return [];
      // Its text would be read by way of the image's other symlinks, which may lead to the host.
      return [{ pointer, message: `${shown} is a symlink inside the rootfs, wanted one of the host to copy` }];
    }
    if (sourceKind(bundle, bind) !== 'missing') return [];
    return [{ pointer, message: `${shown} does not exist: ${wording.ENOENT}` }];
  });
}

/** A destination may have named the rootfs' place on the host, which the validator of the config does not know. */
function strippedDestinations({ config }: PlanContext): Issue[] {
  return [...checkMountOnRoot(config), ...checkProcMounts(config)];
}

function missingNamespaces({ config, bundle }: PlanContext): Issue[] {
  return (config.linux?.namespaces ?? []).flatMap(({ type, path = '' }, index) => {
    if (bundle.namespaces[path] !== 'missing') return [];
    const message = `${type} namespace ${JSON.stringify(path)} does not exist: ${wording.ENOENT}`;
    return [{ pointer: `/linux/namespaces/${index}/path`, message }];
  });
}

/** man 2 setns: a process cannot enter the user namespace that it is in. */
function sharedUserNamespace({ config, bundle, host }: PlanContext): Issue[] {
  return (config.linux?.namespaces ?? []).flatMap(({ type, path = '' }, index) => {
    if (type !== 'user' || path === '' || bundle.namespaces[path] !== host.namespaces['user']) return [];
    const message = `${JSON.stringify(path)} is the user namespace that tsrun is in, wanted another or no entry`;
    return [{ pointer: `/linux/namespaces/${index}/path`, message }];
  });
}

/** A network namespace that is the host's own under another name would let net.* sysctls change the host. */
function sharedNetworkSysctl({ config, bundle, host }: PlanContext): Issue[] {
  const path = findNamespace(config, 'network')?.path ?? '';
  if (path === '' || bundle.namespaces[path] !== host.namespaces['net']) return [];
  return Object.keys(config.linux?.sysctl ?? {})
    .filter((key) => sysctlPath(key).startsWith('net/'))
    .map((key) => ({
      pointer: pointerTo('/linux/sysctl', key),
      message: `sysctl ${JSON.stringify(key)} not allowed in the network namespace of the host`,
    }));
}

/** Devices can be moved only by one who rules the host's network, and only away from it. */
function netDevices({ config, bundle, host }: PlanContext): Issue[] {
  if (Object.keys(config.linux?.netDevices ?? {}).length === 0) return [];
  const pointer = '/linux/netDevices';
  if (host.identity.euid !== 0)
    return [
      { pointer, message: 'network devices of the host can be moved by root alone: not in a rootless container' },
    ];
  const namespace = findNamespace(config, 'network');
  if (namespace !== undefined && bundle.namespaces[namespace.path ?? ''] !== host.namespaces['net']) return [];
  return [{ pointer, message: 'network devices need a network namespace other than that of the host' }];
}

/** config-linux.md, "IntelRdt": without the file system of the kernel there is nothing to apply it to. */
function intelRdt({ config, bundle }: PlanContext): Issue[] {
  if (config.linux?.intelRdt === undefined || bundle.resctrl !== undefined) return [];
  return [{ pointer: '/linux/intelRdt', message: 'resctrl is not mounted' }];
}

/** A layer is mounted where nobody else sees it, by whoever may. */
function layers({ config, host, options }: PlanContext): Issue[] {
  const { overlay } = options;
  const problem = overlay === undefined ? undefined : overlayProblem(config, host, overlay);
  return problem === undefined ? [] : [{ pointer: '', message: problem }];
}

/** Where no device can be made it has to be one of the host's, by type and numbers. */
function missingDevices(context: PlanContext): Issue[] {
  const { config, bundle } = context;
  if (bundle.devices === undefined || !makesDevices(context) || !mustBindDevices(context)) return [];
  return listDevices(config).flatMap((node) => {
    const key = deviceKey(node);
    if (node.pointer === undefined || node.fileType === S_IFIFO || bundle.devices?.[key] !== undefined) return [];
    const message = `the host has no device ${JSON.stringify(key)} below "/dev", and in a user namespace none can be made`;
    return [{ pointer: node.pointer, message }];
  });
}
