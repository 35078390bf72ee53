import type { Issue } from '../errors.ts';
import type { SchemaError, Validator } from './generated/validator.ts';
import { valueAt } from './pointer.ts';
import { quote } from './quote.ts';
import { wording } from '../util/wording.ts';

/** What a schema refuses in a document. */
export interface SchemaIssues {
  /** One issue a place, in the document's words rather than the schema's. */
  readonly issues: readonly Issue[];
  /** Pointers to the values that cannot be used; an object that only lacks a property is not among them. */
  readonly damaged: readonly string[];
}

/** Checks a document against its schema. */
export function findSchemaIssues(validator: Validator, document: unknown): SchemaIssues {
  if (validator(document)) return { issues: [], damaged: [] };
  const missing: Issue[] = [];
  const wrong = new Map<string, Issue>();
  for (const error of validator.errors ?? []) {
    const pointer = error.instancePath;
    if (error.keyword === 'required') {
      missing.push({ pointer, message: describeMissing(error) });
    } else if (!wrong.has(pointer)) {
      // A value that breaks several keywords is one mistake.
      const message = `is ${quote(valueAt(document, pointer))}, wanted ${describeWanted(error)}`;
      wrong.set(pointer, { pointer, message });
    }
  }
  return { issues: [...wrong.values(), ...missing], damaged: [...wrong.keys()] };
}

// Wording that callers of runc look for.
const knownMissing: ReadonlyMap<string, string> = new Map([
  ['/process cwd', wording.emptyCwd],
  [' cwd', wording.emptyCwd],
]);

function describeMissing({ instancePath, params }: SchemaError): string {
  const name = String(params['missingProperty']);
  const reason = knownMissing.get(`${instancePath} ${name}`);
  return `lacks the property ${quote(name)}${reason === undefined ? '' : `: ${reason}`}`;
}

function describeWanted({ keyword, params }: SchemaError): string {
  switch (keyword) {
    case 'type':
      return typeNames[String(params['type'])] ?? String(params['type']);
    case 'enum':
      return `one of ${(params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value)).join(', ')}`;
    case 'tsrunInteger':
      return `an integer between ${String(params['minimum'])} and ${String(params['maximum'])}`;
    case 'tsrunPattern':
      return String(params['wanted']);
    case 'minItems':
      return `at least ${String(params['limit'])} item`;
    default:
      throw new Error(`bug: the schemas use the keyword "${keyword}", which has no wording`);
  }
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a string',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
};
