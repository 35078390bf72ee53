import { Parser } from 'tap-parser';

export interface Verdict {
  readonly isOk: boolean;
  /** Its exit code is 0 and no test point failed, whatever it printed besides: what a harness sees that reads only TAP. */
  readonly isOkAsTap: boolean;
  /** Test points that are ok. Some programs have none and only complain. */
  readonly points: number;
  /** What failed, a line each; empty when nothing did. */
  readonly complaints: readonly string[];
}

/** A test point, as tap's parser tells it. */
interface Assert {
  readonly ok: boolean;
  readonly name: string;
  readonly skip?: unknown;
  readonly todo?: unknown;
}

/** As many of a program's failures as say what is wrong. */
const COMPLAINTS = 5;

/**
 * What a program of the runtime-tools found, out of the TAP that it printed.
 *
 * Half of those that test hooks have no test point: they print a YAML block with an `error` outside of any, and exit with 0. For
 * them that block is the failure.
 */
export function verdictOf({
  code,
  stdout,
  stderr,
}: {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}): Verdict {
  const failed: string[] = [];
  let points = 0;
  let extra = '';
  for (const [kind, value] of Parser.parse(stdout) as readonly (readonly unknown[])[]) {
    if (kind === 'extra') extra += String(value);
    if (kind === 'bailout') failed.push(`bail out: ${String(value)}`);
    if (kind !== 'assert') continue;
    const { ok, skip, todo, name } = value as Assert;
    if (ok || Boolean(skip) || Boolean(todo)) points += 1;
    else failed.push(name);
  }
  const isOkAsTap = failed.length === 0 && code === 0;
  failed.push(...errorsIn(extra));
  if (code !== 0) failed.push(`exit code ${code}: ${lastLine(stderr)}`);
  return { isOk: failed.length === 0, isOkAsTap, points, complaints: failed.slice(0, COMPLAINTS).map(oneLine) };
}

function errorsIn(extra: string): string[] {
  return extra.split(/^ *---$/m).flatMap((block) => {
    const [json = ''] = block.split(/^ *\.\.\.$/m);
    const found = /"error": ("(?:[^"\\]|\\.)+")/.exec(json)?.[1];
    return found === undefined ? [] : [JSON.parse(found) as string];
  });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
