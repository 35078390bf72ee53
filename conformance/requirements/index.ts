import type { Requirement } from '../harness/requirement.ts';
import { configRequirements } from './config.ts';
import { featureRequirements } from './features.ts';
import { filesystemRequirements } from './filesystem.ts';
import { hookRequirements } from './hooks.ts';
import { mountOptions } from './mount-options.ts';
import { namespaceRequirements } from './namespaces.ts';
import { noteOn } from './notes.ts';
import { operations } from './operations.ts';
import { processRequirements } from './process.ts';
import { resourceRequirements } from './resources.ts';
import { schemaRequirements } from './schemas.ts';
import { listenerRequirements } from './seccomp-listener.ts';
import { seccompRequirements } from './seccomp.ts';

const all: readonly Requirement[] = [
  ...operations,
  ...configRequirements,
  ...processRequirements,
  ...filesystemRequirements,
  ...mountOptions,
  ...namespaceRequirements,
  ...hookRequirements,
  ...resourceRequirements,
  ...seccompRequirements,
  ...listenerRequirements,
  ...featureRequirements,
  ...schemaRequirements,
];

/** Every requirement, in the order of the report, with what is noted on it. */
export const requirements: readonly Requirement[] = all.map((requirement) => ({
  ...noteOn(requirement.id),
  ...requirement,
}));
