import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readSavedConfig } from '../../../src/container/store/saved-config.ts';
import { withSoftLimit } from '../../../src/sys/process/prlimit.ts';
import { RLIMIT_NOFILE } from '../../../src/util/constants.ts';
import { StateDirectory } from '../../../src/container/store/directory.ts';
import { doesNotExist, listIds, requireId } from '../../../src/container/store/ids.ts';
import { makeDirectory, makeRecord, ownIdentity } from '../rig.ts';

const modeOf = (file: string) => (statSync(file).mode & 0o7777).toString(8);

t.test('requireId() takes letters, digits and "_+.-"', (t) => {
  for (const id of ['a', 'A-b_c.d+9', '0', '.hidden', '...', 'x'.repeat(255)])
    t.doesNotThrow(() => {
      requireId(id);
    }, id);
  for (const id of ['', '.', '..', 'a/b', '../x', 'a b', 'a\n', 'ä', 'a\0', '/', 'x'.repeat(256)])
    t.throws(
      () => {
        requireId(id);
      },
      { code: 'id' },
      JSON.stringify(id),
    );
  t.throws(() => new StateDirectory('/run/tsrun', '../etc'), { code: 'id' });
  t.end();
});

t.test('StateDirectory.make() takes an id once', (t) => {
  const root = path.join(makeDirectory(t), 'a', 'root');
  const umask = process.umask(0o077);
  t.teardown(() => process.umask(umask));
  const directory = new StateDirectory(root, 'c1');
  directory.make();
  t.same([modeOf(root), modeOf(directory.path)], ['1700', '711'], 'the umask of the caller does not matter');
  t.throws(
    () => {
      new StateDirectory(root, 'c1').make();
    },
    { code: 'exists', message: 'container with given ID already exists: "c1"' },
  );
  const file = path.join(root, 'file');
  writeFileSync(file, '');
  t.throws(
    () => {
      new StateDirectory(file, 'c1').make();
    },
    { code: 'state' },
  );
  t.end();
});

t.test('StateDirectory.make() leaves nothing when the directory cannot be opened', (t) => {
  const root = makeDirectory(t);
  const directory = new StateDirectory(root, 'c1');
  // The lowest number that is free is the one that open(2) would give.
  const free = openSync(root, 'r');
  closeSync(free);
  const make = () => {
    withSoftLimit({ resource: RLIMIT_NOFILE, soft: BigInt(free) }, () => {
      directory.make();
    });
  };
  t.throws(make, {
    code: 'state',
    errno: 'EMFILE',
    message: /^create state directory .*: too many open files: EMFILE; ulimit -n, /,
  });
  t.strictSame(readdirSync(root), []);
  directory.make();
  t.ok(existsSync(directory.path), 'the id is free');
  t.end();
});

t.test('StateDirectory keeps a record and a config, and leaves no temporary files', (t) => {
  const directory = new StateDirectory(makeDirectory(t), 'c1');
  directory.make();
  const record = makeRecord({ init: ownIdentity(), annotations: { key: 'ä' }, executable: '/bin/sh' });
  directory.writeRecord(makeRecord());
  directory.writeRecord(record);
  t.same(directory.readRecord(), record);
  directory.writeConfig(JSON.stringify({ ociVersion: '1.3.0', root: { path: 'r' }, linux: {} }));
  t.equal(readSavedConfig(directory).root?.path, 'r');
  t.same(readdirSync(directory.path).sort(), ['config.json', 'state.json']);
  t.equal(modeOf(directory.file('state.json')), '600');
  directory.remove();
  t.notOk(existsSync(directory.path));
  directory.remove();
  t.end();
});

t.test('StateDirectory.writeRecord() leaves nothing of a file that could not be written', (t) => {
  const directory = new StateDirectory(makeDirectory(t), 'c1');
  directory.make();
  mkdirSync(path.join(directory.path, 'state.json/in-the-way'), { recursive: true });
  t.throws(
    () => {
      directory.writeRecord(makeRecord());
    },
    { code: 'state', message: /^write ".*state\.json": / },
  );
  t.same(readdirSync(directory.path), ['state.json']);
  t.end();
});

