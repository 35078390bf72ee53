import type { LayerChange } from '../../../container/store/options.ts';
import { escapeControls } from '../../../util/escape-controls.ts';
import { defineCommand, idsOf } from '../../command.ts';
import { reportFormat } from '../../options/format.ts';
import { readTextFormat } from '../../options/values.ts';

/** How a line begins. */
const LETTERS: Readonly<Record<LayerChange['kind'], string>> = { added: 'A', changed: 'C', deleted: 'D' };

/** `tsrun diff`: what a container with a layer has changed. */
export const command = defineCommand({
  name: 'diff',
  description: 'list what a container has changed of its rootfs, where it has a layer over it',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['created', 'running', 'paused', 'stopped'])],
  options: { format: reportFormat },
  examples: [
    ['tsrun diff web', 'a line a path: A added, C changed, D deleted'],
    ['tsrun diff --format json web | jq', 'for programs'],
  ],
  async run({ values, positionals: [id = ''] }, { runtime, surroundings, operations }) {
    const format = readTextFormat(values.format);
    const changes = await operations.listChanges(runtime, id);
    surroundings.writeStdout(format === 'json' ? `${JSON.stringify(changes, undefined, 2)}\n` : describe(changes));
    return 0;
  },
});

function describe(changes: readonly LayerChange[]): string {
  return changes.map(({ kind, path }) => `${LETTERS[kind]} ${escapeControls(path, { lines: true })}\n`).join('');
}
