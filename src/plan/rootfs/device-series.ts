import { fitsSeries, mark, numberMark, SERIES_LEAST } from '../../program/series.ts';
import type { Memory, Operand, Part, SeriesValue, Step } from '../../program/step.ts';
import type { DeviceNode } from './device-nodes.ts';

/** A device with what is passed to system calls for it. */
export interface NodeToMake extends DeviceNode {
  /** In its directory. */
  readonly name: string;
  /** Where the host has the device. */
  readonly hostPath: string;
  readonly typeAndMode: Operand;
  /** As mknodat(2) takes it. */
  readonly number: Operand;
  /** As statx(2) answers. */
  readonly statNumber: bigint;
  readonly owner: readonly [uid: Operand, gid: Operand];
}

/** The steps for each device, in order: of many in a row in /dev itself, a series. */
export function forEachNode(memory: Memory, nodes: readonly NodeToMake[], plan: (node: NodeToMake) => Step[]): Part[] {
  const planLater = memory.later(plan);
  const parts: Part[] = [];
  for (let from = 0; from < nodes.length;) {
    const run = alikeNodes(nodes, from);
    const [first] = run;
    if (first === undefined || run.length < SERIES_LEAST) parts.push(...run.flatMap(plan));
    else
      parts.push({
        kind: 'series',
        count: run.length,
        template: plan(standIn(first)),
        values: (index) => valuesOf(run[index] ?? first),
        plan: (index) => planLater(run[index] ?? first),
      });
    from += run.length;
  }
  return parts;
}

/** At least one: those that are made in the same steps. */
function alikeNodes(nodes: readonly NodeToMake[], from: number): readonly NodeToMake[] {
  const shape = shapeOf(nodes[from]);
  let to = from + 1;
  while (shape !== '' && to < nodes.length && shapeOf(nodes[to]) === shape) to += 1;
  return nodes.slice(from, to);
}

/** What decides on the steps for a device; empty where they are its own. */
function shapeOf(node?: NodeToMake): string {
  if (node === undefined || node.path !== `/dev/${node.name}`) return '';
  if (!fitsSeries(node.name) || !fitsSeries(node.hostPath)) return '';
  return `${node.fileType} ${node.uid === 0 && node.gid === 0}`;
}

function standIn(first: NodeToMake): NodeToMake {
  return {
    ...first,
    path: `/dev/${mark(0)}`,
    name: mark(0),
    hostPath: mark(1),
    typeAndMode: numberMark(2),
    number: numberMark(3),
    statNumber: numberMark(4),
    owner: [numberMark(5), numberMark(6)],
  };
}

function valuesOf({ name, hostPath, typeAndMode, number, statNumber, owner }: NodeToMake): SeriesValue[] {
  return [name, hostPath, typeAndMode, number, statNumber, ...owner].map((value) =>
    typeof value === 'object' ? 0 : value,
  );
}
