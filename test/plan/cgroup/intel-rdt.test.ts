import t from 'tap';
import { findSchemataDifferences, planIntelRdt } from '../../../src/plan/cgroup/intel-rdt.ts';
import type { IntelRdt } from '../../../src/spec/generated/config.ts';

function plan(intelRdt?: IntelRdt) {
  return planIntelRdt({ ociVersion: '1.3.0', linux: intelRdt === undefined ? {} : { intelRdt } }, 'c1');
}

t.test('planIntelRdt() leaves resctrl alone without the property', (t) => {
  t.equal(plan(), undefined);
  t.end();
});

t.test('planIntelRdt() chooses the class', (t) => {
  const own = { directory: 'c1', mayMake: true, schemata: [], monitoring: undefined };
  t.strictSame(plan({}), own);
  t.match(plan({ closID: 'gold' }), { directory: 'gold', mayMake: false });
  t.match(plan({ closID: 'gold', l3CacheSchema: 'L3:0=f' }), { directory: 'gold', mayMake: true });
  t.match(plan({ closID: 'gold', schemata: ['L2:0=f'] }), { directory: 'gold', mayMake: true });
  t.match(plan({ closID: '/' }), { directory: '', mayMake: false });
  t.match(plan({ closID: '/', memBwSchema: 'MB:0=50' }), { directory: '', mayMake: false });
  t.end();
});

t.test('planIntelRdt() orders the schemata: cache, bandwidth, free lines', (t) => {
  const wanted = ['L3:0=ff', 'MB:0=50', 'L2:0=1', 'MB:1=10'];
  t.strictSame(
    plan({ schemata: ['L2:0=1\n', 'MB:1=10'], memBwSchema: 'MB:0=50', l3CacheSchema: 'L3:0=ff\nMB:0=99' })?.schemata,
    wanted,
  );
  t.strictSame(plan({ l3CacheSchema: 'L3:0=ff\nMB:0=99' })?.schemata, ['L3:0=ff', 'MB:0=99']);
  t.end();
});

t.test('planIntelRdt() puts the monitoring group into the class', (t) => {
  t.equal(plan({ enableMonitoring: true })?.monitoring, 'c1/mon_groups/c1');
  t.equal(plan({ closID: 'gold', enableMonitoring: true })?.monitoring, 'gold/mon_groups/c1');
  t.equal(plan({ closID: '/', enableMonitoring: true })?.monitoring, 'mon_groups/c1');
  t.end();
});

t.test('findSchemataDifferences() compares values, not text', (t) => {
  const found = '    L3:0=00ff;1=f\n    MB:0= 50;1=100\n';
  t.strictSame(findSchemataDifferences(['L3:0=ff', 'L3:1=0F', 'MB:1=100;0=50'], found), []);
  t.strictSame(findSchemataDifferences(['L3:0=fe', 'MB:0=50'], found), ['L3:0=fe']);
  t.strictSame(findSchemataDifferences(['L3:2=1'], found), ['L3:2=1']);
  t.strictSame(findSchemataDifferences(['L2:0=1'], found), ['L2:0=1']);
  t.strictSame(findSchemataDifferences(['MB:0=10', 'MB:0=50'], found), [], 'the later line counts');
  t.end();
});
