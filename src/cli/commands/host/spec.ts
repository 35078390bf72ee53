import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { TsrunError } from '../../../errors.ts';
import type { Config } from '../../../spec/generated/config.ts';
import { specTemplate } from '../../../spec/template.ts';
import { wording } from '../../../util/wording.ts';
import { defineCommand } from '../../command.ts';
import { invalidValue, readUser } from '../../options/values.ts';
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
    args: {
      type: 'string',
      placeholder: 'COMMAND',
      values: [],
      default: 'sh',
      description: 'what runs: words with spaces between them, or a JSON array of them',
    },
    rootfs: { type: 'string', placeholder: 'DIR', default: 'rootfs', description: 'root file system, from the bundle' },
    user: {
      type: 'string',
      short: 'u',
      placeholder: 'UID[:GID]',
      values: [],
      default: '0:0',
      description: 'who runs it',
    },
    rootless: { type: 'boolean', description: 'for a user without privileges' },
  },
  examples: [
    ['tsrun spec --bundle /containers/web', 'for root'],
    ['tsrun spec --rootfs /srv/web --args /bin/httpd --user 33:33', 'with a program of your own'],
    ['tsrun spec --rootless', 'for an ordinary user, in this directory'],
  ],
  async run({ values }, { surroundings }) {
    const { uid, gid } = surroundings;
    const template = withChanges(specTemplate({ rootless: values.rootless === true, uid, gid }), values);
    const directory = absolutePath(values.bundle, surroundings) ?? workingDirectory(surroundings);
    const name = values.file === undefined || values.file === '' ? 'config.json' : values.file;
    writeNewFile({ file: resolve(directory, name), name }, `${JSON.stringify(template, undefined, '\t')}\n`);
    return Promise.resolve(0);
  },
});

interface Changes {
  readonly args: string | undefined;
  readonly rootfs: string | undefined;
  readonly user: string | undefined;
}

function withChanges(template: Config, { args, rootfs, user }: Changes): Config {
  const { process, root } = template;
  const id = user === undefined ? undefined : readUser(user);
  return {
    ...template,
    ...(process !== undefined && {
      process: {
        ...process,
        ...(args !== undefined && { args: readCommand(args) }),
        ...(id !== undefined && { user: { uid: id.uid, gid: id.gid ?? id.uid } }),
      },
    }),
    ...(root !== undefined && { root: rootfs === undefined ? root : { ...root, path: rootfs } }),
  };
}

/** Errors: `usage`. */
function readCommand(text: string): string[] {
  const words: unknown = text.trimStart().startsWith('[')
    ? parseWords(text)
    : text.split(' ').filter((word) => word !== '');
  if (Array.isArray(words) && words.length > 0 && words.every((word) => typeof word === 'string')) {
    return words;
  }
  throw invalidValue(text, 'args', 'a command, as words or as a JSON array of texts');
}

function parseWords(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function writeNewFile({ file, name }: { file: string; name: string }, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx', mode: 0o666 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw TsrunError.of('bundle', `write ${JSON.stringify(file)}`, error);
    throw new TsrunError('bundle', wording.configExists(name), { cause: error, errno: 'EEXIST' });
  }
}
