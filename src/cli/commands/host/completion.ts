import { TsrunError } from '../../../errors.ts';
import { defineCommand } from '../../command.ts';
import { completionScript, type CompletedCommand, type Shell } from '../../completion.ts';
import { globalOptionTable } from '../../options/global.ts';

/** `tsrun completion`: a script that teaches a shell the commands and options. */
export const command = defineCommand({
  name: 'completion',
  description: 'print a script with which a shell completes tsrun',
  usage: '[SHELL]',
  positionals: { minimum: 0, maximum: 1 },
  options: { shell: { type: 'string', short: 's', placeholder: 'SHELL', description: 'bash, zsh or fish' } },
  async run({ values, positionals: [word = ''] }, { surroundings, commandTable }) {
    const shell = readShell(values.shell ?? word);
    const commands: Record<string, CompletedCommand> = {};
    for (const [name, entry] of Object.entries(commandTable)) {
      const { description, options, usage } = (await entry.load()).command;
      commands[name] = { description, options, takesId: usage.startsWith('ID') };
    }
    surroundings.writeStdout(completionScript(shell, { options: globalOptionTable, commands }));
    return 0;
  },
});

function readShell(text: string): Shell {
  if (text === 'bash' || text === 'zsh' || text === 'fish') return text;
  throw new TsrunError('usage', `invalid shell ${JSON.stringify(text)}: wanted bash, zsh or fish`);
}
