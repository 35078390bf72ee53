/** config.md, "Root", "Hostname", "Domainname", "Annotations" and "Specification version". */
import type { Issue } from '../../errors.ts';
import { pointerTo } from '../pointer.ts';
import { quote } from '../quote.ts';
import { type DraftConfig, hasNamespace, isAbsent, isDamaged, isForLinux } from './draft.ts';
import { wording } from '../../util/wording.ts';

/** The specification's major version is one that tsrun follows; 0.x documents differ little and are let through. */
export function checkVersion(config: DraftConfig): Issue[] {
  const major = Number(config.ociVersion?.split('.')[0] ?? 1);
  if (major <= 1) return [];
  return [{ pointer: '/ociVersion', message: `is ${quote(config.ociVersion)}, wanted a version 1.x` }];
}

/** There is a root file system. */
export function checkRoot(config: DraftConfig): Issue[] {
  if (config.root !== undefined || isDamaged(config, 'root')) return [];
  return [{ pointer: '', message: `lacks the property "root": ${wording.noRoot}` }];
}

/** A host or domain name is only set in a namespace that is not the host's. */
export function checkHostname(config: DraftConfig): Issue[] {
  if (!isForLinux(config) || hasNamespace(config, 'uts')) return [];
  const issues: Issue[] = [];
  for (const name of ['hostname', 'domainname'] as const) {
    if (isAbsent(config[name])) continue;
    const message = `is ${quote(config[name])} without a namespace of type "uts": unable to set ${name} without a private UTS namespace`;
    issues.push({ pointer: pointerTo('', name), message });
  }
  return issues;
}

/** Annotation keys are not empty. */
export function checkAnnotations(config: DraftConfig): Issue[] {
  if (!Object.hasOwn(config.annotations ?? {}, '')) return [];
  return [{ pointer: '/annotations/', message: 'has the key "", wanted keys that are not empty' }];
}
