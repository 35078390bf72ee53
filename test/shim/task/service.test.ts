import t, { type Test } from 'tap';
import type { TaskContainer } from '../../../src/shim/task/container.ts';
import { HeldContainers } from '../../../src/shim/task/containers.ts';
import { TaskService } from '../../../src/shim/task/service.ts';
import type { Setting } from '../../../src/shim/task/setting.ts';
import { Client } from '../../../src/shim/ttrpc/client.ts';
import { decode, encode } from '../../../src/protobuf/codec.ts';
import { CODE } from '../../../src/shim/wire/rpc.ts';
import { METHODS } from '../../../src/shim/wire/task.ts';
import { nowMs } from '../../../src/sys/clock.ts';
import { waitFor } from '../../live/support/wait.ts';
import { serve } from '../ttrpc/rig.ts';

const SERVICE = 'containerd.task.v2.Task';
const PATIENT_MS = 20_000;

/** A service at a socket whose containers are made when the test says so. */
class Rig {
  readonly socket: string;
  /** Id -> ends the making of it. */
  readonly making = new Map<string, () => void>();
  readonly removed: string[] = [];
  shutdowns = 0;

  constructor(t: Test) {
    const make = async ({ id, bundle }: { readonly id: string; readonly bundle: string }): Promise<TaskContainer> => {
      await new Promise<void>((resolve) => this.making.set(id, resolve));
      const remove = (): Promise<void> => {
        this.removed.push(id);
        return Promise.resolve();
      };
      return { id, bundle, pid: 77, status: 'created', execs: new Map(), remove } as unknown as TaskContainer;
    };
    const setting = { publisher: { publish: () => undefined } } as unknown as Setting;
    const containers = new HeldContainers(setting, () => Promise.resolve(void (this.shutdowns += 1)), make);
    const service = new TaskService(containers, setting);
    this.socket = serve(t, service.services()).socket;
  }

  create(client: Client, id: string, timeoutMs = PATIENT_MS): Promise<unknown> {
    return this.#call(client, 'Create', encode(METHODS.Create.request, { id, bundle: `/${id}` }), timeoutMs);
  }

  delete(client: Client, id: string): Promise<unknown> {
    return this.#call(client, 'Delete', encode(METHODS.Delete.request, { id }));
  }

  shutdown(client: Client): Promise<unknown> {
    return this.#call(client, 'Shutdown', encode(METHODS.Shutdown.request, {}));
  }

  async pid(client: Client, id: string): Promise<unknown> {
    const answer = await this.#call(client, 'Connect', encode(METHODS.Connect.request, { id }));
    return decode(METHODS.Connect.response, answer).taskPid;
  }

  /** Waits until a container is being made. */
  async until(id: string): Promise<void> {
    await waitFor(() => this.making.has(id));
  }

  #call(client: Client, method: string, payload: Buffer, timeoutMs = PATIENT_MS): Promise<Buffer> {
    return client.call({ service: SERVICE, method, payload, timeoutMs });
  }
}

/** A container whose `Create` is in vain, beside one that is there. */
const WAYS: readonly (readonly [string, (t: Test, rig: Rig, own: Client, other: Client) => Promise<void>])[] = [
  [
    'whose time is over',
    async (t, rig, own) => {
      await t.rejects(rig.create(own, 'late', 30), { code: CODE.unavailable });
      // The server has counted from a little later on.
      const end = nowMs() + 30;
      await waitFor(() => nowMs() > end);
    },
  ],
  [
    'whose connection is over',
    async (t, rig, own, other) => {
      const answer = t.rejects(rig.create(own, 'late'), { code: CODE.unavailable });
      await rig.until('late');
      own[Symbol.dispose]();
      await answer;
      // The server has seen the end when it answers what was asked later.
      for (let count = 0; count < 3; count += 1) await rig.pid(other, 'late');
    },
  ],
  [
    'that is deleted meanwhile',
    async (t, rig, own) => {
      void t.rejects(rig.create(own, 'late'), { code: CODE.unavailable });
      await rig.until('late');
      await t.rejects(rig.delete(own, 'late'), { code: CODE.notFound });
      await rig.shutdown(own);
    },
  ],
];

for (const [what, giveUp] of WAYS) {
  t.test(`a container ${what} is removed as soon as it is made, and the shim ends with it`, async (t) => {
    const rig = new Rig(t);
    using own = await Client.connect(rig.socket);
    using other = await Client.connect(rig.socket);
    await giveUp(t, rig, own, other);
    t.strictSame([rig.removed, rig.shutdowns], [[], 0], 'nothing is removed before it is there');
    rig.making.get('late')?.();
    await waitFor(() => rig.shutdowns > 0);
    t.strictSame([rig.removed, rig.shutdowns], [['late'], 1]);
  });

  t.test(`a container ${what} is removed, and the others of its pod stay`, async (t) => {
    const rig = new Rig(t);
    using own = await Client.connect(rig.socket);
    using other = await Client.connect(rig.socket);
    const first = rig.create(other, 'pause');
    await rig.until('pause');
    rig.making.get('pause')?.();
    await first;
    await giveUp(t, rig, own, other);
    rig.making.get('late')?.();
    await waitFor(() => rig.removed.length > 0);
    t.strictSame([rig.removed, rig.shutdowns], [['late'], 0]);
    t.strictSame([await rig.pid(other, 'pause'), await rig.pid(other, 'late')], [77, 0]);
  });
}

t.test(
  'an id is not given twice while its container is made, and can be given again when that was in vain',
  async (t) => {
    const rig = new Rig(t);
    using client = await Client.connect(rig.socket);
    const first = rig.create(client, 'same');
    await rig.until('same');
    await t.rejects(rig.create(client, 'same'), { code: CODE.alreadyExists });
    rig.making.get('same')?.();
    await first;
    await t.rejects(rig.create(client, 'same'), { code: CODE.alreadyExists });
  },
);
