import { defineCommand } from '../../command.ts';
import { bundleOptions, readBundleOptions } from '../../options/create.ts';

// Only names the state directory and the cgroup in what is printed.
const exampleId = 'example';

/** `tsrun explain`: what `create` would do with a bundle, without doing it. */
export const command = defineCommand({
  name: 'explain',
  description: 'print what creating a container would do',
  usage: '[ID]',
  positionals: { minimum: 0, maximum: 1 },
  options: { ...bundleOptions, json: { type: 'boolean', description: 'print JSON' } },
  examples: [['tsrun explain --bundle /containers/web', 'the system calls, with the place of each in config.json']],
  async run({ values, positionals: [id = exampleId] }, { runtime, surroundings, operations }) {
    const options = readBundleOptions(values, { id, surroundings });
    const { text, json } = await operations.explainContainer(runtime, options);
    surroundings.writeStdout(values.json === true ? `${JSON.stringify(json, undefined, 2)}\n` : text);
    return 0;
  },
});
