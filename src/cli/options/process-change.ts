import { TsrunError } from '../../errors.ts';
import type { ProcessChange } from '../../container/store/options.ts';
import type { OptionTable, OptionValues } from './table.ts';
import { absolutePath, type Surroundings } from '../surroundings.ts';
import { invalidValue, readId, readUserOrName } from './values.ts';
import { wording } from '../../util/wording.ts';

/** The options of `exec` that say what to run. */
export const processOptions = {
  process: { type: 'string', short: 'p', placeholder: 'FILE', description: 'JSON file with the whole process' },
  cwd: { type: 'string', placeholder: 'DIR', values: [], description: 'working directory in the container' },
  env: {
    type: 'strings',
    short: 'e',
    placeholder: 'NAME[=VALUE]',
    description: 'add to the environment; without a value, what tsrun itself has',
  },
  tty: { type: 'boolean', short: 't', description: 'give the program a terminal' },
  interactive: { type: 'boolean', short: 'i', description: 'no effect: the program always has the standard input' },
  user: {
    type: 'string',
    short: 'u',
    placeholder: 'USER[:GROUP]',
    values: [],
    description: 'user and group, as numbers or as the container names them; a name brings its groups',
  },
  'additional-gids': { type: 'strings', short: 'g', placeholder: 'GID', description: 'add a group' },
  'process-label': { type: 'string', placeholder: 'LABEL', description: 'SELinux label of the program' },
  apparmor: { type: 'string', placeholder: 'PROFILE', description: 'AppArmor profile of the program' },
  'no-new-privs': { type: 'boolean', description: 'whether the program may gain privileges no more' },
  cap: { type: 'strings', short: 'c', placeholder: 'CAP', description: 'add a capability' },
} as const satisfies OptionTable;

/**
 * How the process of `exec` differs from the container's own.
 *
 * With a document the other options count for nothing, because conmon gives `--tty` beside `--process`, and a command behind the
 * id as little, as with the peers. Errors: `usage`; `config` when the document cannot be read.
 */
export function readProcessChange(
  values: OptionValues<typeof processOptions>,
  { args, surroundings }: { args: readonly string[]; surroundings: Surroundings },
): ProcessChange {
  const path = absolutePath(values.process, surroundings);
  if (path === undefined) return changeByOptions(values, { args, surroundings });
  return { kind: 'document', path, text: readDocument(path, surroundings) };
}

function readDocument(path: string, surroundings: Surroundings): string {
  try {
    return surroundings.readFile(path);
  } catch (error) {
    throw TsrunError.of('config', `read process document ${JSON.stringify(path)}`, error);
  }
}

function changeByOptions(
  values: OptionValues<typeof processOptions>,
  { args, surroundings }: { args: readonly string[]; surroundings: Surroundings },
): ProcessChange {
  if (args.length === 0) throw new TsrunError('usage', wording.noArgsForExec);
  const { cwd, user, apparmor } = values;
  const label = values['process-label'];
  const noNewPrivileges = values['no-new-privs'];
  return {
    kind: 'options',
    args,
    env: values.env.flatMap((entry) => readEnv(entry, surroundings)),
    terminal: values.tty === true,
    additionalGids: values['additional-gids'].map((gid) => readId(gid, 'additional-gids')),
    capabilities: values.cap,
    ...(isGiven(cwd) && { cwd }),
    ...(isGiven(user) && { user: readUserOrName(user) }),
    ...(noNewPrivileges !== undefined && { noNewPrivileges }),
    ...(isGiven(apparmor) && { apparmorProfile: apparmor }),
    ...(isGiven(label) && { selinuxLabel: label }),
  };
}

/** A name alone stands for what the caller has; nothing where that has none. Errors: `usage`. */
function readEnv(entry: string, { environment }: Surroundings): string[] {
  const equals = entry.indexOf('=');
  if (equals > 0) return [entry];
  if (entry === '' || equals === 0) throw invalidValue(entry, 'env', 'NAME=VALUE or NAME');
  const value = Object.hasOwn(environment, entry) ? environment[entry] : undefined;
  return value === undefined ? [] : [`${entry}=${value}`];
}

// runc cannot tell an empty value from none, and so callers may give one.
function isGiven(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}
