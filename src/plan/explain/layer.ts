import { LAYER_NAMES, lowerName, type OverlayLayers } from '../base/layers.ts';
import { show } from './show.ts';

/** What is made of a layer before init mounts it: its directories, and links to what it lies over. A line each. */
export function describeLayer({ directory, lowers }: OverlayLayers): string[] {
  const { upper, work, owner } = LAYER_NAMES;
  const at = (name: string): string => show(`${directory}/${name}`);
  return [
    `${at(upper)}, a directory for what the container changes`,
    `${at(work)}, a directory for the kernel`,
    ...lowers.map((lower, index) => `${at(lowerName(index))}, a link to ${show(lower)}`),
    `${at(owner)}, a link to the state of the container that has it`,
  ];
}
