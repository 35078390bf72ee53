import { writeFileSync } from 'node:fs';
import t from 'tap';
import { readOptions } from '../../../src/shim/task/options.ts';
import { encode } from '../../../src/protobuf/codec.ts';
import { CODE } from '../../../src/shim/wire/rpc.ts';
import { CREATE_OPTIONS, RUNC_OPTIONS, RUNTIME_OPTIONS } from '../../../src/shim/wire/task.ts';

const DEFAULT = {
  noPivotRoot: false,
  noNewKeyring: false,
  shimCgroup: '',
  root: '/run/containerd/tsrun',
  systemdCgroup: false,
};
const warnings: string[] = [];
const log = { debug: () => undefined, warning: (message: string) => warnings.push(message), error: () => undefined };

t.test("readOptions() takes those of runc's shim", (t) => {
  t.strictSame(readOptions(undefined, log), DEFAULT);
  const value = encode(RUNC_OPTIONS, { systemdCgroup: true, root: '/r', binaryName: 'runc', ioUid: 5 });
  t.strictSame(readOptions({ typeUrl: 'containerd.runc.v1.Options', value }, log), {
    ...DEFAULT,
    systemdCgroup: true,
    root: '/r',
  });
  t.match(warnings.splice(0), [/BinaryName, "runc", is ignored/]);
  const old = encode(CREATE_OPTIONS, { noPivotRoot: true, shimCgroup: '/s' });
  t.strictSame(readOptions({ typeUrl: 'a.b/containerd.linux.runc.CreateOptions', value: old }, log), {
    ...DEFAULT,
    noPivotRoot: true,
    shimCgroup: '/s',
  });
  t.throws(() => readOptions({ typeUrl: 'other.Options' }, log), { code: CODE.invalidArgument });
  t.end();
});

t.test('readOptions() takes a file, and the text of one', (t) => {
  const read = (options: object) =>
    readOptions({ typeUrl: 'runtimeoptions.v1.Options', value: encode(RUNTIME_OPTIONS, options) }, log);
  const configPath = `${t.testdir({})}/tsrun.json`;
  t.strictSame(read({}), DEFAULT);
  t.throws(() => read({ configPath }), /no such file/);
  writeFileSync(configPath, '{ "SystemdCgroup": true, "NoNewKeyring": true, "IoUid": 7, "BinaryName": "x" }');
  t.strictSame(read({ configPath }), { ...DEFAULT, systemdCgroup: true, noNewKeyring: true });
  t.equal(warnings.splice(0).length, 1);
  t.strictSame(read({ configBody: Buffer.from('{"Shared":false}') }), { ...DEFAULT, shared: false });
  t.strictSame(read({ configBody: Buffer.from('{"Root":"/elsewhere"}') }), { ...DEFAULT, root: '/elsewhere' });
  for (const text of [
    '[]',
    '{',
    '{"Unknown":1}',
    '{"Root":1}',
    '{"SystemdCgroup":"yes"}',
    '{"Shared":"yes"}',
    'x'.repeat(70_000),
  ])
    t.throws(() => read({ configBody: Buffer.from(text) }), { code: CODE.invalidArgument }, text.slice(0, 20));
  t.end();
});
