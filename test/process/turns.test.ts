import t from 'tap';
import { nextTurn, takePart } from '../../src/process/turns.ts';

/** How often the event loop has gone round. */
function countRounds(): { count: () => number; stop: () => void } {
  let rounds = 0;
  let isOver = false;
  const round = (): void => {
    if (isOver) return;
    rounds += 1;
    setImmediate(round);
  };
  setImmediate(round);
  return { count: () => rounds, stop: () => (isOver = true) };
}

for (const names of [
  ['a', 'b'],
  ['a', 'b', 'c'],
])
  t.test(`each of ${names.length} operations has a turn of its own`, async (t) => {
    const rounds = countRounds();
    const order: string[] = [];
    const operation = async (name: string): Promise<void> => {
      using _part = takePart();
      for (const step of [1, 2]) {
        await nextTurn();
        order.push(`${name}${step} in ${rounds.count()}`);
      }
    };
    // The first does not know yet that there will be others.
    await Promise.all(names.map(operation));
    rounds.stop();
    t.same(
      order.map((entry) => entry.slice(0, 2)).sort(),
      names.flatMap((name) => [`${name}1`, `${name}2`]),
    );
    const turns = order.slice(1).map((entry) => entry.split(' in ')[1]);
    t.equal(new Set(turns).size, turns.length, order.join(', '));
  });

t.test('one alone waits for nobody', async (t) => {
  const rounds = countRounds();
  using _part = takePart();
  await nextTurn();
  t.equal(rounds.count(), 0);
  rounds.stop();
});
