import type { Example } from './command.ts';

/** What help and manual pages say of words that occur in every command: word -> meaning. */
export const TERMS: Readonly<Record<string, string>> = {
  ID: 'the name that you give a container: up to 255 letters, digits and "_+.-"',
  bundle: 'a directory with config.json, which says what runs and what it sees, and the root file system that it names',
};

/** Of `wait`, where a container has ended and nobody can tell how. */
export const UNKNOWN_END = 4;

/** Exit code, in words -> when. */
export const EXIT_CODES: Readonly<Record<string, string>> = {
  0: 'it is done',
  1: 'it failed; one line on standard error says why',
  2: 'check: something is wrong with the bundle, or missing on this host',
  3: 'there is no such command',
  [UNKNOWN_END]: 'wait: nobody can tell the exit code any more',
  255: 'exec failed before the program ran',
  'of the program': 'run and exec, unless detached; 128 + N when signal N has ended it',
};

/** A container from nothing to its end. */
export const EXAMPLES: readonly Example[] = [
  ['tsrun spec', 'write a config.json to start from'],
  ['sudo tsrun run web', 'run the bundle of this directory as "web"'],
  ['sudo tsrun exec -t web sh', 'look around in it'],
  ['sudo tsrun delete --force web', 'end and remove it'],
];

const IMAGES =
  '"tsrun unpack LAYOUT[:TAG] DIR" makes a bundle of an image; skopeo, or an engine, fetches and builds images';

/** What people write who know other tools -> what does that here. */
export const HABITS: Readonly<Record<string, string>> = {
  attach: 'the terminal of a container is that of its "tsrun run"; "tsrun exec -t ID sh" opens another',
  build: IMAGES,
  images: IMAGES,
  inspect: '"tsrun state ID" prints the state of a container',
  logs: 'output goes where that of "tsrun run" or "tsrun create" went',
  ls: '"tsrun list" lists the containers',
  pull: IMAGES,
  remove: '"tsrun delete ID" removes a container',
  rm: '"tsrun delete ID" removes a container',
  stop: '"tsrun kill ID" sends TERM, and "tsrun kill ID KILL" ends a container',
  top: '"tsrun ps ID" lists the processes of a container',
  version: '"tsrun --version" prints the version',
  unpause: '"tsrun resume ID" lets a paused container go on',
};
