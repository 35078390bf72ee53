import type { Program, Step } from '../../program/step.ts';

/**
 * What happens at the end of a phase: init has answered and waits, the parent does its part and sends the next program.
 *
 * - `cgroup`   the parent has systemd move init into the container's unit
 * - `id-maps`  the parent writes the id maps of the new user namespace
 * - `pid`      the container's process exists; the parent learns its pid and reaps the process that cloned it
 * - `network`  the parent receives a netlink socket and moves network devices into the container
 * - `copy-up`  the parent copies a directory into a fresh tmpfs
 * - `rootfs`   the parent runs the hooks that belong between the mounts and pivot_root
 * - `host-mounts`  the parent has init hide the host's mounts, which `--no-pivot` leaves behind the rootfs
 * - `console`  the parent receives the master of the console
 * - `passwd`   the parent looks up the home directory
 * - `seccomp`  the parent takes the listener of the seccomp filter over
 * - `ready`    everything is done, the container may be started
 */
export type Exchange =
  | 'cgroup'
  | 'id-maps'
  | 'pid'
  | 'network'
  | 'copy-up'
  | 'rootfs'
  | 'host-mounts'
  | 'console'
  | 'passwd'
  | 'seccomp'
  | 'ready';

export interface Phase {
  readonly program: Program;
  readonly exchange: Exchange;
}

/** Collects steps into phases: each exchange ends a program. */
export class PhaseList {
  readonly #phases: Phase[] = [];
  #steps: Step[] = [];

  add(...lists: readonly (readonly Step[])[]): this {
    for (const steps of lists) this.#steps.push(...steps);
    return this;
  }

  /** Ends the program; its last step is the reply that the exchange answers. */
  exchange(exchange: Exchange, name: string): this {
    this.#phases.push({ program: { name, steps: this.#steps, replies: true }, exchange });
    this.#steps = [];
    return this;
  }

  finish(): readonly Phase[] {
    if (this.#steps.length > 0) throw new Error('bug: steps behind the last exchange');
    return this.#phases;
  }
}
