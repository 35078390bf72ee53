import { features } from '../../../spec/features.ts';
import { defineCommand } from '../../command.ts';

/** `tsrun features`: the document of features.md, which containerd, dockerd and CRI-O read. */
export const command = defineCommand({
  name: 'features',
  description: 'print what this tsrun supports',
  usage: '',
  positionals: { minimum: 0, maximum: 0 },
  options: {},
  async run(_args, { surroundings, readVersion, operations }) {
    const { version, commit } = readVersion();
    const seccomp = await operations.readSeccompBuild();
    const document = features({ version, commit, ...(seccomp === undefined ? {} : { seccomp }) });
    surroundings.writeStdout(`${JSON.stringify(document, undefined, 4)}\n`);
    return 0;
  },
});
