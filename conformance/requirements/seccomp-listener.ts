import { createServer } from 'node:net';
import type { State, Case } from '../harness/case.ts';
import { waitUntil } from '../harness/case.ts';
import { equal, match } from '../harness/check.ts';
import { section, type Requirement } from '../harness/requirement.ts';

/** config-linux.md, "The Container Process State": what a runtime sends to the listener of a seccomp filter. */

const { must } = section('config-linux.md', 'The Container Process State');

interface ProcessState {
  readonly ociVersion?: string;
  readonly fds?: readonly string[];
  readonly pid?: number;
  readonly metadata?: string;
  readonly state?: State;
}

interface Heard {
  /** One text for each connection. */
  readonly texts: readonly string[];
  readonly ended: number;
  readonly pid: number;
  readonly id: string;
}

/** Starts a container whose mkdir(2) asks a listener. What comes with the message is dropped, so that the call fails at once. */
async function hear(c: Case): Promise<Heard> {
  const texts: string[] = [];
  let ended = 0;
  const listenerPath = c.fresh('listener');
  const server = createServer((socket) => {
    const index = texts.push('') - 1;
    socket.on('data', (data) => (texts[index] = `${texts[index] ?? ''}${data.toString()}`));
    // The other side may close before it has been listened to.
    socket.on('error', () => undefined);
    socket.on('close', () => (ended += 1));
  });
  await new Promise<void>((resolve) => {
    server.listen(listenerPath, resolve);
  });
  try {
    const container = await c.start({
      script: 'mkdir /tmp/made; sleep 1000',
      change: (config) => {
        config.linux.seccomp = {
          defaultAction: 'SCMP_ACT_ALLOW',
          listenerPath,
          listenerMetadata: 'a word',
          syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_NOTIFY' }],
        };
      },
    });
    await waitUntil(
      () => ended > 0,
      'the listener gets no connection that is closed again',
      () => texts.join(),
    );
    return { texts, ended, pid: container.pid, id: container.id };
  } finally {
    server.close();
  }
}

const says =
  'Each filter with a listener makes one connection, over which one state of the process goes before it is closed.';

export const listenerRequirements: readonly Requirement[] = [
  must(
    'seccomp.listener.message',
    'the listener gets the state of the process and of the container',
    async (c) => {
      const { texts, pid, id } = await hear(c);
      const { ociVersion, fds, pid: told, state } = JSON.parse(texts[0] ?? '') as ProcessState;
      match(ociVersion ?? '', /^\d+\.\d+\.\d+/, 'ociVersion');
      equal({ fds, pid: told, id: state?.id }, { fds: ['seccompFd'], pid, id }, 'fds, pid and id');
    },
    { says },
  ),
  must(
    'seccomp.listener.metadata',
    'the listener gets the listenerMetadata of the config',
    async (c) => {
      const { texts } = await hear(c);
      equal((JSON.parse(texts[0] ?? '') as ProcessState).metadata, 'a word', 'metadata');
    },
    { says },
  ),
  must(
    'seccomp.listener.once',
    'the connection is closed after one state, and there is one',
    async (c) => {
      const { texts, ended } = await hear(c);
      equal({ connections: texts.length, ended }, { connections: 1, ended: 1 }, 'connections');
    },
    { says },
  ),
];
