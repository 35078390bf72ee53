import type { HostFacts } from '../../plan/base/facts.ts';
import type { OverlayLayers } from '../../plan/base/layers.ts';
import { marksOf } from '../../plan/rootfs/overlay.ts';
import type { Config } from '../../spec/generated/config.ts';
import type { OverlaySettings } from '../../spec/overlay.ts';
import type { Runtime } from '../caller/caller.ts';

/** On a disk: what is written in a container may be more than there is memory. */
const LAYERS_DIRECTORY = '/var/lib/tsrun/overlay';

/** Directory of the layer of a container that is not kept; absolute. */
export function layerPlace(
  { layersDirectory = LAYERS_DIRECTORY }: Pick<Runtime, 'layersDirectory'>,
  id: string,
): string {
  return `${layersDirectory}/${id}`;
}

/** What of a bundle says that its container has a layer. */
interface LayeredBundle {
  readonly config: Config;
  readonly facts: { readonly rootfs: string };
  readonly overlay?: OverlaySettings;
}

/** The layer of a container, and all that it lies over; undefined where it has none. */
export function layersFor(
  runtime: Pick<Runtime, 'layersDirectory'>,
  id: string,
  { bundle, host }: { readonly bundle: LayeredBundle; readonly host: HostFacts },
): OverlayLayers | undefined {
  if (bundle.overlay === undefined) return undefined;
  const { directory, lowers } = bundle.overlay;
  return {
    directory: directory ?? layerPlace(runtime, id),
    lowers: [...lowers, bundle.facts.rootfs],
    isKept: directory !== undefined,
    marks: marksOf(bundle.config, host),
  };
}
