import type { BundleOptions, Rig } from '../support/rig.ts';

/** The runtimes that are set side by side. */
export type RuntimeName = 'tsrun' | 'runc' | 'crun';

/** Where one row is tried with one runtime. */
export interface Scene {
  readonly rig: Rig;
  readonly runtime: RuntimeName;
  /** Of the row's container; of one that is there already, where the row asks for one. */
  readonly id: string;
  /** The bundle of the row. */
  readonly bundle: string;
  /** The directory of states that the runtime is given. */
  readonly root: string;
  /** A directory for files of the row. */
  readonly place: string;
}

/** One thing that is wrong, and what the message has to hold. The texts may use ID, BUNDLE, ROOT, ROOTFS and PLACE for what differs from run to run. */
export interface BrokenInput {
  /** What is wrong, for a reader who knows containers. */
  readonly name: string;
  readonly bundle?: BundleOptions;
  /** Status of a container that is there before, with the id of the row. Its bundle runs `sleep`. */
  readonly container?: 'created' | 'running' | 'stopped';
  /** Makes what else the row needs, and returns nothing that outlives the rig's directory. */
  readonly prepare?: (scene: Scene) => void;
  /** Undoes what would keep the container of the row from being deleted. */
  readonly restore?: (scene: Scene) => void;
  /** The command line. Default: `run` of the bundle. */
  readonly line?: (scene: Scene) => readonly string[];
  /** Global options in the place of `--root ROOT`. */
  readonly global?: (scene: Scene) => readonly string[];
  /** What the runtime is run under. */
  readonly under?: (scene: Scene) => readonly string[];
  /** Everything is done by an ordinary user, with no ids but its own. */
  readonly ordinaryUser?: true;
  /** Exit code of tsrun. Default: 1. */
  readonly code?: number;
  /** Why it cannot be done, in words. */
  readonly cause: RegExp | string;
  /** Where it is wrong: a place in config.json, a path, an option, an id. */
  readonly place: RegExp | string;
  /** What mends it, where tsrun can know. */
  readonly remedy?: RegExp | string;
  /** The message comes from the container itself, whose program could not be executed. */
  readonly saidInside?: true;
}

/** Rows about one subject. */
export interface Subject {
  readonly subject: string;
  readonly rows: readonly BrokenInput[];
}
