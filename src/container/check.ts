import { TsrunError, type Issue } from '../errors.ts';
import { findWeakSpots } from '../spec/rules/weak-spots.ts';
import { loadConfig } from '../spec/validate.ts';
import { compileSeccomp } from './build/become-program.ts';
import { openBundle, planFor } from './build/prepare-container.ts';
import { hostFactsOf } from './caller/host.ts';
import type { Runtime } from './caller/caller.ts';
import { checkProgram } from './failures/check-program.ts';
import type { ExplainOptions } from './store/options.ts';

/** Something that is wrong with a bundle, or worth knowing of it. */
export interface Finding extends Issue {
  /** `error`: no container can be made of it here. `warning`: one can, and it may not be what was meant. `weak`: it is left open. */
  readonly severity: 'error' | 'warning' | 'weak';
}

/**
 * Everything that is wrong with a bundle, and with this host for it, as far as it can be seen without making a container. Needs no root.
 *
 * The gravest come first; what cannot be looked at because of an error stays unsaid. Errors: none of the bundle's own: they are what is returned.
 */
export async function checkBundle(runtime: Runtime, options: ExplainOptions): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    await lookInto(runtime, options, (severity, issue) => findings.push({ severity, ...issue }));
  } catch (error) {
    if (!(error instanceof TsrunError)) throw error;
    const { issues, text, pointer = '' } = error;
    const found = issues.length > 0 ? issues : [{ pointer, message: text }];
    findings.push(...found.map((issue) => ({ severity: 'error' as const, ...issue })));
  }
  const order: readonly Finding['severity'][] = ['error', 'warning', 'weak'];
  return order.flatMap((severity) => findings.filter((finding) => finding.severity === severity));
}

/** From what is written to what is there, as creating goes. Errors: the first that it would have. */
async function lookInto(
  { caller, ...runtime }: Runtime,
  options: ExplainOptions,
  note: (severity: Finding['severity'], issue: Issue) => void,
): Promise<void> {
  const warn = (message: string): void => {
    note('warning', { pointer: '', message });
  };
  const silent = { debug: () => undefined, warning: () => undefined, error: () => undefined };
  const talking = { ...runtime, caller, log: { ...silent, warning: warn } };
  // Whoever makes a container has hardly ever written its filter, and gets no more than a message for debugging.
  const filtering = { ...talking, log: { ...talking.log, debug: warn } };
  const load = (configText: string) => {
    const loaded = loadConfig(configText, options.configFile);
    for (const issue of loaded.warnings) note('warning', issue);
    for (const issue of findWeakSpots(loaded.config)) note('weak', issue);
    // It would say again what has been said.
    return { ...loaded, warnings: [] };
  };
  const { bundle } = await openBundle({ ...talking, caller: { ...caller, loadConfig: load } }, options);
  const host = hostFactsOf(caller);
  const program = await checkProgram(bundle);
  if (program !== undefined) note(program.severity, { pointer: program.pointer, message: program.message });
  const seccomp = await compileSeccomp(bundle.config, bundle.config.process, host, {
    runtime: filtering,
    isCached: false,
  });
  for (const warning of planFor(talking, options, { bundle, host, seccomp }).warnings) warn(warning);
}
