import { features } from '../../spec/features.ts';
import { defineCommand } from '../command.ts';

/** `tsrun features`: the document of features.md, which containerd, dockerd and CRI-O read. */
export const command = defineCommand({
  name: 'features',
  description: 'print what this tsrun supports',
  usage: '',
  positionals: { minimum: 0, maximum: 0 },
  options: {},
  async run(_args, { surroundings, readVersion }) {
    const { version, commit } = readVersion();
    surroundings.writeStdout(`${JSON.stringify(features({ version, commit }), undefined, 4)}\n`);
    return Promise.resolve(0);
  },
});
