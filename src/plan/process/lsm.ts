import { TsrunError } from '../../errors.ts';
import { call, isNegative, unless, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import type { Process } from '../../spec/generated/config.ts';
import type { Errno } from '../../util/errno.ts';
import type { PlanContext } from '../base/context.ts';
import { openProcFile, writeProcFile } from '../base/proc-file.ts';
import { withHandle } from '../base/with-handle.ts';

/**
 * config.md, "Linux Process": `apparmorProfile` and `selinuxLabel`. Both are written to files of the process's own below
 * /proc, by way of `thread-self`; the kernel reads them at execve(2).
 */

/**
 * Has the program run under an AppArmor profile.
 *
 * Throws a TsrunError `unsupported` when the host runs without AppArmor; `unconfined` is what it has then.
 * Source: apparmor(7); the file of its own below attr/ is there since Linux 5.8, and only where several LSMs can be stacked.
 */
export function planApparmor(context: PlanContext, { apparmorProfile: profile = '' }: Process): Step[] {
  const isEnabled = context.host.lsm.apparmor;
  if (profile === '' || (profile === 'unconfined' && !isEnabled)) return [];
  const pointer = '/process/apparmorProfile';
  const shown = JSON.stringify(profile);
  if (!isEnabled) throw missing('AppArmor', { pointer, shown, what: 'profile' });
  const options = (file: string) => ({
    label: `apply AppArmor profile ${shown}`,
    pointer,
    failure: `apparmor failed to apply profile ${shown}: write /proc/thread-self/attr/${file}: {errno}`,
  });
  const open = (target: Region, file: string, accept: readonly Errno[]) =>
    openProcFile(context, `thread-self/attr/${file}`, target, { ...options(file), follow: true, accept });
  const write = (target: Region, file: string) => writeProcFile(target, `exec ${profile}`, options(file));
  const openEither = (target: Region): Step[] => {
    const isMissing = isNegative(target);
    return [
      open(target, 'apparmor/exec', ['ENOENT']),
      ...unless(isMissing, [write(target, 'apparmor/exec')], 'use attr/apparmor/exec when the kernel has it'),
      ...when(isMissing, [open(target, 'exec', []), write(target, 'exec')], 'use attr/exec otherwise'),
    ];
  };
  return withHandle(context, { name: 'attribute', open: openEither }, () => []);
}

/** Has the program run with an SELinux label. Throws a TsrunError `unsupported` when the host runs without SELinux. */
export function planSelinux(context: PlanContext, process: Process): Step[] {
  return writeLabel(context, process, { file: 'exec', label: 'apply SELinux label' });
}

/**
 * Has keys that the process makes from here on, such as its session keyring, labelled as the program is.
 * Throws a TsrunError `unsupported` when the host runs without SELinux.
 */
export function planSelinuxKeyLabel(context: PlanContext, process: Process): Step[] {
  return writeLabel(context, process, { file: 'keycreate', label: 'label new keys' });
}

/** Ends `planSelinuxKeyLabel`. */
export function planSelinuxKeyLabelEnd(context: PlanContext, { selinuxLabel = '' }: Process): Step[] {
  if (selinuxLabel === '') return [];
  const options = { label: 'end labelling new keys', pointer: '/process/selinuxLabel' };
  const open = (file: Region): Step[] => [
    openProcFile(context, 'thread-self/attr/keycreate', file, { ...options, follow: true }),
  ];
  return withHandle(context, { name: 'attribute', open }, (file) => [
    // A single NUL resets the attribute (selinux_lsm_setattr() of security/selinux/hooks.c); an empty text ends in one.
    call('write', [file, '', 1], options),
  ]);
}

interface LabelFile {
  readonly file: 'exec' | 'keycreate';
  readonly label: string;
}

function writeLabel(context: PlanContext, { selinuxLabel = '' }: Process, { file, label }: LabelFile): Step[] {
  if (selinuxLabel === '') return [];
  const pointer = '/process/selinuxLabel';
  const shown = JSON.stringify(selinuxLabel);
  if (!context.host.lsm.selinux) throw missing('SELinux', { pointer, shown, what: 'label' });
  const options = { label: `${label} ${shown}`, pointer };
  const open = (target: Region): Step[] => [
    openProcFile(context, `thread-self/attr/${file}`, target, { ...options, follow: true }),
  ];
  return withHandle(context, { name: 'attribute', open }, (target) => [writeProcFile(target, selinuxLabel, options)]);
}

interface Wanted {
  readonly pointer: string;
  readonly shown: string;
  readonly what: 'profile' | 'label';
}

function missing(lsm: 'AppArmor' | 'SELinux', { pointer, shown, what }: Wanted): TsrunError {
  const message = `apply ${lsm} ${what} ${shown}: ${lsm} is not enabled on this host`;
  return new TsrunError('unsupported', message, { pointer });
}
