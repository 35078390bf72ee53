import { TsrunError } from '../../../errors.ts';
import type { UnpackProgress } from '../../../image/unpack.ts';
import { defineCommand } from '../../command.ts';
import { readEntryCount, readSize } from '../../options/values.ts';
import { absolutePath, type Surroundings } from '../../surroundings.ts';

/** Signals that end it, and 128 + n, the exit code for each. */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof SIGNALS;

/** `tsrun unpack`: makes a bundle of an image. */
export const command = defineCommand({
  name: 'unpack',
  description: 'make a bundle of an image in a layout or an archive',
  usage: 'LAYOUT[:TAG] DIR',
  positionals: { minimum: 2, maximum: 2 },
  offers: [{ kind: 'files' }, { kind: 'directories' }],
  options: {
    flat: { type: 'boolean', description: 'put all layers into one directory, the rootfs of the bundle' },
    platform: {
      type: 'string',
      placeholder: 'OS/ARCH[/VARIANT]',
      default: 'that of this machine',
      description: 'which image of several, such as linux/arm64',
    },
    'max-size': {
      type: 'string',
      placeholder: 'SIZE',
      default: '10 times what the layers are stored as, and 1G',
      description: 'most bytes that the layers may unpack to',
    },
    'max-entries': {
      type: 'string',
      placeholder: 'N',
      default: '2000000',
      description: 'most files that they may have',
    },
  },
  examples: [
    ['tsrun unpack --flat image.tar:latest web', 'make the bundle "web", ready to run'],
    ['tsrun unpack layout web', 'keep the layers apart: what a container changes goes to a layer over them'],
  ],
  notes: [
    'LAYOUT is a directory or a tar in the form of the OCI image layout (skopeo, umoci, buildah, podman), or a tar that docker save has written. DIR must be new or empty; it appears when it is whole.',
    'Without --flat each layer has a directory of its own, DIR/layers/0 and up; config.json asks for a layer over them (the annotation run.tsrun.overlay), and "tsrun diff" tells what has changed. The lines that are printed are what "tsrun run --lower" takes, the uppermost layer first. DIR/rootfs is empty then, and DIR stays where it is.',
    'Every digest and size is verified. For an ordinary user all files are his own, and devices are empty files.',
  ],
  async run({ values, positionals }, { surroundings, operations, log }) {
    const [reference = '', target = ''] = positionals;
    const { uid, gid } = surroundings;
    const interrupted = new AbortController();
    let signalled: Signal | undefined;
    const handlers = (Object.keys(SIGNALS) as Signal[]).map((signal) => {
      const handler = (): void => {
        signalled ??= signal;
        interrupted.abort();
      };
      process.on(signal, handler);
      return () => process.off(signal, handler);
    });
    const maxEntries = values['max-entries'];
    try {
      const { lowers, replacedUser } = await operations.unpackImage({
        reference: absolutePath(reference, surroundings) ?? '',
        directory: absolutePath(target, surroundings) ?? '',
        isFlat: values.flat === true,
        platform: values.platform,
        maxSize: values['max-size'] === undefined ? undefined : readBytes(values['max-size']),
        maxEntries: maxEntries === undefined ? undefined : readEntryCount(maxEntries),
        rootless: uid === 0 ? undefined : { uid, gid },
        onProgress: progressLine(surroundings),
        signal: interrupted.signal,
      });
      if (replacedUser !== undefined)
        log.warning(
          `the image runs as ${JSON.stringify(replacedUser)}, whom an ordinary user cannot map: the bundle runs as root, who is this user`,
        );
      if (lowers.length > 0) surroundings.writeStdout(lowers.map((lower) => `--lower ${lower}\n`).join(''));
      return 0;
    } catch (error) {
      if (signalled !== undefined) return SIGNALS[signalled];
      throw error;
    } finally {
      surroundings.writeProgress?.('');
      for (const remove of handlers) remove();
    }
  },
});

/** A line that is written over and over on a terminal; a pipe gets none. */
function progressLine({ writeProgress }: Surroundings): ((progress: UnpackProgress) => void) | undefined {
  if (writeProgress === undefined) return undefined;
  let shown = '';
  return ({ layer, layers, bytes, totalBytes }) => {
    const line = `layer ${layer} of ${layers}: ${toMegabytes(bytes)} of ${toMegabytes(totalBytes)} MB`;
    if (line !== shown) writeProgress(line);
    shown = line;
  };
}

function toMegabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function readBytes(text: string): number {
  const bytes = readSize(text, 'max-size');
  if (typeof bytes === 'number') return bytes < 0 ? Number.POSITIVE_INFINITY : bytes;
  throw new TsrunError(
    'usage',
    `invalid value ${JSON.stringify(text)} for option "--max-size": wanted a size such as 10G`,
  );
}
