import yargs, { type Argv } from 'yargs';
import { usageLine, type Command, type Example } from './command.ts';
import { commandTable } from './command-table.ts';
import { EXAMPLES, EXIT_CODES, TERMS } from './help-texts.ts';
import { globalOptionTable } from './options/global.ts';
import { describeOption, type OptionTable } from './options/table.ts';

/** Where there is no terminal; and lines that are longer are hard to read on any. */
const WIDEST = 100;
/** Narrower than this a table has no room. */
const NARROWEST = 40;

/** How a help text is set. */
export interface HelpLayout {
  /** Characters in a line of the terminal. Default: no terminal. */
  readonly columns?: number | undefined;
}

/** The help text of tsrun itself: all commands and the global options. */
export function globalHelp(layout: HelpLayout = {}): Promise<string> {
  const page = helpPage('tsrun [global options] COMMAND [options] [arguments]', globalOptionTable, layout);
  for (const [name, { description }] of Object.entries(commandTable)) page.command(name, description);
  putExamples(page, EXAMPLES);
  const terms = Object.entries(TERMS).map(([term, text]) => `${term}: ${text}.`);
  page.epilogue(
    [
      ...terms,
      `Exit codes: ${describeExitCodes()}.`,
      '"tsrun help COMMAND" describes a command; "man tsrun" says all of it where the manual pages are installed.',
    ].join('\n\n'),
  );
  return page.getHelp();
}

function describeExitCodes(): string {
  return Object.entries(EXIT_CODES)
    .map(([code, when]) => `${code} (${when})`)
    .join(', ');
}

/** The help text of one command. */
export function commandHelp(command: Command, layout: HelpLayout = {}): Promise<string> {
  const page = helpPage(usageLine(command), { ...command.options, help: globalOptionTable.help }, layout);
  putExamples(page, command.examples ?? []);
  const { notes = [] } = command;
  page.epilogue(
    [...notes, 'The global options stand before the command; "tsrun --help" describes them, ID and bundle.'].join(
      '\n\n',
    ),
  );
  return page.getHelp().then((text) => text.replace('\n\n', `\n\n${command.description}\n\n`));
}

function putExamples(page: Argv, examples: readonly Example[]): void {
  for (const [line, what] of examples) page.example(line, what);
}

function helpPage(usage: string, options: OptionTable, { columns = WIDEST }: HelpLayout): Argv {
  const page = yargs([], '/')
    .scriptName('tsrun')
    .usage(usage)
    .locale('en')
    .help(false)
    .version(false)
    .exitProcess(false)
    .wrap(Math.min(Math.max(columns, NARROWEST), WIDEST))
    .parserConfiguration({ 'boolean-negation': false, 'camel-case-expansion': false });
  for (const [name, spec] of Object.entries(options)) {
    const { short, aliases = [], placeholder, isBare } = spec;
    const described = describeOption(spec);
    const description =
      placeholder === undefined ? described : `${isBare === true ? `[=${placeholder}]` : placeholder}: ${described}`;
    const alias = [...(short === undefined ? [] : [short]), ...aliases];
    page.option(name, { description, ...(alias.length > 0 && { alias }) });
  }
  return page;
}
