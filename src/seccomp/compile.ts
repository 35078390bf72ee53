import { TsrunError } from '../errors.ts';
import type { Log } from '../log.ts';
import { INSTRUCTION_SIZE, INSTRUCTIONS_MAX, prependEnosys, type LastCall } from '../plan/seccomp/enosys.ts';
import type { FilterRules } from '../plan/seccomp/filter.ts';
import { Stretch } from '../sys/events/stretch.ts';
import { architectureToken, callNumber, nativeCallNumber, SeccompFilter } from '../sys/libseccomp.ts';

/**
 * The BPF program of a filter, through libseccomp: struct sock_filter[], 8 bytes each.
 *
 * Names that libseccomp does not know are left out: no process can make such a call and mean it (a log line at debug level).
 * Errors: `host` without libseccomp, and for what it cannot compile; `unsupported` for an architecture that it does not have and
 * for a filter that is longer than seccomp(2) takes.
 */
export async function compileFilter(rules: FilterRules, log: Log): Promise<Uint8Array> {
  const tokens = rules.architectures.map(requireToken);
  using filter = new SeccompFilter(rules.defaultAction);
  for (const token of tokens) filter.addArchitecture(token);
  if (rules.isTree) filter.buildTree();
  const stretch = new Stretch();
  for (const { syscall, action, conditions } of rules.rules) {
    await stretch.rest();
    const number = nativeCallNumber(syscall);
    if (number === undefined) log.debug(`seccomp: unknown system call ${JSON.stringify(syscall)} is ignored`);
    else filter.addRule({ number, action, conditions }, JSON.stringify(syscall));
  }
  await stretch.rest();
  const program = prependEnosys(filter.export(), lastCalls(tokens, rules.known));
  const count = program.length / INSTRUCTION_SIZE;
  if (count > INSTRUCTIONS_MAX) {
    const found = `the seccomp filter has ${count} instructions, the kernel takes ${INSTRUCTIONS_MAX}`;
    throw new TsrunError('unsupported', found, { pointer: '/linux/seccomp' });
  }
  return program;
}

function requireToken(name: string): number {
  const token = architectureToken(name);
  if (token !== undefined) return token;
  const shown = JSON.stringify(`SCMP_ARCH_${name.toUpperCase()}`);
  throw new TsrunError('unsupported', `this libseccomp does not know architecture ${shown}`, {
    pointer: '/linux/seccomp/architectures',
  });
}

/** The highest number among the calls that the profile knows, for each architecture that has any of them. */
function lastCalls(tokens: readonly number[], known: readonly string[]): LastCall[] {
  return tokens.flatMap((token) => {
    const numbers = known.flatMap((name) => callNumber(token, name) ?? []);
    return numbers.length === 0 ? [] : [{ token, number: Math.max(...numbers) }];
  });
}
