import type { Issue } from '../errors.ts';
import { record } from './generated/record-validator.js';
import { findSchemaIssues } from './schema-issues.ts';

/** Everything that is wrong with the record of a container. Apart from the other documents, whose validators are large and seldom needed. */
export function validateRecord(value: unknown): readonly Issue[] {
  return findSchemaIssues(record, value).issues;
}
