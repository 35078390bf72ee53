import { fitsSeries, mark, SERIES_LEAST } from '../../program/series.ts';
import type { Part, Series, Step } from '../../program/step.ts';
import type { PlanContext } from '../base/context.ts';
import { components } from '../base/handles.ts';

/** A path of the configuration. */
export interface ListedPath {
  readonly path: string;
  /** Lexically clean, below the root; empty for the root itself. */
  readonly inside: string;
  /** In the list of the configuration. */
  readonly index: number;
}

/** Lexically the same paths are one: the first. */
export function listPaths(paths: readonly string[] = []): ListedPath[] {
  const items = new Map<string, ListedPath>();
  paths.forEach((path, index) => {
    const inside = components(path).join('/');
    if (!items.has(inside)) items.set(inside, { path, inside, index });
  });
  return [...items.values()];
}

/** The steps for each path, in order: of many in a row, a series. The root is planned by itself, and so is what no series may have. */
export function forEachPath(
  { memory }: PlanContext,
  items: readonly ListedPath[],
  plan: (item: ListedPath) => Step[],
): Part[] {
  const planLater = memory.later(plan);
  const parts: Part[] = [];
  let from = 0;
  while (from < items.length) {
    const end = items.findIndex(({ inside }, index) => index >= from && (inside === '' || !fitsSeries(inside)));
    const to = end < 0 ? items.length : end;
    const run = items.slice(from, to);
    if (run.length < SERIES_LEAST) parts.push(...run.flatMap(plan));
    else parts.push(pathSeries(run, plan, planLater));
    parts.push(...items.slice(to, to + 1).flatMap(plan));
    from = to + 1;
  }
  return parts;
}

function pathSeries(
  run: readonly ListedPath[],
  plan: (item: ListedPath) => Step[],
  planLater: (item: ListedPath) => Step[],
): Series {
  const standIn = { path: mark(0), inside: mark(0), index: 0 };
  const at = (index: number): ListedPath => run[index] ?? standIn;
  return {
    kind: 'series',
    count: run.length,
    template: plan(standIn),
    values: (index) => [at(index).inside],
    plan: (index) => planLater(at(index)),
  };
}
