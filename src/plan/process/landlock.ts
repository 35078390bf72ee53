import { TsrunError } from '../../errors.ts';
import { at, call, failWhen, isNegative, unless, when, words } from '../../program/build.ts';
import type { Block, Region, Step } from '../../program/step.ts';
import { LANDLOCK_ANNOTATION, readLandlock, type LandlockPaths } from '../../spec/landlock.ts';
import { pointerTo } from '../../spec/pointer.ts';
import type { PlanContext } from '../base/context.ts';
import { closeWord, isDirectory, openInRoot, statHandle } from '../base/handles.ts';
import { F_DUPFD_CLOEXEC, LANDLOCK_RULE_PATH_BENEATH } from '../../util/constants.ts';

/**
 * Landlock: the program, and everything that it starts, reaches only the paths of the annotation `run.tsrun.landlock`, whatever
 * the permissions of files and its capabilities say. Source: man 7 landlock, include/uapi/linux/landlock.h.
 */

const EXECUTE = 1 << 0;
const WRITE_FILE = 1 << 1;
const READ_FILE = 1 << 2;
const READ_DIR = 1 << 3;
/** Remove and make entries of every type, and (since Linux 5.19) link or rename from one directory to another. */
const CHANGE_DIR = 0x3ff0;
const TRUNCATE = 1 << 14;
/** ioctl(2) of devices, since Linux 6.10. */
const IOCTL_DEV = 1 << 15;
/** The rights that a rule for what is no directory may name. */
const FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const POINTER = pointerTo('/annotations', LANDLOCK_ANNOTATION);

/**
 * Confines the process to the paths of the annotation; nothing without it. It comes while the process has all its rights, which
 * the kernel asks for unless no_new_privs is set, and after the last mount, which it would refuse.
 *
 * Throws a TsrunError `unsupported` for kernels before 6.2: there, files that may only be read could be truncated.
 */
export function planLandlock(context: PlanContext): Step[] {
  const paths = readLandlock(context.config.annotations);
  if (typeof paths !== 'object') return [];
  const [major, minor] = context.host.kernel.version;
  if (major < 6 || (major === 6 && minor < 2)) {
    const found = `this is Linux ${major}.${minor}, Landlock needs 6.2`;
    throw new TsrunError('unsupported', `${found} (${POINTER} of config.json)`);
  }
  const handled = major > 6 || minor >= 10 ? 0xffff : 0x7fff;
  const ruleset = context.memory.word('ruleset');
  return [
    ...makeRuleset(ruleset, handled),
    ...rulesOf(paths).flatMap((rule) => allow(context, ruleset, { ...rule, rights: rule.rights & handled })),
    call('landlock_restrict_self', [ruleset, 0], { label: 'confine the process with Landlock', pointer: POINTER }),
    closeWord(ruleset),
  ];
}

function makeRuleset(ruleset: Region, handled: number): Step[] {
  const options = { label: 'make a Landlock ruleset', pointer: POINTER };
  const attributes = words([handled], `{handled_access_fs=0x${handled.toString(16)}}`);
  return [
    call('landlock_create_ruleset', [attributes, attributes.bytes.length, 0], {
      ...options,
      result: ruleset,
      accept: ['ENOSYS', 'EOPNOTSUPP'],
    }),
    failWhen(isNegative(ruleset), 'EOPNOTSUPP', {
      ...options,
      failure: 'make a Landlock ruleset: {errno}: this kernel has no Landlock, or it is not among those of lsm=',
    }),
  ];
}

interface Rule {
  readonly path: string;
  readonly rights: number;
  readonly verb: keyof LandlockPaths;
}

function rulesOf(paths: LandlockPaths): Rule[] {
  const read = READ_FILE | READ_DIR;
  const rights = {
    read,
    execute: read | EXECUTE,
    write: read | WRITE_FILE | CHANGE_DIR | TRUNCATE | IOCTL_DEV,
  };
  const verbs = ['read', 'execute', 'write'] as const;
  return verbs.flatMap((verb) => paths[verb].map((path) => ({ path, rights: rights[verb], verb })));
}

/** The kernel refuses rights that only directories have for anything else: EINVAL. */
function allow(context: PlanContext, ruleset: Region, { path, rights, verb }: Rule): Step[] {
  const { target } = context.words;
  const label = `allow to ${verb} ${JSON.stringify(path)}`;
  return [
    ...openInRoot(context, path, target, { label, pointer: POINTER }),
    statHandle(context, target, `look at ${JSON.stringify(path)}`),
    ...when(isDirectory(context), addRule(context, ruleset, { label, rights }), 'with all rights for a directory'),
    ...unless(
      isDirectory(context),
      addRule(context, ruleset, { label, rights: rights & FILE_RIGHTS }),
      'with those of a file',
    ),
    closeWord(target),
  ];
}

function addRule({ words: { target } }: PlanContext, ruleset: Region, rule: { label: string; rights: number }): Step[] {
  const { label, rights } = rule;
  // struct landlock_path_beneath_attr, packed: u64 allowed_access, s32 parent_fd. The kernel does not look at the four bytes behind.
  const attributes: Block = words([rights, 0], `{allowed_access=0x${rights.toString(16)}, parent_fd}`);
  const parent = at(attributes, 8);
  return [
    call('fcntl', [target, F_DUPFD_CLOEXEC, 0], { label: 'put the handle into the rule', result: parent }),
    call('landlock_add_rule', [ruleset, LANDLOCK_RULE_PATH_BENEATH, attributes, 0], { label, pointer: POINTER }),
    call('close', [parent], { label: 'close the handle in the rule', accept: 'any' }),
  ];
}
