import { TsrunError } from '../../errors.ts';
import { at, call, failWhen, isNegative, unless, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import { configAnnotations } from '../../spec/annotations.ts';
import { readLandlock, type LandlockPaths } from '../../spec/landlock.ts';
import { pointerTo } from '../../spec/pointer.ts';
import type { PlanContext } from '../base/context.ts';
import { isDirectory, openInRoot, statHandle } from '../base/handles.ts';
import { withHandle } from '../base/with-handle.ts';
import {
  F_DUPFD_CLOEXEC,
  LANDLOCK_ACCESS_FS_EXECUTE,
  LANDLOCK_ACCESS_FS_IOCTL_DEV,
  LANDLOCK_ACCESS_FS_READ_DIR,
  LANDLOCK_ACCESS_FS_READ_FILE,
  LANDLOCK_ACCESS_FS_TRUNCATE,
  LANDLOCK_ACCESS_FS_WRITE_FILE,
  LANDLOCK_RULE_PATH_BENEATH,
} from '../../util/constants.ts';
import { PATH_BENEATH_PARENT, landlockPathBeneathAttr, landlockRulesetAttr } from '../../program/structs.ts';

/**
 * Landlock: the program, and everything that it starts, reaches only the paths of the annotation `run.tsrun.landlock`, whatever
 * the permissions of files and its capabilities say. Source: man 7 landlock, include/uapi/linux/landlock.h.
 */

/** Remove and make entries of every type, and (since Linux 5.19) link or rename from one directory to another. */
const CHANGE_DIR = 0x3ff0;
/** The rights that a rule for what is no directory may name. */
const FILE_RIGHTS =
  LANDLOCK_ACCESS_FS_EXECUTE |
  LANDLOCK_ACCESS_FS_WRITE_FILE |
  LANDLOCK_ACCESS_FS_READ_FILE |
  LANDLOCK_ACCESS_FS_TRUNCATE |
  LANDLOCK_ACCESS_FS_IOCTL_DEV;

const POINTER = pointerTo('/annotations', configAnnotations.landlock);

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
    throw new TsrunError('unsupported', found, { pointer: POINTER });
  }
  const handled = major > 6 || minor >= 10 ? 0xffff : 0x7fff;
  return withHandle(context, { name: 'ruleset', open: (ruleset) => makeRuleset(ruleset, handled) }, (ruleset) => [
    ...rulesOf(paths).flatMap((rule) => allow(context, ruleset, { ...rule, rights: rule.rights & handled })),
    call('landlock_restrict_self', [ruleset, 0], { label: 'confine the process with Landlock', pointer: POINTER }),
  ]);
}

function makeRuleset(ruleset: Region, handled: number): Step[] {
  const options = { label: 'make a Landlock ruleset', pointer: POINTER };
  const attributes = landlockRulesetAttr(handled);
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
  const read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
  const rights = {
    read,
    execute: read | LANDLOCK_ACCESS_FS_EXECUTE,
    write:
      read | LANDLOCK_ACCESS_FS_WRITE_FILE | CHANGE_DIR | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_IOCTL_DEV,
  };
  const verbs = ['read', 'execute', 'write'] as const;
  return verbs.flatMap((verb) => paths[verb].map((path) => ({ path, rights: rights[verb], verb })));
}

/** The kernel refuses rights that only directories have for anything else: EINVAL. */
function allow(context: PlanContext, ruleset: Region, { path, rights, verb }: Rule): Step[] {
  const label = `allow to ${verb} ${JSON.stringify(path)}`;
  const open = (target: Region): Step[] => openInRoot(context, path, target, { label, pointer: POINTER });
  return withHandle(context, { name: 'target', open }, (target) => {
    const handles = { ruleset, target };
    return [
      statHandle(context, target, `look at ${JSON.stringify(path)}`),
      ...when(isDirectory(context), addRule(handles, { label, rights }), 'with all rights for a directory'),
      ...unless(
        isDirectory(context),
        addRule(handles, { label, rights: rights & FILE_RIGHTS }),
        'with those of a file',
      ),
    ];
  });
}

interface RuleHandles {
  readonly ruleset: Region;
  /** What the rule is about. */
  readonly target: Region;
}

function addRule({ ruleset, target }: RuleHandles, { label, rights }: { label: string; rights: number }): Step[] {
  const attributes = landlockPathBeneathAttr(rights);
  const parent = at(attributes, PATH_BENEATH_PARENT);
  return [
    call('fcntl', [target, F_DUPFD_CLOEXEC, 0], { label: 'put the handle into the rule', result: parent }),
    call('landlock_add_rule', [ruleset, LANDLOCK_RULE_PATH_BENEATH, attributes, 0], { label, pointer: POINTER }),
    call('close', [parent], { label: 'close the handle in the rule', accept: 'any' }),
  ];
}
