import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';

/**
 * What is wrong with a value by one of the JSON schemas of the specification, a line each; empty where nothing is.
 *
 * They are of draft 4, which ajv knows under newer names: what differs for them is `id`, whose place the name of the file takes.
 */
export function problemsBySchema(directory: string, file: string, value: unknown): string[] {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  for (const name of readdirSync(directory).filter((name) => name.endsWith('.json'))) {
    const {
      id: _id,
      $schema: _schema,
      ...schema
    } = JSON.parse(
      // One of the references lacks its slash.
      readFileSync(path.join(directory, name), 'utf8').replaceAll('"#definitions/', '"#/definitions/'),
    ) as Schema;
    ajv.addSchema(schema, name);
  }
  const validate = ajv.getSchema(file);
  if (validate === undefined) throw new Error(`${directory} has no ${file}`);
  if (validate(value) === true) return [];
  return (validate.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath || '/'} ${message}`);
}

interface Schema {
  readonly id?: string;
  readonly $schema?: string;
}