t.test('StateDirectory.writeRecord() replaces the file in one step', (t) => {
  const directory = new StateDirectory(makeDirectory(t), 'c1');
  directory.make();
  directory.writeRecord(makeRecord());
  const before = statSync(directory.file('state.json')).ino;
  const text = readFileSync(directory.file('state.json'), 'utf8');
  directory.writeRecord(makeRecord({ bundle: '/other' }));
  t.not(statSync(directory.file('state.json')).ino, before, 'a new file took the name of the old one');
  directory.writeRecord(makeRecord());
  t.equal(readFileSync(directory.file('state.json'), 'utf8'), text);
  directory.remove();
  t.throws(
    () => {
      directory.writeRecord(makeRecord());
    },
    { code: 'state', errno: 'ENOENT' },
  );
  t.end();
});

t.test('StateDirectory.readRecord() does not believe in what is damaged', (t) => {
  const root = makeDirectory(t);
  t.throws(() => new StateDirectory(root, 'c1').readRecord(), {
    code: 'not-found',
    message: 'container does not exist: "c1"',
  });
  const directory = new StateDirectory(root, 'c1');
  directory.make();
  t.throws(() => directory.readRecord(), { code: 'not-found' });
  t.throws(() => readSavedConfig(directory), { code: 'not-found' });
  const read = (value: unknown) => {
    writeFileSync(directory.file('state.json'), typeof value === 'string' ? value : JSON.stringify(value));
    return directory.readRecord();
  };
  for (const text of ['', '{', '"text', '\0']) t.throws(() => read(text), { code: 'state', message: /it is no JSON$/ });
  const wrong = [
    null,
    [],
    1,
    {},
    makeRecord({ id: 'c2' }),
    { ...makeRecord(), version: 2 },
    { ...makeRecord(), bundle: 1 },
    { ...makeRecord(), creator: { pid: 0, startTime: '1' } },
    { ...makeRecord(), creator: { pid: -1, startTime: '1' } },
    { ...makeRecord(), creator: { pid: '1', startTime: '1' } },
    { ...makeRecord(), creator: { pid: 1, startTime: 1 } },
    { ...makeRecord(), creator: undefined },
    { ...makeRecord(), init: { pid: 1 } },
    { ...makeRecord(), init: null },
    { ...makeRecord(), isComplete: 'yes' },
    { ...makeRecord(), preserveFds: '3' },
    { ...makeRecord(), environment: ['=x'] },
    { ...makeRecord(), startToken: 'x' },
    { ...makeRecord(), rootfsCover: { rootfs: '/r' } },
    { ...makeRecord(), cgroup: undefined },
    { ...makeRecord(), cgroup: { manager: 'cgroupfs', version: 'v1', directories: {} } },
    { ...makeRecord(), cgroup: { manager: 'systemd', version: 'v2', directories: [] } },
  ];
  for (const value of wrong)
    t.throws(
      () => read(value),
      { code: 'state', message: /it is no state of container "c1": / },
      JSON.stringify(value),
    );
  t.throws(() => read('x'.repeat(16 * 1024 * 1024 + 1)), {
    code: 'state',
    message: /too long, wanted at most 16777216$/,
  });
  writeFileSync(directory.file('config.json'), '{');
  t.throws(() => readSavedConfig(directory), { code: 'config' });
  t.end();
});

