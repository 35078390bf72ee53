import { readFileSync, writeSync } from 'node:fs';
import { TsrunError } from '../../errors.ts';
import { parseJson } from '../../spec/parse.ts';
import { callAfter } from '../../sys/events/poll.ts';
import { decode } from '../../protobuf/codec.ts';
import { ANY } from '../wire/common.ts';
import { readOptions, type ShimOptions } from '../task/options.ts';
import { groupOf, printAddress, socketPath } from './address.ts';
import type { ShimFlags } from './flags.ts';
import { Holding } from './holding.ts';
import { isShared } from './shared.ts';
import type { ShimProcess } from './shim-process.ts';
import { createShimLog, openLogFile } from './shim-log.ts';
import { listenForGroup, writeAddress } from './socket.ts';
import { enterSurroundings, leaveCaller } from './surroundings.ts';

/** In which the call that ends it is answered. */
const ANSWER_MS = 10;

/**
 * Becomes the shim that is asked for, unless there is one; says its address; and serves until its last container is gone.
 *
 * The working directory is the bundle. Errors: `host`, `bundle`, before the address is said.
 */
export async function start(flags: ShimFlags, own: ShimProcess): Promise<void> {
  const sent = readFileSync(0);
  const silent = createShimLog(() => undefined, { debug: false });
  const options = readOptions(sent.length === 0 ? undefined : decode(ANY, sent), silent);
  if (isShared(options, own.environment)) {
    const { startShared } = await import('./start-shared.ts');
    await startShared(flags, own, { options, sent });
  } else await startForGroup(flags, own, options);
}

async function startForGroup(flags: ShimFlags, own: ShimProcess, options: ShimOptions): Promise<void> {
  const { namespace, address, id, debug } = flags;
  const socket = socketPath({ address, namespace, group: groupOf(readConfig(), id) });
  const said = printAddress(socket, own.environment['MAX_SHIM_VERSION']);
  using listener = await listenForGroup(socket);
  if (listener !== undefined) enterSurroundings(options, { isExpendable: true });
  writeAddress('.', socket);
  if (listener === undefined) {
    own.answer(said);
    return;
  }
  const logFile = openLogFile();
  using log = createShimLog((text) => writeSync(logFile.number, text), { debug });
  const shutDown = async (): Promise<void> => {
    try {
      await listener.remove();
    } finally {
      callAfter(ANSWER_MS, holding.stop);
    }
  };
  const holding = new Holding({ flags, own, log, shutDown });
  await holding.serve(listener, () => {
    own.answer(said);
    leaveCaller(logFile);
  });
}

function readConfig(): unknown {
  try {
    return parseJson(readFileSync('config.json', 'utf8'));
  } catch (cause) {
    throw TsrunError.of('bundle', 'read "config.json" in the working directory', cause);
  }
}
