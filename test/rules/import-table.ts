/** What the files of one folder of src/ may import beside the folder itself, `errors.ts` and `util/`. */
export interface FolderRule {
  /** Folders, or files and folders below one: `plan` allows all of it, `program/print` that file alone. */
  readonly folders: readonly string[];
  /** The same, for imports of types only. */
  readonly types?: readonly string[];
  /** Packages, and modules of Node. */
  readonly outside?: readonly string[];
  /** It acts on the machine, so it may log. */
  readonly acts?: true;
}

/** The folders that only decide: no module of Node, no time, no chance, no output. */
export const PURE = ['plan', 'program', 'init', 'spec', 'util', 'errors.ts'];

/** Folder or top-level file -> what it may import. From the command down to the kernel, and no way back up. */
export const IMPORT_TABLE: Readonly<Record<string, FolderRule>> = {
  'load-command.ts': { folders: [], outside: ['node:fs', 'node:path', 'node:vm'], acts: true },
  'main.ts': { folders: ['cli', 'planner', 'own-process'], acts: true },
  'shim-main.ts': { folders: ['shim', 'cli', 'host'], outside: ['node:fs'], acts: true },
  'index.ts': { folders: ['library', 'spec'], types: ['container/store/options'] },
  library: {
    folders: ['own-process', 'container', 'process/turns', 'plan/network/choice', 'cgroup/oom', 'host', 'sys', 'spec'],
    types: ['cgroup/cgroup', 'log.ts'],
    outside: ['node:async_hooks', 'node:fs', 'node:stream'],
  },
  cli: {
    folders: ['own-process', 'container', 'image', 'plan/network/choice', 'spec', 'program/print', 'host'],
    outside: ['yargs', 'node:fs', 'node:path', 'node:url'],
    acts: true,
  },
  // A command for another process: it reads the command line as cli does, and is that process's operations.
  planner: {
    folders: [
      ...[
        'cli',
        'library/interruption',
        'own-process',
        'container',
        'process',
        'host',
        'sys',
        'spec/overlay',
        'spec/validate',
        'spec/known-configs',
        'spec/template',
      ],
      ...['plan/launcher', 'plan/obstacles', 'plan/cgroup/systemd/bus-addresses'],
    ],
    types: ['program', 'spec/generated', 'log.ts'],
    outside: ['node:fs', 'node:os', 'node:path'],
    acts: true,
  },
  // A program with the library: it looks past it only for what the library keeps to itself, where a container's cgroup is.
  shim: {
    folders: [
      ...['library', 'container/store', 'cgroup/oom', 'protobuf', 'sys', 'host/facts', 'host/host-view'],
      ...['process/idmapped-namespaces', 'plan/choose-container', 'spec/parse', 'spec/mount-options'],
    ],
    types: ['plan/cgroup/stats', 'spec/generated', 'log.ts'],
    outside: ['node:child_process', 'node:fs', 'node:path', 'node:stream'],
    acts: true,
  },
  // Who asks, where that is this process: below it nobody looks.
  'own-process': {
    folders: ['container', 'process/kill-and-wait', 'plan/launcher', 'plan/cgroup/systemd/bus-addresses', 'sys'],
    outside: ['node:fs'],
    acts: true,
  },
  container: {
    folders: ['process', 'network', 'criu', 'cgroup', 'seccomp', 'host', 'sys', 'plan', 'program', 'init', 'spec'],
    outside: ['node:fs', 'node:fs/promises', 'node:child_process', 'node:path', 'node:tty'],
    acts: true,
  },
  // The bridge and what plugins of CNI are asked; which addresses and rules plan/network decides.
  network: {
    folders: ['host/network-namespace', 'process/run-tool', 'plan/network', 'spec/parse', 'sys'],
    types: ['spec/generated'],
    outside: ['node:fs', 'node:path'],
    acts: true,
  },
  // The conversation with CRIU; what is said in it plan/checkpoint decides.
  criu: { folders: ['protobuf', 'process', 'sys'], acts: true },
  // Files of a stranger's, which only this command reads: it knows nothing of containers.
  image: {
    folders: ['sys', 'spec/annotations', 'spec/overlay', 'spec/template'],
    types: ['spec/generated'],
    outside: ['node:crypto', 'node:fs', 'node:path/posix', 'node:stream', 'node:zlib'],
    acts: true,
  },
  process: { folders: ['sys', 'program', 'init'], acts: true },
  cgroup: {
    folders: ['sys', 'plan/cgroup'],
    types: ['spec/generated'],
    outside: ['node:fs', 'node:path'],
    acts: true,
  },
  seccomp: {
    folders: ['sys', 'plan/seccomp'],
    outside: ['node:crypto', 'node:fs', 'node:path'],
    acts: true,
  },
  host: {
    folders: ['sys'],
    types: ['plan/base/facts', 'plan/base/cgroup-layout', 'spec/generated'],
    outside: ['node:fs', 'node:os', 'node:path'],
    acts: true,
  },
  // How messages travel, for the shim and for CRIU.
  protobuf: { folders: [] },
  // node:module makes the `require` with which koffi's native half is loaded without the rest of it; node:fs reads /proc.
  sys: { folders: [], outside: ['koffi', 'node:fs', 'node:module', 'node:path'] },
  plan: { folders: ['spec', 'program'] },
  program: { folders: [] },
  init: { folders: ['program'] },
  spec: { folders: [] },
  util: { folders: [] },
  'errors.ts': { folders: [] },
  // It opens and appends to the file of --log.
  'log.ts': { folders: [], outside: ['node:fs'] },
};

/** The rooms of container/, each of which may import those before it. */
export const CONTAINER_ROOMS = ['store', 'caller', 'network', 'hooks', 'layers', 'failures', 'build', 'known', 'criu'];

/** Modules that only some files of a folder may import, though the table allows them to the folder. */
export const ONLY_IN: Readonly<Record<string, { readonly files: readonly string[]; readonly reason: string }>> = {
  'node:child_process': {
    files: ['container/hooks/runtime.ts', 'shim/bootstrap/apart.ts'],
    reason:
      'it forks a process with V8 in it, whose executable is the node binary (CVE-2019-5736); only hooks are worth that, and a shim is one',
  },
};

/** Imports that the table forbids and that stay all the same, each with the reason. One that is no longer there fails the test. */
export const DEVIATIONS: readonly { readonly file: string; readonly target: string; readonly reason: string }[] = [
  { file: 'host/facts.ts', target: 'program/calls.ts', reason: 'a type: which architecture this host has is a fact' },
];
