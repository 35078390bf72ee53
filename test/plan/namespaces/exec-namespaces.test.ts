import t from 'tap';
import { differingNamespaces } from '../../../src/plan/namespaces/exec-namespaces.ts';

const own = { cgroup: '1', ipc: '2', mnt: '3', net: '4', pid: '5', user: '6', uts: '7' };

t.test('differingNamespaces() are those that init has of its own', (t) => {
  t.same(differingNamespaces(own, own), []);
  t.same(differingNamespaces({ ...own, pid: '8', mnt: '9' }, own), ['pid', 'mount']);
  t.same(differingNamespaces({ ...own, time: '9' }, { ...own, time: '10' }), ['time']);
  t.same(differingNamespaces({ ...own, time: '9' }, own), [], 'this kernel has none of the type');
  t.end();
});

t.test('differingNamespaces() refuses an init that has none: it has ended', (t) => {
  const { user: _user, ...others } = own;
  for (const theirs of [{}, others]) {
    t.throws(() => differingNamespaces(theirs, own), { code: 'status', message: /cannot exec in a stopped container/ });
  }
  t.end();
});
