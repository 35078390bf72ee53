import { at, block, call, equals, failWhen, not, when } from '../../program/build.ts';
import type { Region, Step } from '../../program/step.ts';
import { utf8 } from '../../util/utf8.ts';
import { describeBind, type BindMount } from './bind-source.ts';
import type { PlanContext } from '../base/context.ts';
import { failedWith } from '../base/failed-with.ts';
import { components, ensureInRoot } from '../base/handles.ts';
import { withHandle } from '../base/with-handle.ts';

/**
 * The mount option `copy-symlink` where the source is a symlink: one with the same text is made at the destination, below the handle
 * of its directory. A symlink with that text may be there already; anything else is an error. crun(1), "copy-symlink".
 */
export function planCopiedLink(context: PlanContext, bind: BindMount & { readonly text: string }): Step[] {
  const { answer } = context.slots;
  const parts = components(bind.mount.destination);
  const name = parts.at(-1) ?? '.';
  const label = `${describeBind(bind)}: copy the symlink`;
  const pointer = `/mounts/${bind.index}`;
  const parent = `/${parts.slice(0, -1).join('/')}`;
  const open = (target: Region): Step[] =>
    ensureInRoot(context, parent, target, { kind: 'directory', pointer: `${pointer}/destination` });
  return withHandle(context, { name: 'target', open }, (target) => [
    call('symlinkat', [bind.text, target, name], { label, pointer, accept: ['EEXIST'], result: answer }),
    ...when(
      failedWith(answer, 'EEXIST'),
      verifyLink(context, target, { name, text: bind.text, label, pointer }),
      'verify what was there',
    ),
  ]);
}

function verifyLink(
  { slots: { answer } }: PlanContext,
  directory: Region,
  { name, text, label, pointer }: Readonly<Record<'name' | 'text' | 'label' | 'pointer', string>>,
): Step[] {
  const bytes = utf8(text);
  // A byte more than wanted, so that a longer text is told from the wanted one.
  const found = block(new Uint8Array(Math.ceil((bytes.length + 1) / 8) * 8), '<text of the symlink>');
  const failure = `${label}: another file is there, wanted a symlink to ${JSON.stringify(text)}`;
  const differs = { label, pointer, failure };
  const read = call('readlinkat', [directory, name, found, found.bytes.length], { ...differs, result: answer });
  const length = equals(answer, BigInt(bytes.length), { text: `its text has ${bytes.length} bytes` });
  const parts = Array.from({ length: Math.ceil(bytes.length / 8) }, (_, index) => {
    const part = bytes.subarray(index * 8, index * 8 + 8);
    const mask = (1n << BigInt(part.length * 8)) - 1n;
    const wanted = part.reduce((sum, byte, position) => sum | (BigInt(byte) << BigInt(position * 8)), 0n);
    return equals(at(found, index * 8), wanted, { mask, text: `bytes ${index * 8} onwards are the same` });
  });
  return [read, ...[length, ...parts].map((condition) => failWhen(not(condition), 'EEXIST', differs))];
}
