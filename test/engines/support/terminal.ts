import type { CommandOptions, CommandResult } from '../../live/support/command.ts';
import type { Surroundings } from './surroundings.ts';

export interface TerminalOptions extends CommandOptions {
  readonly rows: number;
  readonly columns: number;
}

/**
 * Runs a command inside on a new pseudo terminal (script(1)), with a size. Standard input is what is typed; standard output is what
 * the terminal shows, without its carriage returns; the exit code is the command's.
 */
export async function underTerminal(
  inside: Surroundings,
  argv: readonly string[],
  { rows, columns, ...options }: TerminalOptions,
): Promise<CommandResult> {
  const command = `stty rows ${rows} cols ${columns}; exec ${argv.map(quote).join(' ')}`;
  const result = await inside.run(['script', '--quiet', '--return', '--command', command, '/dev/null'], {
    ...options,
    env: { TERM: 'xterm', SHELL: '/bin/sh', ...options.env },
  });
  return { ...result, stdout: result.stdout.replaceAll('\r', '') };
}

/** A word of a shell's command line. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
