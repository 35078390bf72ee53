import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import type { Runtime } from '../../src/container/caller/caller.ts';
import type { RuntimeOptions } from '../../src/container/store/options.ts';
import { identifyProcess, type ProcessIdentity } from '../../src/container/store/process-identity.ts';
import type { ContainerRecord } from '../../src/container/store/record.ts';
import type { Log } from '../../src/log.ts';
import { ownRuntime } from '../../src/own-process/own-process.ts';

/** A directory that is gone when the test is over. */
export function makeDirectory(t: Test): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'tsrun-test-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/** A log that keeps its lines, `level: message`. */
export function keepLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  return { log: { debug: keep('debug'), warning: keep('warning'), error: keep('error') }, lines };
}

/** A runtime for which this test is the caller, with a log that keeps its lines. */
export function keepRuntime(options: Partial<RuntimeOptions> = {}): Runtime & { readonly lines: string[] } {
  const { log, lines } = keepLog();
  return { ...ownRuntime({ root: '/nonexistent', cgroupManager: 'cgroupfs', log, ...options }), lines };
}

/** This test's own process. */
export function ownIdentity(): ProcessIdentity {
  const identity = identifyProcess(process.pid);
  if (identity === undefined) throw new Error('this process is not there');
  return identity;
}

/** A process with the number of this one that started at another time. */
export const GONE: ProcessIdentity = { pid: process.pid, startTime: '1' };

export function makeRecord(changes: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    version: 1,
    id: 'c1',
    bundle: '/bundle',
    rootfs: '/bundle/rootfs',
    created: '2026-01-02T03:04:05.678Z',
    creator: GONE,
    isComplete: true,
    cgroup: { manager: 'disabled', version: 'none', directories: [] },
    preserveFds: 0,
    isChrooted: false,
    hasPidNamespace: true,
    ...changes,
  };
}
