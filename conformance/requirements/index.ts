import type { Requirement } from '../harness/requirement.ts';
import { configRequirements } from './config.ts';
import { featureRequirements } from './features.ts';
import { filesystemRequirements } from './filesystem.ts';
import { hookRequirements } from './hooks.ts';
import { mountOptions } from './mount-options.ts';
import { namespaceRequirements } from './namespaces.ts';
import { operations } from './operations.ts';
import { processRequirements } from './process.ts';
import { resourceRequirements } from './resources.ts';
import { seccompRequirements } from './seccomp.ts';

/** Every requirement, in the order of the report. */
export const requirements: readonly Requirement[] = [
  ...operations,
  ...configRequirements,
  ...processRequirements,
  ...filesystemRequirements,
  ...mountOptions,
  ...namespaceRequirements,
  ...hookRequirements,
  ...resourceRequirements,
  ...seccompRequirements,
  ...featureRequirements,
];
