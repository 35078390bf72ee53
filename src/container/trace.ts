import { closeSync, openSync } from 'node:fs';
import { TsrunError } from '../errors.ts';
import type { Log } from '../log.ts';
import { Tracer } from '../process/tracer.ts';
import { durationOf, type Timeline } from '../program/timeline.ts';
import { traceEvents } from '../program/trace-events.ts';
import { writeFully } from '../sys/io.ts';
import { escapeControls } from '../util/escape-controls.ts';
import type { Runtime } from './caller/caller.ts';
import type { RuntimeOptions } from './store/options.ts';

/** Who wants to know where the time of an operation goes. */
export type TraceOptions = Pick<RuntimeOptions, 'traceFile' | 'logsSteps'> & {
  /** What the trace says of itself beside the time, such as the name of the operation. */
  readonly about: Readonly<Record<string, string>>;
};

/**
 * Carries out an operation and tells where its time went, until its program runs or it fails. Errors: those of the operation; `host`
 * where the file cannot be opened, before anything else happens.
 */
export async function traceOperation<T>(
  runtime: Runtime,
  { traceFile, logsSteps = false, about }: TraceOptions,
  operation: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const fd = traceFile === undefined ? undefined : openTrace(traceFile);
  try {
    using tracer = new Tracer((timeline) => {
      if (logsSteps) logTimeline(timeline, runtime.log);
      if (fd !== undefined) writeTrace(fd, JSON.stringify(traceEvents(timeline, about)), runtime.log);
    });
    try {
      return await operation({ ...runtime, tracer });
    } finally {
      tracer.finish();
    }
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function openTrace(file: string): number {
  try {
    return openSync(file, 'w', 0o644);
  } catch (error) {
    throw TsrunError.of('host', `open trace file ${JSON.stringify(file)}`, error);
  }
}

/** The container is made by then, and no worse for a trace that does not fit on a disk. */
function writeTrace(fd: number, text: string, log: Log): void {
  try {
    writeFully(fd, Buffer.from(`${text}\n`));
  } catch (error) {
    log.warning(TsrunError.of('host', 'write the trace', error).message);
  }
}

function logTimeline({ phases, programs }: Timeline, log: Log): void {
  const waiting = [...programs];
  for (const phase of phases) {
    log.debug(`phase ${JSON.stringify(phase.name)}: ${showDuration(durationOf(phase))}`);
    while (waiting[0] !== undefined && waiting[0].from < phase.to) {
      for (const step of waiting.shift()?.steps ?? []) {
        const place = step.pointer === undefined ? '' : ` (${step.pointer} of config.json)`;
        log.debug(`step ${escapeControls(step.label)}: ${step.call}, ${showDuration(durationOf(step))}${place}`);
      }
    }
  }
}

function showDuration(us: number): string {
  return us < 1000 ? `${Math.round(us)} us` : `${(us / 1000).toFixed(2)} ms`;
}
