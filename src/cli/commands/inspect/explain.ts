import { readFileSync, statSync, writeFileSync } from 'node:fs';
import type { ExplainOptions } from '../../../container/store/options.ts';
import { TsrunError } from '../../../errors.ts';
import { ArgumentError } from '../../argument-error.ts';
import { defineCommand, type CommandContext } from '../../command.ts';
import { bundleOptions, readBundleOptions } from '../../options/create.ts';
import { absolutePath } from '../../surroundings.ts';

// Only names the state directory and the cgroup in what is printed.
const exampleId = 'example';

/** The forms that are no summary, of which a command line has at most one. */
const FORMS = ['steps', 'json', 'diff', 'html'] as const;

/** `tsrun explain`: what `create` would do with a bundle, without doing it. */
export const command = defineCommand({
  name: 'explain',
  description: 'print what a container would be, and what creating it would do',
  usage: '[ID]',
  positionals: { minimum: 0, maximum: 1 },
  options: {
    ...bundleOptions,
    steps: { type: 'boolean', description: 'print every step, with its place in config.json' },
    diff: {
      type: 'string',
      placeholder: 'OTHER',
      description: 'print what is not the same with another bundle, or with another config.json for this one',
    },
    html: {
      type: 'string',
      placeholder: 'FILE',
      description: 'write a page for a browser, which needs no network; - is standard output',
    },
    trace: {
      type: 'string',
      placeholder: 'FILE',
      description: 'with --html: show where the time went, from a file of "tsrun --trace FILE run"',
    },
    json: { type: 'boolean', description: 'print every step as JSON' },
  },
  examples: [
    ['tsrun explain --bundle /containers/web', 'the container in a few lines'],
    ['tsrun explain --steps --bundle /containers/web', 'the system calls, with the place of each in config.json'],
    ['tsrun explain --diff config-new.json', 'what another configuration would change'],
    ['tsrun explain --html web.html --trace trace.json', 'a page to look at, with the time of each step'],
  ],
  async run({ values, positionals: [id = exampleId] }, context) {
    const { runtime, surroundings, operations } = context;
    requireOneForm(values);
    const options = readBundleOptions(values, { id, surroundings });
    if (values.diff !== undefined) {
      const other = otherOptions(options, absolutePath(values.diff, surroundings) ?? '');
      surroundings.writeStdout(await operations.compareContainers(runtime, options, other));
    } else if (values.html !== undefined) {
      await writePage(context, options, {
        html: values.html,
        ...(values.trace !== undefined && { trace: values.trace }),
      });
    } else {
      const { summary, text, json } = await operations.explainContainer(runtime, options);
      const shown = values.steps === true ? text : summary;
      surroundings.writeStdout(values.json === true ? `${JSON.stringify(json, undefined, 2)}\n` : shown);
    }
    return 0;
  },
});

function requireOneForm(values: {
  readonly [Form in (typeof FORMS)[number] | 'trace']?: string | boolean | undefined;
}): void {
  const given = FORMS.filter((form) => values[form] !== undefined && values[form] !== false);
  if (given.length > 1) throw new ArgumentError(`--${given.join(' and --')} are different answers: wanted one of them`);
  if (values.trace !== undefined && values.html === undefined)
    throw new ArgumentError('--trace is shown on a page: wanted --html FILE as well');
}

/** A directory is another bundle, a file another configuration of the same. Errors: `bundle`. */
function otherOptions(options: ExplainOptions, other: string): ExplainOptions {
  try {
    if (!statSync(other).isDirectory()) return { ...options, configFile: other };
  } catch (error) {
    throw TsrunError.of('bundle', `open ${JSON.stringify(other)}`, error);
  }
  const { configFile: _own, ...rest } = options;
  return { ...rest, bundle: other };
}

async function writePage(
  { runtime, surroundings, operations }: CommandContext,
  options: ExplainOptions,
  { html, trace }: { readonly html: string; readonly trace?: string },
): Promise<void> {
  const file = absolutePath(html, surroundings) ?? html;
  const traceFile = absolutePath(trace, surroundings);
  const given = traceFile === undefined ? {} : { trace: readText(traceFile) };
  const page = await operations.drawContainer(runtime, options, given);
  if (html === '-') {
    surroundings.writeStdout(page);
    return;
  }
  try {
    writeFileSync(file, page);
  } catch (error) {
    throw TsrunError.of('host', `write ${JSON.stringify(file)}`, error);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw TsrunError.of('host', `read trace ${JSON.stringify(file)}`, error);
  }
}
