import { TsrunError } from '../../../errors.ts';
import { wording } from '../../../util/wording.ts';
import { ArgumentError } from '../../argument-error.ts';
import { completeLine, type Completion, type OfferedWord } from '../../complete.ts';
import { completionScript, DIRECTORIES, FILES, SHELLS, type Shell } from '../../completion.ts';
import { defineCommand, type Command, type CommandContext } from '../../command.ts';
import { globalOptionTable, readCommandLine } from '../../options/global.ts';

/** `tsrun completion`: a script that teaches a shell to complete command lines, and what it asks then. */
export const command = defineCommand({
  name: 'completion',
  description: 'print a script with which a shell completes tsrun',
  usage: '[SHELL]',
  positionals: { minimum: 0, maximum: Number.POSITIVE_INFINITY },
  offers: [{ words: SHELLS }],
  options: {
    shell: { type: 'string', short: 's', placeholder: 'SHELL', values: SHELLS, description: 'bash, zsh or fish' },
    words: { type: 'boolean', description: 'for the script: what could stand in the place of the last argument' },
  },
  examples: [
    ['source <(tsrun completion bash)', 'in ~/.bashrc'],
    ['source <(tsrun completion zsh)', 'in ~/.zshrc, after compinit'],
    ['tsrun completion fish | source', 'in ~/.config/fish/config.fish'],
  ],
  async run({ values, positionals }, context) {
    const { surroundings } = context;
    if (values.words !== true && positionals.length > 1)
      throw new ArgumentError(wording.wrongCount('completion', 'a maximum of 1'));
    surroundings.writeStdout(
      values.words === true
        ? await offer(positionals, context)
        : completionScript(readShell(values.shell ?? positionals[0] ?? '')),
    );
    return 0;
  },
});

async function offer(line: readonly string[], context: CommandContext): Promise<string> {
  const commands: Record<string, Command> = {};
  for (const [name, entry] of Object.entries(context.commandTable)) commands[name] = (await entry.load()).command;
  const { completion, globalArguments } = completeLine(line, { options: globalOptionTable, commands });
  switch (completion.kind) {
    case 'files':
      return `${FILES}\n`;
    case 'directories':
      return `${DIRECTORIES}\n`;
    case 'words':
      return listWords(completion.words);
    case 'ids':
      return listWords(await offerIds(completion, { ...context, globalArguments }, line.at(-1) ?? ''));
  }
}

interface IdContext extends CommandContext {
  readonly globalArguments: readonly string[];
}

async function offerIds(
  { statuses, except = [] }: Extract<Completion, { kind: 'ids' }>,
  { runtime, surroundings, operations, globalArguments }: IdContext,
  last: string,
): Promise<OfferedWord[]> {
  const { root } = readCommandLine(globalArguments, surroundings).global;
  const containers = await operations.listContainers({ ...runtime, root }, { requireRoot: false });
  return containers
    .filter(({ id, status }) => statuses.includes(status) && id.startsWith(last) && !except.includes(id))
    .map(({ id, status }) => ({ word: id, description: status }));
}

function listWords(words: readonly OfferedWord[]): string {
  return words
    .map(({ word, description }) => `${word}${description === undefined ? '' : `\t${description}`}\n`)
    .join('');
}

function readShell(text: string): Shell {
  const shell = SHELLS.find((one) => one === text);
  if (shell !== undefined) return shell;
  throw new TsrunError('usage', `invalid shell ${JSON.stringify(text)}: wanted bash, zsh or fish`);
}
