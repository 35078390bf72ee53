import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import t from 'tap';
import { TsrunError } from '../../src/errors.ts';
import { features } from '../../src/spec/features.ts';
import { specTemplate } from '../../src/spec/template.ts';
import { loadConfig, loadFeatures, loadState } from '../../src/spec/validate.ts';
import { fullConfig } from '../fixtures/spec/full-config.ts';

const samples = new URL('../../../shared/oci-spec/schema/test/', import.meta.url);
const loaders = { config: loadConfig, state: loadState, features: loadFeatures };

if (!existsSync(samples)) {
  t.comment(`skipped: the samples of the specification are not at ${samples.pathname}`);
} else {
  testDocuments();
  for (const [kind, load] of Object.entries(loaders)) {
    for (const quality of ['good', 'bad'] as const) testFolder(kind, quality, load);
  }
}

function testFolder(kind: string, quality: 'good' | 'bad', load: (text: string) => unknown): void {
  const folder = new URL(`${kind}/${quality}/`, samples);
  for (const name of readdirSync(folder)) {
    const text = readFileSync(new URL(name, folder), 'utf8');
    t.test(`${kind}/${quality}/${name}`, (t) => {
      const refusal = refusalOf(() => load(text));
      if (quality === 'good') t.equal(refusal, undefined, 'is accepted');
      else t.ok(refusal, `is refused: ${refusal}`);
      t.end();
    });
  }
}

function refusalOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'config') return error.message;
    throw error;
  }
}

/** What tsrun writes, and what it accepts, also follows the schemas of the specification. */
function testDocuments(): void {
  const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });
  const folder = new URL('../', samples);
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.json'))) {
    // The files are draft-04, which ajv no longer has; they use nothing that draft-07 reads differently. One reference
    // lacks a slash.
    const text = readFileSync(new URL(name, folder), 'utf8').replaceAll('"#definitions/', '"#/definitions/');
    const { $schema: _schema, ...schema } = JSON.parse(text) as Record<string, unknown>;
    ajv.addSchema(schema, name);
  }
  const seccomp = { libraryVersion: '2.5.4', supportedFlags: [] };
  const documents: readonly (readonly [name: string, schema: string, document: unknown])[] = [
    ['features()', 'features-schema.json', features({ version: '0', commit: '0' })],
    ['features() with seccomp', 'features-schema.json', features({ version: '0', commit: '0', seccomp })],
    ['specTemplate()', 'config-schema.json', specTemplate({ rootless: false })],
    ['specTemplate() for rootless', 'config-schema.json', specTemplate({ rootless: true })],
    ['a config that uses everything', 'config-schema.json', withoutBigInts(fullConfig)],
  ];
  t.test('follows the schemas of the specification', (t) => {
    for (const [name, schema, document] of documents) {
      const validate = ajv.getSchema(schema);
      if (validate === undefined) throw new Error(`no schema ${schema}`);
      t.ok(validate(document), `${name}: ${ajv.errorsText(validate.errors)}`);
    }
    t.end();
  });
}

// Upstream's keywords know no BigInt; here the nearest number will do.
function withoutBigInts(document: object): unknown {
  return JSON.parse(
    JSON.stringify(document, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
  );
}
