import { TsrunError } from '../../../errors.ts';
import type { Mount } from '../../../spec/generated/config.ts';
import { wording } from '../../../util/wording.ts';
import { ArgumentError } from '../../argument-error.ts';
import { defineCommand, idsOf } from '../../command.ts';
import { absolutePath, type Surroundings } from '../../surroundings.ts';

const ADD = 'add [--type TYPE] [-o OPTIONS] ID SOURCE TARGET';
const REMOVE = 'remove ID TARGET';

/** `tsrun mount`: changes what is mounted in a container that is there. */
export const command = defineCommand({
  name: 'mount',
  description: 'mount something in a container that runs, or take it away',
  usage: `${ADD} | ${REMOVE}`,
  positionals: { minimum: 2, maximum: 4 },
  offers: [{ words: ['add', 'remove'] }, idsOf(['created', 'running', 'paused']), { words: 'files' }],
  options: {
    type: {
      type: 'string',
      short: 't',
      placeholder: 'TYPE',
      values: ['bind', 'tmpfs'],
      default: 'bind',
      description: 'bind or tmpfs',
    },
    options: {
      type: 'strings',
      short: 'o',
      placeholder: 'OPTIONS',
      description: 'as in config.json, with commas between them: ro,nosuid',
    },
  },
  examples: [
    ['tsrun mount add -o ro web /srv/data /data', 'show a directory of the host, read-only'],
    ['tsrun mount add --type tmpfs -o size=16m web tmpfs /cache', 'memory'],
    ['tsrun mount remove web /data', 'take it away'],
  ],
  notes: [
    'A bind mount brings the mounts below its source along ("rbind"), unless the options say "bind". What is missing of TARGET is made; its symlinks are ' +
      'those of the container, and lead no further than its root. Neither config.json nor "tsrun state" tell of the change.',
  ],
  async run({ values, positionals: [action = '', id = '', ...rest] }, { runtime, surroundings, operations }) {
    if (action === 'remove') {
      const [target] = requireCount(rest, 1, REMOVE);
      await operations.removeMount(runtime, { id, target: requireAbsolute(target) });
      return 0;
    }
    if (action !== 'add')
      throw new ArgumentError(`unknown action ${JSON.stringify(action)} of "mount": wanted "add" or "remove"`);
    const [source, target] = requireCount(rest, 2, ADD);
    const options = values.options.flatMap((text) => text.split(',')).filter((option) => option !== '');
    const mount = toMount(
      { type: values.type ?? 'bind', source, destination: requireAbsolute(target), options },
      surroundings,
    );
    await operations.addMount(runtime, { id, mount });
    return 0;
  },
});

function requireCount(rest: readonly string[], count: number, usage: string): string[] {
  if (rest.length === count) return [...rest];
  throw new ArgumentError(`${wording.wrongCount('mount', `exactly ${count + 2}`)}: tsrun mount ${usage}`);
}

function requireAbsolute(target = ''): string {
  if (target.startsWith('/')) return target;
  throw new TsrunError('usage', `mount target ${JSON.stringify(target)}: wanted an absolute path in the container`);
}

function toMount(
  {
    type,
    source,
    destination,
    options,
  }: { type: string; source?: string | undefined; destination: string; options: string[] },
  surroundings: Surroundings,
): Mount {
  if (type !== 'bind') return { type, source: source ?? type, destination, options };
  const isNamed = options.includes('bind') || options.includes('rbind');
  const hostPath = absolutePath(source, surroundings) ?? '';
  return { type, source: hostPath, destination, options: isNamed ? options : ['rbind', ...options] };
}
