import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { TsrunError } from '../../../errors.ts';
import { specTemplate } from '../../../spec/template.ts';
import { wording } from '../../../util/wording.ts';
import { defineCommand } from '../../command.ts';
import { absolutePath, workingDirectory } from '../../surroundings.ts';

/** `tsrun spec`: writes the template of a config.json. */
export const command = defineCommand({
  name: 'spec',
  description: 'write a config.json to start from',
  usage: '',
  positionals: { minimum: 0, maximum: 0 },
  options: {
    bundle: { type: 'string', short: 'b', placeholder: 'DIR', default: '.', description: 'where to write it' },
    file: {
      type: 'string',
      short: 'f',
      placeholder: 'FILE',
      default: 'config.json',
      description: 'another name for config.json',
    },
    rootless: { type: 'boolean', description: 'for a user without privileges' },
  },
  examples: [
    ['tsrun spec --bundle /containers/web', 'for root'],
    ['tsrun spec --rootless', 'for an ordinary user, in this directory'],
  ],
  async run({ values }, { surroundings }) {
    const { uid, gid } = surroundings;
    const template = specTemplate({ rootless: values.rootless === true, uid, gid });
    const directory = absolutePath(values.bundle, surroundings) ?? workingDirectory(surroundings);
    const name = values.file === undefined || values.file === '' ? 'config.json' : values.file;
    writeNewFile({ file: resolve(directory, name), name }, `${JSON.stringify(template, undefined, '\t')}\n`);
    return Promise.resolve(0);
  },
});

function writeNewFile({ file, name }: { file: string; name: string }, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o666 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw TsrunError.of('bundle', `write ${JSON.stringify(file)}`, error);
    throw new TsrunError('bundle', wording.configExists(name), { cause: error, errno: 'EEXIST' });
  }
}
