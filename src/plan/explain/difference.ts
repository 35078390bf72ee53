import { printStep } from '../../program/print-step.ts';
import { topicStarts } from '../../program/series.ts';
import type { Program } from '../../program/step.ts';
import { escapeControls } from '../../util/escape-controls.ts';
import { printCgroupPlan } from '../cgroup/print.ts';
import type { CgroupPlan } from '../cgroup/plan.ts';
import type { Picture } from './picture.ts';
import { summaryRows } from './summary.ts';

/** One side of a comparison. */
export interface Side {
  readonly picture: Picture;
  /** Absolute; where it lies is no difference. */
  readonly rootfs: string;
  readonly cgroup: CgroupPlan;
  readonly programs: readonly Program[];
}

/** A heading -> its lines, in order. */
type Chapters = ReadonlyMap<string, readonly string[]>;

/**
 * What is in one plan and not in the other, `-` before what only the first has and `+` before what only the second has; first of what the
 * container is, then of the steps. The places of bundle and root file system are no difference, nor are the numbers of steps.
 */
export function printDifference(before: Side, after: Side): string {
  const parts = [compare(summaryOf(before), summaryOf(after)), compare(stepsOf(before), stepsOf(after))].filter(
    (part) => part !== '',
  );
  return escapeControls(parts.length === 0 ? 'no difference\n' : parts.join('\n'));
}

function compare(before: Chapters, after: Chapters): string {
  const headings = [...new Set([...before.keys(), ...after.keys()])];
  const parts = headings.flatMap((heading) => {
    const [old, young] = [before.get(heading) ?? [], after.get(heading) ?? []];
    const lines = [
      ...without(old, young).map((line) => `  - ${line}`),
      ...without(young, old).map((line) => `  + ${line}`),
    ];
    if (lines.length > 0) return [`${heading}\n${lines.join('\n')}\n`];
    return old.some((line, index) => line !== young[index]) ? [`${heading}\n  the same in another order\n`] : [];
  });
  return parts.join('\n');
}

/** What is left of some lines without as many of each as there are among others. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const count = counts.get(line) ?? 0;
    counts.set(line, count - 1);
    return count <= 0;
  });
}

/** How many steps it takes is told by the steps. */
function summaryOf(side: Side): Chapters {
  return new Map(
    summaryRows(side.picture, []).map(([name, lines]) => [name, lines.map((line) => neutral(line, side))]),
  );
}

function stepsOf(side: Side): Chapters {
  const chapters = new Map<string, string[]>();
  const chapterOf = (heading: string): string[] => {
    const lines = chapters.get(heading) ?? [];
    chapters.set(heading, lines);
    return lines;
  };
  chapterOf('control files of the cgroup').push(
    ...printCgroupPlan(side.cgroup).trimEnd().split('\n').map(withoutPlace),
  );
  for (const program of side.programs) {
    const topics = topicStarts(program);
    let lines = chapterOf(`steps: ${program.name}`);
    for (const [index, step] of program.steps.entries()) {
      const topic = topics.get(index);
      if (topic !== undefined) lines = chapterOf(`steps: ${topic.name}`);
      // How far a check leads depends on what is behind it, which is compared for itself.
      if (step.kind === 'call') lines.push(neutral(`${printStep(step)}  # ${step.label}`, side));
    }
  }
  return chapters;
}

/** An item that comes before others changes the places of all of them. */
function withoutPlace(line: string): string {
  return line.trim().replace(/ {2}\(\/[^()]*\)$/, '');
}

function neutral(line: string, { rootfs, picture: { bundle } }: Side): string {
  return line
    .replaceAll(rootfs, 'ROOTFS')
    .replaceAll(bundle, 'BUNDLE')
    .replaceAll(/\/mounts\/\d+/g, '/mounts/N');
}
