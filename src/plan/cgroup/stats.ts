import type { Integer } from './values.ts';

/**
 * What the kernel counts for a container, in the sections of the document that `events` prints. Integers that a number cannot hold
 * exactly are BigInts. Source: runc types/events.go, whose names the printed document has.
 */
export interface Stats {
  readonly cpu: CpuStats;
  readonly cpuset: CpusetStats;
  readonly memory: MemoryStats;
  readonly pids: PidsStats;
  readonly blkio: BlkioStats;
  /** Page size, such as `2MB` -> counters. */
  readonly hugetlb: Readonly<Record<string, HugetlbStats>>;
}

/** CPU time, and how often the quota was used up. */
export interface CpuStats {
  /** Nanoseconds. */
  readonly usage: {
    readonly total: Integer;
    readonly kernel: Integer;
    readonly user: Integer;
    /** An entry for each CPU; cgroup v1. */
    readonly percpu?: readonly Integer[];
    readonly percpuKernel?: readonly Integer[];
    readonly percpuUser?: readonly Integer[];
  };
  readonly throttling: {
    readonly periods: Integer;
    readonly throttledPeriods: Integer;
    readonly throttledTime: Integer;
  };
  readonly psi?: Pressure;
}

/** All of cgroup v1. */
export interface CpusetStats {
  readonly cpus: readonly number[];
  readonly mems: readonly number[];
  /** Name of the control file without `cpuset.` -> its value. */
  readonly flags: Readonly<Record<string, Integer>>;
}

/** One of the counters of memory. */
export interface MemoryEntry {
  /** Bytes; the kernel's largest value is no limit. */
  readonly limit: Integer;
  readonly usage: Integer;
  /** The most that was used so far. */
  readonly max: Integer;
  /** How often the limit was hit. */
  readonly failcnt: Integer;
}

/** Memory, with swap, and that of the kernel on the container's behalf. */
export interface MemoryStats {
  /** Bytes of the page cache. */
  readonly cache: Integer;
  readonly usage: MemoryEntry;
  /** Memory and swap together, on cgroup v2 too. */
  readonly swap: MemoryEntry;
  /** cgroup v1. */
  readonly kernel: MemoryEntry;
  readonly kernelTCP: MemoryEntry;
  /** memory.stat, by name. */
  readonly raw: Readonly<Record<string, Integer>>;
  readonly psi?: Pressure;
}

/** Number of tasks. */
export interface PidsStats {
  readonly current: Integer;
  /** 0 is no limit. */
  readonly limit: Integer;
}

/** A counter of one device and kind of operation. */
export interface BlkioEntry {
  readonly major: number;
  readonly minor: number;
  /** `Read`, `Write`, `Sync`, `Async`, `Discard` or `Total`; the empty string where the kernel counts all of them in one. */
  readonly op: string;
  readonly value: Integer;
}

/** Each list counts the cgroups below the container's too. */
export interface BlkioStats {
  readonly serviceBytes: readonly BlkioEntry[];
  readonly serviced: readonly BlkioEntry[];
  readonly queued: readonly BlkioEntry[];
  readonly serviceTime: readonly BlkioEntry[];
  readonly waitTime: readonly BlkioEntry[];
  readonly merged: readonly BlkioEntry[];
  readonly time: readonly BlkioEntry[];
  readonly sectors: readonly BlkioEntry[];
  readonly psi?: Pressure;
}

/** Huge pages of one size. */
export interface HugetlbStats {
  /** Bytes. */
  readonly usage: Integer;
  readonly max: Integer;
  readonly failcnt: Integer;
}

/** Pressure stall information: how much time tasks lost for want of a resource. cgroup v2. */
export interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}

/** Lost time of some tasks, or of all at once. */
export interface PressureLine {
  /** Percent of the last 10, 60 and 300 seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  /** Microseconds. */
  readonly total: Integer;
}
