import type { Case } from '../harness/case.ts';
import { equal } from '../harness/check.ts';
import { section, Skip, type Requirement } from '../harness/requirement.ts';
import { problemsBySchema } from '../harness/schema.ts';

/** What runtimes print, by the JSON schemas of the specification itself: only where `--schemas` names their folder. */

const state = section('runtime.md', 'State');
const features = section('features.md', 'Features Structure');

function folderOf({ schemas }: Case): string {
  if (schemas === undefined) throw new Skip('--schemas names no folder');
  return schemas;
}

export const schemaRequirements: readonly Requirement[] = [
  ...(['created', 'running', 'stopped'] as const).map((status) =>
    state.must(`schema.state.${status}`, `the state of a ${status} container fits state-schema.json`, async (c) => {
      const folder = folderOf(c);
      const container = await c.create({
        script: status === 'running' ? 'sleep 1000' : 'true',
        change: (config) => (config.annotations = { 'org.example.a': 'b' }),
      });
      if (status !== 'created') await container.start();
      if (status === 'stopped') await container.waitForStatus('stopped');
      const found = await container.state();
      equal(problemsBySchema(folder, 'state-schema.json', found), [], 'problems');
      // A schema that accepts everything would look like a runtime that keeps to it.
      if (problemsBySchema(folder, 'state-schema.json', { ...found, pid: 'one' }).length === 0)
        throw new Error(`state-schema.json of ${folder} takes a pid that is no number`);
    }),
  ),
  features.must('schema.features', 'the features fit features-schema.json', async (c) => {
    const folder = folderOf(c);
    const { code, stdout } = await c.cli(['features']);
    if (code !== 0) throw new Skip('the runtime has no command for its features, which is up to it');
    equal(problemsBySchema(folder, 'features-schema.json', JSON.parse(stdout)), [], 'problems');
  }),
];
