import yargs, { type Argv } from 'yargs';
import type { Command } from './command.ts';
import { commandTable } from './command-table.ts';
import { globalOptionTable } from './options/global.ts';
import type { OptionTable } from './options/table.ts';

// The same text on every terminal and in every log.
const lineWidth = 100;

/** The help text of tsrun itself: all commands and the global options. */
export function globalHelp(): Promise<string> {
  const page = helpPage('tsrun [global options] COMMAND [options] [arguments]', globalOptionTable);
  for (const [name, { description }] of Object.entries(commandTable)) page.command(name, description);
  page.epilogue('"tsrun COMMAND --help" describes a command.');
  return page.getHelp();
}

/** The help text of one command. */
export function commandHelp(command: Command): Promise<string> {
  const page = helpPage(usageLine(command), { ...command.options, help: globalOptionTable.help });
  page.epilogue('The global options stand before the command; "tsrun --help" describes them.');
  return page.getHelp().then((text) => text.replace('\n\n', `\n\n${command.description}\n\n`));
}

/** How a command is called, such as `tsrun kill [options] ID [SIGNAL]`. */
export function usageLine({ name, usage, options }: Command): string {
  const parts = ['tsrun', name, Object.keys(options).length > 0 ? '[options]' : '', usage];
  return parts.filter((part) => part !== '').join(' ');
}

function helpPage(usage: string, options: OptionTable): Argv {
  const page = yargs([], '/')
    .scriptName('tsrun')
    .usage(usage)
    .locale('en')
    .help(false)
    .version(false)
    .exitProcess(false)
    .wrap(lineWidth)
    .parserConfiguration({ 'boolean-negation': false, 'camel-case-expansion': false });
  for (const [name, { short, aliases = [], description, placeholder }] of Object.entries(options)) {
    const text = placeholder === undefined ? description : `${placeholder}: ${description}`;
    const alias = [...(short === undefined ? [] : [short]), ...aliases];
    page.option(name, { description: text, ...(alias.length > 0 && { alias }) });
  }
  return page;
}
