import { existsSync, statSync } from 'node:fs';
import type { Test } from 'tap';
import type { CommandResult, RunningCommand } from './command.ts';
import { expectSuccess, type BundleOptions, type Rig } from './rig.ts';
import { waitFor } from './wait.ts';

/** A network namespace in the place of the host's, which ends with the test; everything about the bridge happens in it. */
export class Host {
  readonly #rig: Rig;
  readonly #holder: RunningCommand;

  constructor(rig: Rig) {
    this.#rig = rig;
    this.#holder = rig.start(['unshare', '--net', 'sh', '-c', 'ip link set lo up && echo up && exec sleep 1000'], {
      timeoutMs: 600_000,
    });
  }

  static async begin(t: Test, rig: Rig): Promise<Host> {
    const host = new Host(rig);
    t.teardown(async () => {
      host.#holder.child.kill('SIGKILL');
      await host.#holder.done;
    });
    await waitFor(() => host.#holder.output() === 'up\n');
    return host;
  }

  get pid(): number {
    return this.#holder.pid;
  }

  /** What a command is run under to be in it. */
  get under(): string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`];
  }

  async sh(script: string): Promise<CommandResult> {
    return this.#rig.start([...this.under, 'sh', '-c', script]).done;
  }

  /** Standard output, trimmed; the test fails unless it went well. */
  async output(t: Test, script: string): Promise<string> {
    const result = await this.sh(script);
    expectSuccess(t, result, script);
    return result.stdout.trim();
  }

  async tsrun(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    return this.#rig.tsrun(args, { under: this.under, env });
  }

  async run(flags: readonly string[], bundle: BundleOptions, env = {}): Promise<CommandResult> {
    return this.#rig.run(bundle, { under: this.under, flags, env });
  }

  /** A container that runs until it is deleted. */
  async detached(t: Test, flags: readonly string[], bundle: BundleOptions, env = {}): Promise<string> {
    const id = this.#rig.id('net');
    const args = ['run', '--detach', ...flags, '--bundle', this.#rig.bundle(bundle), id];
    expectSuccess(t, await this.tsrun(args, env));
    return id;
  }

  async exec(id: string, script: string): Promise<CommandResult> {
    return this.tsrun(['exec', id, '/bin/sh', '-c', script]);
  }

  async delete(t: Test, ...ids: readonly string[]): Promise<void> {
    for (const id of ids) expectSuccess(t, await this.tsrun(['delete', '--force', id]));
  }

  /** Devices, rules and leases. */
  async requireClean(t: Test): Promise<void> {
    t.notMatch(await this.output(t, 'ip -o link'), 'tsrun', 'no device is left');
    t.equal(await this.output(t, 'nft list ruleset'), '', 'no rule is left');
    t.notOk(existsSync(this.leases()), 'no lease is left');
  }

  leases(): string {
    return `/run/tsrun-network/${statSync(`/proc/${this.pid}/ns/net`).ino}`;
  }
}

export const BRIDGE = ['--network', 'bridge'];
export const GATEWAY = '10.87.0.1';
/** The address of a container by its own words. */
export const SHOW_ADDRESS = "ip -4 -o address show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/'";
/** Answers each connection with a line. */
export const serve = (line: string): string => `nc -ll -p 8000 -e echo ${line}`;
export const ask = (address: string, port: number): string => `busybox nc -w 3 ${address} ${port} </dev/null`;
export const SLEEP = { args: ['sleep', '1000'] };
