import t from 'tap';
import { readFilters } from '../../../src/cli/options/filter.ts';
import { messageOf, runLine, status } from '../fixtures.ts';

const containers = [
  { ...status, id: 'web-1', status: 'running', annotations: { app: 'web', empty: '' } },
  { ...status, id: 'web-2', status: 'stopped', annotations: { app: 'web=2' } },
  { ...status, id: 'db', status: 'created' },
] as const;

t.test('readFilters() joins filters of one kind by "or", and kinds and annotations by "and"', (t) => {
  const rows = [
    [[], ['web-1', 'web-2', 'db']],
    [['status=stopped'], ['web-2']],
    [
      ['status=stopped', 'status=created'],
      ['web-2', 'db'],
    ],
    [['id=web'], ['web-1', 'web-2']],
    [['id=web', 'status=running'], ['web-1']],
    [['annotation=app'], ['web-1', 'web-2']],
    [['label=app=web'], ['web-1']],
    [['label=app=web=2'], ['web-2']],
    [['label=app', 'annotation=empty='], ['web-1']],
    [['annotation=constructor'], []],
  ] as const;
  for (const [texts, ids] of rows) {
    t.strictSame(
      containers.filter(readFilters(texts)).map(({ id }) => id),
      ids,
      texts.join(' '),
    );
  }
  t.end();
});

t.test('list shows those that pass, and a filter that makes no sense is refused', async (t) => {
  const results = { listContainers: containers };
  t.equal(
    (await runLine('list -q --filter status=running --filter status=created', { results })).stdout,
    'web-1\ndb\n',
  );
  for (const text of ['running', 'status=', 'status=dead', 'name=x', 'id='])
    t.match(
      messageOf(await runLine(`list --filter ${text}`, { results })),
      /^invalid value .*"--filter": wanted /,
      text,
    );
});

t.test('delete --all removes each that passes, and says how many stay', async (t) => {
  const line = 'delete --all --force --filter id=web';
  const outcome = await runLine(line, { results: { listContainers: containers } });
  t.strictSame(
    outcome.calls.map(([name, , options]) => [name, (options as { id?: string }).id]),
    [
      ['listContainers', undefined],
      ['deleteContainer', 'web-1'],
      ['deleteContainer', 'web-2'],
    ],
  );
  const { TsrunError } = await import('../../../src/errors.ts');
  const deleteContainer = new TsrunError('status', 'it runs');
  const failed = await runLine(line, { results: { listContainers: containers, deleteContainer } });
  t.match(failed, { code: 1 });
  t.equal(messageOf(failed), '2 of 2 containers were not deleted');
  const gone = new TsrunError('not-found', 'gone');
  t.equal((await runLine(line, { results: { listContainers: containers, deleteContainer: gone } })).code, 0);
});

t.test('delete wants an id or --all', async (t) => {
  for (const [line, message] of [
    ['delete', '"delete" requires exactly 1 argument(s), or "--all"'],
    ['delete --all web', '"--all" is for no ID and no "--regex"'],
    ['delete --filter id=web web', '"--filter" needs "--all"'],
  ] as const)
    t.equal(messageOf(await runLine(line)), message);
});
