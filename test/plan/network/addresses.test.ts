import t from 'tap';
import {
  broadcastOf,
  chooseAddress,
  chooseRange,
  gatewayOf,
  parseAddress,
  printAddress,
  printRange,
  RANGES,
  rangeOf,
  type Range,
} from '../../../src/plan/network/addresses.ts';

const [first, second] = RANGES as [Range, Range];
const at = (text: string): number => parseAddress(text) ?? -1;

t.test('parseAddress() and printAddress() are inverse, and refuse what is ambiguous', (t) => {
  for (const text of ['0.0.0.0', '10.87.0.1', '255.255.255.255']) t.equal(printAddress(at(text)), text);
  for (const text of ['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', 'a.b.c.d'])
    t.equal(parseAddress(text), undefined);
  t.end();
});

t.test('chooseRange() passes over a network that the host has a route into, larger or smaller', (t) => {
  const route = (text: string, prefixLength: number, device = 'eth0') => ({ base: at(text), prefixLength, device });
  t.equal(chooseRange([route('0.0.0.0', 0), route('192.0.2.0', 24)]), first);
  t.equal(chooseRange([route('10.0.0.0', 8)]), second);
  t.equal(chooseRange([route('10.87.3.255', 32)]), second);
  t.equal(chooseRange([route('10.87.0.0', 22, 'tsrun0')]), first);
  t.equal(chooseRange([route('128.0.0.0', 1), route('0.0.0.0', 1)]), undefined);
  t.end();
});

t.test('chooseAddress() gives the lowest that is free, and neither that of the bridge nor the last', (t) => {
  t.equal(printRange(first), '10.87.0.0/22');
  t.equal(printAddress(gatewayOf(first)), '10.87.0.1');
  t.equal(printAddress(broadcastOf(first)), '10.87.3.255');
  t.equal(chooseAddress(first, new Set()), at('10.87.0.2'));
  t.equal(chooseAddress(first, new Set([at('10.87.0.2'), at('10.87.0.4')])), at('10.87.0.3'));
  const all = new Set(Array.from({ length: 1021 }, (_, index) => at('10.87.0.2') + index));
  t.equal(chooseAddress(first, all), undefined);
  all.delete(at('10.87.3.254'));
  t.equal(chooseAddress(first, all), at('10.87.3.254'));
  t.equal(rangeOf(at('10.87.3.1')), first);
  t.equal(rangeOf(at('10.88.0.1')), undefined);
  t.end();
});
