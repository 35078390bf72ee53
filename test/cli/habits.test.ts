import t from 'tap';
import { commandTable } from '../../src/cli/command-table.ts';
import { HABITS } from '../../src/cli/help-texts.ts';
import { messageOf, runLine } from './fixtures.ts';

t.test('habits of other tools are answered with what does that here', async (t) => {
  const rows = [
    ['rm web', 3, 'unknown command "rm"; "tsrun delete ID" removes a container'],
    ['stop web', 3, 'unknown command "stop"; "tsrun kill ID" sends TERM, and "tsrun kill ID KILL" ends a container'],
    ['help rm', 3, 'unknown command "rm"; "tsrun delete ID" removes a container'],
    ['ps', 1, '"tsrun list" lists the containers'],
    ['run alpine sh', 1, 'it takes a bundle (--bundle DIR) and no image; what runs in it, config.json says'],
  ] as const;
  for (const [line, code, message] of rows) {
    const outcome = await runLine(line);
    t.match(outcome, { code, stdout: '', calls: [] }, line);
    t.ok(messageOf(outcome).endsWith(message), messageOf(outcome));
  }
});

t.test('a habit is no command', (t) => {
  for (const name of Object.keys(HABITS)) t.notOk(Object.hasOwn(commandTable, name), name);
  t.end();
});
