import { readFileSync } from 'node:fs';
import type { HostFacts, IdentityFacts } from '../plan/base/facts.ts';
import type { OwnedFd } from '../sys/fd.ts';
import { openFile } from '../sys/file.ts';
import { pollException } from '../sys/events/poll.ts';
import { O_RDONLY } from '../util/constants.ts';
import { readCgroupLayoutFrom } from './cgroup-layout.ts';
import { readHostFacts } from './facts.ts';
import { readMounts, type MountinfoEntry } from './mountinfo.ts';

/**
 * This machine as one process after the other sees it that has the namespaces of this one: what is the same for all of them is read once,
 * and the mounts again when the kernel says that they have changed (man 5 proc_pid_mountinfo).
 */
export class HostView {
  readonly #proc: string;
  /** Has something to tell when they have changed. */
  readonly #mountinfo: OwnedFd;
  #facts: HostFacts | undefined;
  #mounts: readonly MountinfoEntry[] | undefined;
  #own:
    { readonly facts: HostFacts; readonly membership: string; readonly mounts: readonly MountinfoEntry[] } | undefined;

  /** `proc` is the directory of this process below /proc. Errors: `host`. */
  constructor(proc: string) {
    this.#proc = proc;
    this.#mountinfo = openFile(`${proc}/mountinfo`, O_RDONLY);
  }

  /** The mounts of the namespace, as they are now. */
  mounts(): readonly MountinfoEntry[] {
    if (pollException(this.#mountinfo.number)) this.#mounts = undefined;
    this.#mounts ??= readMounts(this.#proc);
    return this.#mounts;
  }

  /** The facts for this process, whose ids stay as they are: the same object until its cgroups, or mounts, are others. */
  facts(): HostFacts {
    this.#facts ??= readHostFacts(this.#proc);
    const mounts = this.mounts();
    const membership = readFileSync(`${this.#proc}/cgroup`, 'utf8');
    if (this.#own?.mounts !== mounts || this.#own.membership !== membership) {
      const facts = { ...this.#facts, cgroup: readCgroupLayoutFrom(mounts, this.#proc) };
      this.#own = { facts, membership, mounts };
    }
    return this.#own.facts;
  }

  /**
   * The facts for a process that is like this one but for its ids and its cgroups: `identity` is known already, and the cgroups are those
   * of its directory below /proc. Errors: those of `readHostFacts`.
   */
  factsFor(proc: string, identity: Omit<IdentityFacts, 'inUserNamespace'>): HostFacts {
    this.#facts ??= readHostFacts(this.#proc);
    const { inUserNamespace } = this.#facts.identity;
    return {
      ...this.#facts,
      identity: { ...identity, inUserNamespace },
      cgroup: readCgroupLayoutFrom(this.mounts(), proc),
    };
  }
}
