import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { Server, type Services } from '../../../src/shim/ttrpc/server.ts';
import { setNonBlocking } from '../../../src/sys/fd.ts';
import { listenUnix } from '../../../src/sys/socket.ts';

/** A server at a socket of its own, until the end of the test. */
export interface ServerRig {
  readonly socket: string;
  readonly messages: string[];
}

/** Serves these methods while the test runs. */
export function serve(t: Test, services: Services): ServerRig {
  const directory = mkdtempSync(path.join(tmpdir(), 'tsrun-ttrpc-'));
  const socket = path.join(directory, 'socket');
  const listener = listenUnix(socket, 'stream', { mode: 0o600, backlog: 64 });
  setNonBlocking(listener.number);
  const over = new AbortController();
  const messages: string[] = [];
  const log = {
    debug: () => undefined,
    warning: (message: string) => messages.push(message),
    error: (message: string) => messages.push(message),
  };
  const server = new Server(services, log);
  const serving = server.serve(listener, over.signal);
  t.teardown(async () => {
    over.abort();
    server.close();
    await serving;
    listener.close();
    rmSync(directory, { recursive: true });
  });
  return { socket, messages };
}

/** Services with these methods of one named `test.Service`. */
export function servicesOf(methods: Record<string, (payload: Buffer) => Promise<Uint8Array>>): Services {
  return new Map([['test.Service', new Map(Object.entries(methods))]]);
}
