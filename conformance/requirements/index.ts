import type { Requirement } from '../harness/requirement.ts';
import { mountOptions } from './mount-options.ts';
import { operations } from './operations.ts';

/** Every requirement, in the order of the report. */
export const requirements: readonly Requirement[] = [...operations, ...mountOptions];
