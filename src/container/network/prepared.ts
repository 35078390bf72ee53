import type { NetworkChoice } from '../../plan/network/choice.ts';
import type { NetworkRewriting } from '../../plan/network/rewrite.ts';
import type { CniReference } from '../../spec/generated/record.ts';

/** A network that was chosen, and what it needs. */
export interface PreparedNetwork {
  readonly choice: NetworkChoice;
  readonly rewriting: NetworkRewriting;
  /** Files of the state directory that the container sees: path in the container -> absolute path. */
  readonly files: Readonly<Record<string, string>>;
  /** Inode of a namespace that was chosen by a process, whose number may be another's by the time it is joined. */
  readonly joins?: string;
  /** What the plugins are going to be called with. */
  readonly cni?: CniReference;
}