t.test('StateDirectory.readRecord() does not believe in cgroups that are none', (t) => {
  const directory = new StateDirectory(makeDirectory(t), 'c1');
  directory.make();
  const directories = [
    [null],
    ['/sys/fs/cgroup'],
    [{}],
    [{ kind: 'v2', controllers: [], mountPoint: 1, hostPath: '/x', made: [] }],
    [{ kind: 'v2', controllers: [], mountPoint: '/sys/fs/cgroup', hostPath: '/sys/fs/cgroup/x', made: 'x' }],
  ];
  for (const value of directories) {
    const cgroup = { manager: 'cgroupfs', version: 'v2', directories: value };
    writeFileSync(directory.file('state.json'), JSON.stringify({ ...makeRecord(), cgroup }));
    t.throws(() => directory.readRecord(), { code: 'state' }, JSON.stringify(value));
  }
  for (const manager of ['other', undefined]) {
    const cgroup = { manager, version: 'v2', directories: [] };
    writeFileSync(directory.file('state.json'), JSON.stringify({ ...makeRecord(), cgroup }));
    t.throws(() => directory.readRecord(), { code: 'state' }, `manager ${manager ?? 'missing'}`);
  }
  t.end();
});

t.test('StateDirectory.lock() is held by one at a time', async (t) => {
  const root = makeDirectory(t);
  const [one, other] = [new StateDirectory(root, 'c1'), new StateDirectory(root, 'c1')];
  await t.rejects(one.lock(), { code: 'not-found' });
  one.make();
  const lock = await one.lock();
  t.equal(await other.tryLock(0), undefined);
  const waiting = other.lock();
  lock.close();
  const second = await waiting;
  t.equal(await one.tryLock(0), undefined);
  second.close();
  const third = await one.tryLock(0);
  t.ok(third?.isOpen);
  third?.close();
});

t.test('listIds() lists what looks like a container', (t) => {
  const root = makeDirectory(t);
  t.same(listIds(path.join(root, 'missing')), []);
  for (const name of ['b', 'a', 'with space']) mkdirSync(path.join(root, name));
  writeFileSync(path.join(root, 'file'), '');
  t.same(listIds(root), ['a', 'b']);
  t.throws(() => listIds(path.join(root, 'file')), { code: 'state', errno: 'ENOTDIR' });
  chmodSync(root, 0o700);
  t.end();
});

t.test('doesNotExist() quotes the id', (t) => {
  t.match(doesNotExist('x', '/run/tsrun'), {
    code: 'not-found',
    message: 'container does not exist: "x"; "tsrun --root /run/tsrun list" tells those that are there',
  });
  t.end();
});

t.test('StateDirectory works below the directory that it has opened', (t) => {
  const root = makeDirectory(t);
  const directory = new StateDirectory(root, 'c1');
  directory.make();
  directory.writeRecord(makeRecord());
  renameSync(directory.path, path.join(root, 'moved'));
  mkdirSync(directory.path);
  writeFileSync(path.join(directory.path, 'theirs'), '');
  t.same(directory.readRecord(), makeRecord());
  mkdirSync(directory.file('deep'));
  symlinkSync('..', directory.file('deep/link'));
  directory.remove();
  t.same(readdirSync(root), ['c1', 'moved']);
  t.same(readdirSync(path.join(root, 'c1')), ['theirs'], 'what has its name now is left alone');
  t.same(readdirSync(path.join(root, 'moved')), []);
  t.end();
});

t.test('StateDirectory follows no symlink', async (t) => {
  const root = makeDirectory(t);
  const other = new StateDirectory(root, 'c2');
  other.make();
  other.writeRecord(makeRecord());
  symlinkSync('c2', path.join(root, 'c1'));
  const link = new StateDirectory(root, 'c1');
  t.throws(() => link.readRecord(), { code: 'not-found' });
  await t.rejects(link.lock(), { code: 'not-found' });
  t.throws(
    () => {
      link.writeRecord(makeRecord());
    },
    { code: 'state' },
  );
  link.remove();
  t.same(readdirSync(root), ['c2']);
  t.same(readdirSync(other.path), ['state.json']);
  t.end();
});

t.test('StateDirectory.lock() of a directory that was removed meanwhile is no lock', async (t) => {
  const root = makeDirectory(t);
  const [one, other] = [new StateDirectory(root, 'c1'), new StateDirectory(root, 'c1')];
  one.make();
  const lock = await one.lock();
  const waiting = other.lock();
  one.remove();
  new StateDirectory(root, 'c1').make();
  lock.close();
  await t.rejects(waiting, { code: 'not-found' });
});
