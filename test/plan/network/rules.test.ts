import t from 'tap';
import { RANGES, type Range } from '../../../src/plan/network/addresses.ts';
import { planRules, portConflict, REMOVE_TABLE } from '../../../src/plan/network/rules.ts';

const [range] = RANGES as [Range];
const web = {
  id: 'web',
  address: '10.87.0.2',
  publish: [
    { hostPort: 8080, port: 80, protocol: 'tcp' },
    { hostAddress: '192.0.2.1', hostPort: 53, port: 5353, protocol: 'udp' },
  ],
} as const;

t.test('planRules() replaces the whole table, and says which ports lead where', (t) => {
  const rules = planRules(range, [web, { id: 'other', address: '10.87.0.3', publish: [] }]);
  t.ok(rules.startsWith(REMOVE_TABLE));
  t.match(
    rules,
    'map published_tcp { type ipv4_addr . inet_service : ipv4_addr . inet_service; flags interval; elements = { 0.0.0.0/0 . 8080 : 10.87.0.2 . 80 }; }',
  );
  t.match(rules, 'elements = { 192.0.2.1 . 53 : 10.87.0.2 . 5353 };');
  t.match(rules, 'ip saddr 10.87.0.0/22 oifname != "tsrun0" masquerade');
  t.notMatch(planRules(range, []), 'elements');
  t.end();
});

t.test('portConflict() finds a port of any address, of the same one, and one that is given twice', (t) => {
  const port = { hostPort: 8080, port: 1, protocol: 'tcp' } as const;
  t.match(portConflict([{ ...port, hostAddress: '192.0.2.1' }], [web]), /leads to container "web" already/);
  t.equal(portConflict([{ ...port, protocol: 'udp' }], [web]), undefined);
  t.equal(portConflict([{ ...port, hostPort: 53, protocol: 'udp', hostAddress: '192.0.2.2' }], [web]), undefined);
  t.match(portConflict([{ ...port, hostPort: 53, protocol: 'udp' }], [web]), /"53:1\/udp"/);
  t.match(portConflict([port, port], []), /given twice/);
  t.end();
});
