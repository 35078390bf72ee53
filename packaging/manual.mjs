/**
 * Makes the manual pages of `dist/man` from the tables that the help texts are made of, part of `npm run build`: one of tsrun, one of
 * each command, and one of containerd's shim.
 */
import * as fs from 'node:fs';
import path from 'node:path';
import { commandTable } from '../dist/lib/cli/command-table.js';
import { usageLine } from '../dist/lib/cli/command.js';
import { EXAMPLES, EXIT_CODES, TERMS } from '../dist/lib/cli/help-texts.js';
import { globalOptionTable } from '../dist/lib/cli/options/global.js';
import { describeOption } from '../dist/lib/cli/options/table.js';
import { describeBuild, timeOfBuild } from './build-info.mjs';

/**
 * @typedef {import('../dist/lib/cli/command.js').Command} Command
 * @typedef {import('../dist/lib/cli/command.js').Example} Example
 * @typedef {import('../dist/lib/cli/options/table.js').OptionTable} OptionTable
 * @typedef {{ name: string, summary: string, body: readonly string[] }} Page
 */

const SHIM = 'containerd-shim-tsrun-v2';

/** @param {string} directory */
export async function makeManual(directory) {
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  const commands = await Promise.all(Object.values(commandTable).map(async (entry) => (await entry.load()).command));
  const pages = [mainPage(commands), ...commands.map(commandPage), shimPage()];
  for (const page of pages) fs.writeFileSync(path.join(directory, `${page.name}.1`), render(page));
}

/**
 * @param {readonly Command[]} commands
 * @returns {Page}
 */
function mainPage(commands) {
  return {
    name: 'tsrun',
    summary: 'run OCI containers',
    body: [
      ...section('SYNOPSIS', [synopsis('tsrun [global options] COMMAND [options] [arguments]')]),
      ...section('DESCRIPTION', [
        text('tsrun is an OCI runtime: it makes containers of bundles, as runc(1) does, for people and for engines.'),
        ...Object.entries(TERMS).flatMap(([term, meaning]) => item(bold(term), meaning)),
      ]),
      ...section(
        'COMMANDS',
        commands.flatMap(({ name, description }) => item(`${bold(`tsrun\\-${name}`)}(1)`, description)),
      ),
      ...section('OPTIONS', describeOptions(globalOptionTable)),
      ...section(
        'EXIT STATUS',
        Object.entries(EXIT_CODES).flatMap(([code, when]) => item(escape(code), when)),
      ),
      ...section('EXAMPLES', showExamples(EXAMPLES)),
      ...section('SEE ALSO', [
        `${bold('runc')}(8), ${bold('crun')}(1), ${bold('podman')}(1), ${bold(escape(SHIM))}(1)`,
      ]),
    ],
  };
}

/**
 * @param {Command} command
 * @returns {Page}
 */
function commandPage(command) {
  const { name, description, options, examples = [], notes = [] } = command;
  return {
    name: `tsrun-${name}`,
    summary: description,
    body: [
      ...section('SYNOPSIS', [synopsis(usageLine(command).replace('tsrun ', 'tsrun [global options] '))]),
      ...section('DESCRIPTION', [
        text(`${description.charAt(0).toUpperCase()}${description.slice(1)}.`),
        ...notes.flatMap((note) => ['.PP', text(note)]),
        '.PP',
        `The global options, what an ID and a bundle are, and the exit codes are those of ${bold('tsrun')}(1).`,
      ]),
      ...section('OPTIONS', describeOptions({ ...options, help: globalOptionTable.help })),
      ...section('EXAMPLES', showExamples(examples)),
      ...section('SEE ALSO', [`${bold('tsrun')}(1)`]),
    ],
  };
}

/** @returns {Page} */
function shimPage() {
  return {
    name: SHIM,
    summary: "containerd's shim that holds containers itself",
    body: [
      ...section('SYNOPSIS', [bold(escape(SHIM))]),
      ...section('DESCRIPTION', [
        text(
          'containerd starts it for a container or a pod of the runtime type "io.containerd.tsrun.v2", and finds it by its name in its PATH.',
        ),
        '.PP',
        text('Nobody else calls it. It ends with its last container.'),
      ]),
      ...section(
        'EXAMPLES',
        showExamples([
          ['ctr run --rm --runtime io.containerd.tsrun.v2 IMAGE ID COMMAND', 'run a container with it'],
          ['docker run --rm --runtime io.containerd.tsrun.v2 IMAGE', 'the same with docker 23 or later'],
        ]),
      ),
      ...section('SEE ALSO', [`${bold('tsrun')}(1), ${bold('ctr')}(8), ${bold('containerd')}(8)`]),
    ],
  };
}

/** @param {Page} page */
function render({ name, summary, body }) {
  const { version } = describeBuild();
  const date = new Date(timeOfBuild() * 1000).toISOString().slice(0, 10);
  const head = [`.TH "${escape(name.toUpperCase())}" 1 "${date}" "tsrun ${escape(version)}" "tsrun"`];
  return `${[...head, '.SH NAME', `${escape(name)} \\- ${escape(summary)}`, ...body].join('\n')}\n`;
}

/**
 * A section, unless there is nothing to say.
 * @param {string} title
 * @param {readonly string[]} lines
 */
function section(title, lines) {
  return lines.length === 0 ? [] : [`.SH "${title}"`, ...lines];
}

/** @param {string} line */
function synopsis(line) {
  return escape(line).replace(/^tsrun( [a-z]+)?/, (words) => bold(words));
}

/** @param {OptionTable} options */
function describeOptions(options) {
  return Object.entries(options).flatMap(([name, spec]) => {
    const letters = spec.short === undefined ? [] : [`-${spec.short}`];
    const long = [name, ...(spec.aliases ?? [])].map((one) => (one.length === 1 ? `-${one}` : `--${one}`));
    const placeholder = spec.placeholder === undefined ? '' : `\\fI${escape(spec.placeholder)}\\fR`;
    const value = spec.isBare === true ? `[=${placeholder}]` : placeholder === '' ? '' : ` ${placeholder}`;
    return item(`${[...letters, ...long].map((one) => bold(escape(one))).join(', ')}${value}`, describeOption(spec));
  });
}

/** @param {readonly Example[]} examples */
function showExamples(examples) {
  return examples.flatMap(([line, what]) => item(bold(escape(line)), what));
}

/**
 * @param {string} tag in roff
 * @param {string} meaning
 */
function item(tag, meaning) {
  return ['.TP', tag, text(meaning)];
}

/** @param {string} roff */
function bold(roff) {
  return `\\fB${roff}\\fR`;
}

/** @param {string} words */
function text(words) {
  return escape(words).replaceAll(/\b(runc|crun|ps)\((\d)\)/g, '\\fB$1\\fR($2)');
}

/**
 * A text as roff prints it: no character of it is a request, a quote that is set, or a hyphen where a line may be cut.
 * @param {string} words
 */
function escape(words) {
  return words.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq').replace(/^\./, '\\&.');
}
