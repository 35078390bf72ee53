import { TsrunError } from '../errors.ts';
import { cgroupPlanToJson, printCgroupPlan } from '../plan/cgroup/print.ts';
import type { CreatePlan } from '../plan/create.ts';
import { planHook, startContainerSetting, type HookSetting } from '../plan/container-hook.ts';
import { descriptorNumbers } from '../plan/base/context.ts';
import { printDifference, type Side } from '../plan/explain/difference.ts';
import { pictureOf, type Picture } from '../plan/explain/picture.ts';
import { drawPage } from '../plan/explain/page.ts';
import { describeLayer } from '../plan/explain/layer.ts';
import { describeConnection } from '../plan/explain/network.ts';
import { printSummary } from '../plan/explain/summary.ts';
import { isConnected, type NetworkChoice } from '../plan/network/choice.ts';
import { planRunListened, planRunProgram } from '../plan/run-program.ts';
import type { CompiledSeccomp } from '../plan/seccomp/load.ts';
import { printProgram, programToJson } from '../program/print.ts';
import type { Program } from '../program/step.ts';
import type { Timeline } from '../program/timeline.ts';
import { readTraceEvents } from '../program/trace-events.ts';
import type { Config, Hook } from '../spec/generated/config.ts';
import { openBundle, planFor } from './build/prepare-container.ts';
import { hostFactsOf } from './caller/host.ts';
import type { Runtime } from './caller/caller.ts';
import type { ExplainOptions } from './store/options.ts';
import { compileSeccomp } from './build/become-program.ts';

/** What `run` would do: the programs of the plan, in the order in which init would get them. */
export interface Explanation {
  /** What the container is, for a person. */
  readonly summary: string;
  /** Every step of the plan, for a person. */
  readonly text: string;
  /** The same as plain JSON. */
  readonly json: unknown;
}

/**
 * What `run` would do with a bundle on this host, without doing any of it. Needs no root.
 *
 * What only the container can tell is filled in as it usually is: the program is found where the first candidate says, the home
 * directory is `/`. Errors: those that planning has (`bundle`, `config`, `unsupported`).
 */
export async function explainContainer(runtime: Runtime, options: ExplainOptions): Promise<Explanation> {
  const drawing = await draw(runtime, options);
  return {
    summary: printSummary(drawing.picture, drawing.programs),
    text: printPlan(drawing),
    json: planToJson(drawing),
  };
}

/**
 * The same as a page of its own, with the time that each step took where there is the text of a trace. Errors: as `explainContainer`;
 * `usage` for what is no trace.
 */
export async function drawContainer(
  runtime: Runtime,
  options: ExplainOptions,
  { trace }: { readonly trace?: string },
): Promise<string> {
  const timeline = trace === undefined ? undefined : readTrace(trace);
  return drawPage({ ...(await draw(runtime, options)), timeline });
}

function readTrace(text: string): Timeline {
  let trace: unknown;
  try {
    trace = JSON.parse(text);
  } catch {
    trace = undefined;
  }
  const timeline = readTraceEvents(trace);
  if (timeline !== undefined) return timeline;
  throw new TsrunError('usage', 'read the trace: it is none; wanted a file that "tsrun --trace FILE run" has written');
}

/** What is not the same when a container is made of another bundle. Errors: as `explainContainer`, for either. */
export async function compareContainers(
  runtime: Runtime,
  options: ExplainOptions,
  other: ExplainOptions,
): Promise<string> {
  const side = ({ picture, plan: { cgroup }, programs, rootfs }: Drawing): Side => ({
    picture,
    rootfs,
    cgroup,
    programs,
  });
  return printDifference(side(await draw(runtime, options)), side(await draw(runtime, other)));
}

/** A plan, and a picture of what it makes. */
interface Drawing {
  readonly picture: Picture;
  readonly plan: CreatePlan;
  readonly programs: readonly Program[];
  readonly rootfs: string;
  readonly network: NetworkChoice | undefined;
}

