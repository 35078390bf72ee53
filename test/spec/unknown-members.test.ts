import t from 'tap';
import { findUnknownMembers } from '../../src/spec/unknown-members.ts';

t.test(
  'a member that the specification does not name is found wherever it stands, with the name that is meant',
  (t) => {
    const found = findUnknownMembers({
      ociVersion: '1.0.0',
      hostnam: 'x',
      process: { Terminal: true, args: ['sh'], user: { uid: 0, gid: 0, grops: [] } },
      mounts: [{ destination: '/a' }, { destination: '/b', option: [] }],
      linux: {
        resources: { memroy: { limit: 1 }, 'a/b~c': 1, rdma: { mlx5: { hcaHandle: 1 } } },
        netDevices: { eth0: { nam: 'x' } },
      },
    });
    const start = 'is no property of the specification: ignored';
    t.same(found, [
      { pointer: '/hostnam', message: `${start}; did you mean "hostname"?` },
      { pointer: '/process/Terminal', message: `${start}; did you mean "terminal"?` },
      { pointer: '/process/user/grops', message: start },
      { pointer: '/mounts/1/option', message: `${start}; did you mean "options"?` },
      { pointer: '/linux/resources/memroy', message: `${start}; did you mean "memory"?` },
      { pointer: '/linux/resources/a~1b~0c', message: start },
      { pointer: '/linux/resources/rdma/mlx5/hcaHandle', message: `${start}; did you mean "hcaHandles"?` },
      { pointer: '/linux/netDevices/eth0/nam', message: `${start}; did you mean "name"?` },
    ]);
    t.end();
  },
);

t.test("what has names of the author's own is left alone, and so is what is not Linux's", (t) => {
  const config = {
    annotations: { anything: 'x' },
    windows: { layerFolders: [] },
    linux: { sysctl: { 'net.x': '1' }, resources: { unified: { 'memory.high': '1' }, rdma: { mlx5: {} } } },
  };
  t.same(findUnknownMembers(config), []);
  t.end();
});

t.test('a hundred remarks are enough', (t) => {
  const mounts = Array.from({ length: 500 }, () => ({ destination: '/a', nothing: 1 }));
  t.equal(findUnknownMembers({ mounts }).length, 100);
  t.end();
});
