import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TsrunError } from '../../errors.ts';
import { specTemplate } from '../../spec/template.ts';
import { defineCommand } from '../command.ts';
import { absolutePath, workingDirectory } from '../surroundings.ts';

/** `tsrun spec`: writes the template of a config.json. */
export const command = defineCommand({
  name: 'spec',
  description: 'write a config.json to start from',
  usage: '',
  positionals: { minimum: 0, maximum: 0 },
  options: {
    bundle: { type: 'string', short: 'b', placeholder: 'DIR', description: 'where to write it (default: .)' },
    rootless: { type: 'boolean', description: 'for a user without privileges' },
  },
  async run({ values }, { surroundings }) {
    const { uid, gid } = surroundings;
    const template = specTemplate({ rootless: values.rootless === true, uid, gid });
    const directory = absolutePath(values.bundle, surroundings) ?? workingDirectory(surroundings);
    writeNewFile(join(directory, 'config.json'), `${JSON.stringify(template, undefined, '\t')}\n`);
    return Promise.resolve(0);
  },
});

function writeNewFile(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o666 });
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const details = { cause: error, errno };
    if (errno === 'EEXIST') throw new TsrunError('bundle', 'File config.json exists. Remove it first', details);
    throw new TsrunError('bundle', `write ${JSON.stringify(file)}: ${errno}`, details);
  }
}