async function draw(runtime: Runtime, options: ExplainOptions): Promise<Drawing> {
  const { bundle, network } = await openBundle(runtime, options);
  const host = hostFactsOf(runtime.caller);
  const { process, hooks } = bundle.config;
  const seccomp = await compileSeccomp(bundle.config, process, host, { runtime, isCached: false });
  const plan = planFor(runtime, options, { bundle, host, seccomp });
  const programs = [
    ...plan.phases.flatMap(({ program, exchange }) =>
      exchange === 'rootfs' ? [program, ...hookPrograms(plan.hooks, hooks?.createContainer)] : [program],
    ),
    ...lastPrograms(plan, bundle.config, { ...options, seccomp }),
  ];
  const { config, facts } = bundle;
  const { rootfs } = facts;
  const chosen = network?.choice;
  return {
    picture: pictureOf({ id: options.id, bundle: facts.bundle, rootfs, config, plan, seccomp, network: chosen }),
    network: chosen,
    plan,
    programs,
    rootfs,
  };
}

function lastPrograms(
  plan: CreatePlan,
  { process, hooks }: Config,
  { preserved, seccomp }: Pick<ExplainOptions, 'preserved'> & { readonly seccomp: CompiledSeccomp | undefined },
): Program[] {
  if (process === undefined) return [];
  const executable = plan.candidates[0] ?? '';
  const program = { process, executable, home: '/', ...(seccomp === undefined ? {} : { seccomp }) };
  const descriptors = descriptorNumbers(preserved.length);
  const before = hookPrograms(startContainerSetting(descriptors, program), hooks?.startContainer);
  if (seccomp?.position !== 'late' || seccomp.listener === undefined)
    return [...before, planRunProgram(descriptors, program)];
  const { load, run } = planRunListened(descriptors, program, seccomp);
  // Everything from the sync pipe on is closed by then: the listener gets the number behind it.
  return [...before, load, run(descriptors.sync + 1)];
}

/** What init does for the hooks that run in the container; those outside of it are no part of a program. */
function hookPrograms(setting: HookSetting, hooks: readonly Hook[] = []): Program[] {
  return hooks.flatMap((hook, index) => {
    const { start, reap } = planHook(setting, hook, `${setting.kind} hook #${index}`);
    return [start, reap];
  });
}

function printPlan({ plan, programs, network }: Drawing): string {
  const parts = [`cgroup\n\n${indent(printCgroupPlan(plan.cgroup))}`];
  if (plan.idMaps !== undefined) {
    const lines = (['uid', 'gid'] as const).flatMap((kind) =>
      (plan.idMaps?.[kind] ?? []).map(({ containerID, hostID, size }) => `${kind} ${containerID} ${hostID} ${size}`),
    );
    parts.push(`id maps, written by the parent\n\n${indent(lines.join('\n'))}`);
  }
  if (plan.overlay !== undefined)
    parts.push(`layer, made by the parent\n\n${indent(describeLayer(plan.overlay).join('\n'))}`);
  for (const program of programs) parts.push(printProgram(program).trimEnd());
  if (isConnected(network))
    parts.push(`network, made by the parent at "network"\n\n${indent(describeConnection(network).join('\n'))}`);
  const limits = plan.rlimits.map(({ label, pointer }) => `${label} (${pointer})`);
  if (limits.length > 0)
    parts.push(`resource limits, set by the parent when the process exists\n\n${indent(limits.join('\n'))}`);
  for (const warning of plan.warnings) parts.push(`warning: ${warning}`);
  return `${parts.join('\n\n')}\n`;
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}

function planToJson({ plan, programs, network }: Drawing): unknown {
  const { idMaps, idmapNamespaces, warnings, overlay } = plan;
  const cgroup = cgroupPlanToJson(plan.cgroup);
  const rlimits = plan.rlimits.map((limit) => ({ ...limit, soft: String(limit.soft), hard: String(limit.hard) }));
  return {
    cgroup,
    idMaps,
    idmapNamespaces,
    network,
    overlay,
    programs: programs.map(programToJson),
    rlimits,
    warnings,
  };
}
