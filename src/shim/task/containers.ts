import { hasErrno } from '../../sys/errno.ts';
import { nowMs } from '../../sys/clock.ts';
import { CODE, RpcError } from '../wire/rpc.ts';
import { writeDeletedAnswer } from './bundle-record.ts';
import { TaskContainer, type TaskOptions } from './container.ts';
import { failedWith } from './failures.ts';
import type { Setting } from './setting.ts';

/** `TaskContainer.create`, or what stands for it. */
export type MakeContainer = (...args: Parameters<typeof TaskContainer.create>) => Promise<TaskContainer>;

/** How long what a process wrote is waited for when it is deleted: somebody else may hold its pipe. */
export const DRAIN_MS = 2_000;
/** containerd connects and creates at once. */
const EXPECTED_MS = 60_000;

/** The containers that a shim holds, makes or expects, and its own end when it has none and is not wanted. */
export class HeldContainers {
  readonly #held = new Map<string, TaskContainer>();
  /** Id of a container that is being made -> its bundle, and when that is over, however. */
  readonly #creating = new Map<string, { readonly bundle: string; readonly over: Promise<unknown> }>();
  /** Those of them that were deleted before they were there. */
  readonly #unwanted = new Set<string>();
  /** Id of a container that containerd is going to make -> until when that is believed, by the clock of `nowMs`. */
  readonly #expected = new Map<string, number>();
  /** Id of a container of which nothing is wanted any more -> its removal. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** containerd wants no more of this shim. */
  #isUnwanted = false;
  /** Bundle of a container that is deleted -> what its `delete` is to answer, once nothing of this shim is left. */
  readonly #deleted = new Map<string, Uint8Array>();
  readonly #setting: Setting;
  readonly #shutDown: (() => Promise<void>) | undefined;
  readonly #makeContainer: MakeContainer;

  /**
   * `shutDown` is called when nothing is held any more and containerd wants no more: nobody finds this shim when it resolves. Without it
   * the shim has others to expect, whatever containerd says of one.
   */
  constructor(
    setting: Setting,
    shutDown?: () => Promise<void>,
    makeContainer: MakeContainer = (task, own) => TaskContainer.create(task, own),
  ) {
    this.#setting = setting;
    this.#shutDown = shutDown;
    this.#makeContainer = makeContainer;
  }

  /** Nothing is held, made or expected. */
  get isEmpty(): boolean {
    const now = nowMs();
    for (const [id, untilMs] of this.#expected) if (now >= untilMs) this.#expected.delete(id);
    return this.#held.size + this.#creating.size + this.#expected.size === 0;
  }

  /** Of every container, the latest first. */
  bundles(): readonly string[] {
    return [...[...this.#held.values()].reverse(), ...this.#creating.values()].map(({ bundle }) => bundle);
  }

  /** Whether a container is held or being made. */
  has(id: string): boolean {
    return this.#held.has(id) || this.#creating.has(id);
  }

  /** Undefined while it is being made. */
  find(id: string): TaskContainer | undefined {
    return this.#held.get(id);
  }

  /** Errors: RpcError `notFound`. */
  get(id: string): TaskContainer {
    const found = this.find(id);
    if (found === undefined) throw new RpcError(CODE.notFound, `container ${JSON.stringify(id)}: not found`);
    return found;
  }

  /** containerd is going to make a container; one of this id that has ended is no longer known there. Errors: those of the library. */
  async expect(id: string): Promise<void> {
    this.#expected.set(id, nowMs() + EXPECTED_MS);
    if (this.#held.get(id)?.status === 'stopped') await this.#leave(id);
  }

  /** Removes what there is of a container, whatever it does. Errors: those of the library. */
  async forget(id: string): Promise<void> {
    this.#expected.delete(id);
    await this.#creating.get(id)?.over;
    await this.#leave(id);
  }

  /** `isGone`: whoever asked for it is no longer there. Errors: RpcError. */
  async make(task: TaskOptions, isGone: () => boolean): Promise<TaskContainer> {
    const { id, bundle } = task;
    if (this.has(id)) throw new RpcError(CODE.alreadyExists, `there is a container ${JSON.stringify(id)}`);
    const making = this.#make(task, isGone);
    this.#creating.set(id, { bundle, over: making.catch(() => undefined) });
    this.#expected.delete(id);
    try {
      return await making;
    } finally {
      this.#creating.delete(id);
      this.#unwanted.delete(id);
      await this.#endUnwanted();
    }
  }

  /** Removes one that has ended, or was never started. Errors: RpcError. */
  async delete(id: string): Promise<TaskContainer> {
    // containerd has lost patience with it, and deletes what it takes to be there.
    if (this.#creating.has(id)) this.#unwanted.add(id);
    const container = this.get(id);
    const { status } = container;
    if (status !== 'stopped' && status !== 'created')
      throw new RpcError(CODE.failedPrecondition, `cannot delete a container that is ${status}`);
    await container.remove(DRAIN_MS);
    this.#held.delete(id);
    return container;
  }

  /** `answer` is what `delete` of this bundle has to say, now that nothing is left of its container. */
  told(bundle: string, answer: Uint8Array): void {
    this.#deleted.set(bundle, answer);
    // Whoever is left has the end of this shim to look after; one that stays looks after itself.
    if (this.#held.size > 0 || this.#shutDown === undefined) this.#tellDeleted();
  }

  /** containerd wants no more of this shim, which ends when it holds nothing. */
  async leave(): Promise<void> {
    this.#isUnwanted = this.#shutDown !== undefined && this.#held.size === 0;
    await this.#endUnwanted();
  }

  async #make(task: TaskOptions, isGone: () => boolean): Promise<TaskContainer> {
    const container = await this.#makeContainer(task, this.#setting).catch(failedWith('OCI runtime create failed'));
    if (this.#isUnwanted || this.#unwanted.has(task.id) || isGone()) {
      // Whoever is gone with its connection does not ask for the end of a shim that holds nothing.
      this.#isUnwanted ||= this.#shutDown !== undefined && this.#held.size === 0 && this.#creating.size === 1;
      await container.remove(0);
      throw new RpcError(CODE.unavailable, 'the container was given up before it was made');
    }
    this.#held.set(task.id, container);
    return container;
  }

  async #leave(id: string): Promise<void> {
    const container = this.#held.get(id);
    if (container === undefined) return;
    const leaving = this.#leaving.get(id) ?? container.remove(0);
    this.#leaving.set(id, leaving);
    try {
      await leaving;
    } finally {
      if (this.#held.get(id) === container) this.#held.delete(id);
      this.#leaving.delete(id);
    }
  }

  /** containerd may lose patience with a container that is being made: the shim ends when that is done with. */
  async #endUnwanted(): Promise<void> {
    if (!this.#isUnwanted || this.#held.size > 0 || this.#creating.size > 0) return;
    await this.#shutDown?.();
    this.#tellDeleted();
  }

  /** No `delete` has anything left to do for these. */
  #tellDeleted(): void {
    for (const [bundle, answer] of this.#deleted) {
      this.#deleted.delete(bundle);
      try {
        writeDeletedAnswer(bundle, answer);
      } catch (error) {
        // containerd was faster.
        if (!hasErrno(error, 'ENOENT')) throw error;
      }
    }
  }
}
