import path from 'node:path';

export interface Arguments {
  /** Paths of runtimes, at least one. */
  readonly runtimes: readonly string[];
  readonly only: readonly string[];
  readonly report?: string;
  readonly jobs: number;
  /** For one command of a runtime. */
  readonly timeoutMs: number;
  /** Folder of the JSON schemas of the specification. */
  readonly schemas?: string;
  readonly runtimeTools?: string;
}

export const USAGE = `usage: npm run conformance -- [OPTION ...]
  --runtime PATH         a runtime to test; may be given several times. Default: the built tsrun
  --only ID              only this requirement, or all whose ids begin with ID and a dot; may be given several times
  --report DIR           write RESULTS.md and RESULTS.html there
  --jobs N               requirements that run at the same time. Default: 4
  --timeout SECONDS      after which a command of a runtime is killed. Default: 60
  --schemas DIR          hold states and features to the JSON schemas there, those of the specification (its folder schema)
  --runtime-tools DIR    run the programs of a built opencontainers/runtime-tools instead
`;

/** Arguments of the command line, or what is wrong with them; empty text where only the usage is asked for. */
export function parseArguments(argv: readonly string[], defaultRuntime: string): Arguments | string {
  const values = new Map<string, string[]>();
  for (let index = 0; index < argv.length; index += 2) {
    const [name = '', value] = argv.slice(index, index + 2);
    if (name === '--help') return '';
    if (!USAGE.includes(`\n  ${name} `) || !name.startsWith('--')) return `unknown option ${JSON.stringify(name)}`;
    if (value === undefined || value === '') return `${name} wants a value`;
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const jobs = Number(last('--jobs') ?? 4);
  const seconds = Number(last('--timeout') ?? 60);
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 64) return '--jobs wants a number from 1 to 64';
  if (!(seconds > 0 && seconds <= 3600)) return '--timeout wants a number of seconds up to 3600';
  const [report, schemas, runtimeTools] = [last('--report'), last('--schemas'), last('--runtime-tools')];
  return {
    runtimes: values.get('--runtime') ?? [defaultRuntime],
    only: values.get('--only') ?? [],
    jobs,
    timeoutMs: seconds * 1000,
    ...(report === undefined ? {} : { report }),
    ...(schemas === undefined ? {} : { schemas: path.resolve(schemas) }),
    ...(runtimeTools === undefined ? {} : { runtimeTools }),
  };
}
