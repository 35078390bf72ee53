import { acknowledge, type Acknowledgement } from '../plan/launcher/acknowledge.ts';
import type { LauncherContext } from '../plan/launcher/context.ts';

/** The first datagrams for launchers, made once: nearly all have their socket under the same number, and nothing else differs. */
export class Acknowledgements {
  readonly #options: Acknowledgement;
  #last: { readonly socket: number; readonly packets: readonly Uint8Array[] } | undefined;

  constructor(options: Acknowledgement) {
    this.#options = options;
  }

  packetsFor(context: LauncherContext): readonly Uint8Array[] {
    const { socket } = context;
    if (this.#last?.socket !== socket) this.#last = { socket, packets: acknowledge(context, this.#options) };
    return this.#last.packets;
  }
}
