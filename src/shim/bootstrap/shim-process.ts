/** The process that is, or becomes, the shim. */
export interface ShimProcess {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The limit of open files that whoever started it has, where this process has another. */
  readonly openFiles?: { readonly soft: bigint; readonly hard: bigint };
  /** Says what was asked for: whoever waits goes on when nobody has standard output any more. */
  readonly answer: (said: string | Uint8Array) => void;
  /** Says what went wrong, in a line. */
  readonly complain: (message: string) => void;
  readonly versionText: string;
  /** Identity of the build, which launchers name. */
  readonly build: bigint | undefined;
  /** How it becomes its engine again, where a launcher has started that: what a file has to hold, and the environment that names the file. */
  readonly again?: {
    readonly args: readonly string[];
    readonly handOver: (answer: number) => Uint8Array;
    readonly environment: (file: number) => readonly string[];
  };
}
