import type { CommandEntry } from './command.ts';

/** Name -> command, in the order of the help text. */
export const commandTable: Readonly<Record<string, CommandEntry>> = {
  create: { description: 'create a container', load: () => import('./commands/life/create.ts') },
  start: { description: 'run the program of a created container', load: () => import('./commands/life/start.ts') },
  run: { description: 'create and start a container, and wait for it', load: () => import('./commands/life/run.ts') },
  exec: { description: 'run another program in a container', load: () => import('./commands/life/exec.ts') },
  kill: { description: 'send a signal to a container', load: () => import('./commands/life/kill.ts') },
  pause: {
    description: 'stop all processes of a container where they are',
    load: () => import('./commands/life/pause.ts'),
  },
  resume: {
    description: 'let the processes of a paused container go on',
    load: () => import('./commands/life/resume.ts'),
  },
  delete: { description: 'remove a container and all it holds', load: () => import('./commands/life/delete.ts') },
  state: { description: 'print the state of a container', load: () => import('./commands/inspect/state.ts') },
  list: { description: 'list the containers below the root', load: () => import('./commands/inspect/list.ts') },
  ps: { description: 'list the processes of a container', load: () => import('./commands/inspect/ps.ts') },
  stats: {
    description: 'show what containers use, until interrupted',
    load: () => import('./commands/inspect/stats.ts'),
  },
  wait: {
    description: 'wait until containers have ended, and print their exit codes',
    load: () => import('./commands/inspect/wait.ts'),
  },
  diff: {
    description: 'list what a container has changed of its rootfs, where it has a layer over it',
    load: () => import('./commands/inspect/diff.ts'),
  },
  update: { description: 'change the limits of a container', load: () => import('./commands/life/update.ts') },
  events: {
    description: 'print statistics and events of a container',
    load: () => import('./commands/inspect/events.ts'),
  },
  mount: {
    description: 'mount something in a container that runs, or take it away',
    load: () => import('./commands/life/mount.ts'),
  },
  checkpoint: {
    description: 'save a running container to disk',
    load: () => import('./commands/life/checkpoint.ts'),
  },
  restore: {
    description: 'let a container that was saved go on',
    load: () => import('./commands/life/restore.ts'),
  },
  planner: {
    description: 'serve the commands of this user without an engine of their own; or ask who does',
    load: () => import('./commands/host/planner.ts'),
  },
  unpack: {
    description: 'make a bundle of an image in a layout or an archive',
    load: () => import('./commands/host/unpack.ts'),
  },
  spec: { description: 'write a config.json to start from', load: () => import('./commands/host/spec.ts') },
  features: { description: 'print what this tsrun supports', load: () => import('./commands/host/features.ts') },
  completion: {
    description: 'print a script with which a shell completes tsrun',
    load: () => import('./commands/host/completion.ts'),
  },
  doctor: {
    description: 'print what this host can do for containers, and how to mend what it cannot',
    load: () => import('./commands/host/doctor.ts'),
  },
  check: {
    description: 'print what is wrong with a bundle, and with this host for it',
    load: () => import('./commands/inspect/check.ts'),
  },
  explain: {
    description: 'print what a container would be, and what creating it would do',
    load: () => import('./commands/inspect/explain.ts'),
  },
};
