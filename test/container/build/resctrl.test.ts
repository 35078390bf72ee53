import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { removeResctrl, Resctrl, type ResctrlFolders } from '../../../src/container/build/resctrl.ts';
import type { IntelRdtPlan } from '../../../src/plan/cgroup/intel-rdt.ts';
import { makeDirectory } from '../rig.ts';

/** Directories as the kernel makes and removes them: with their files. */
const FOLDERS: ResctrlFolders = {
  make: (directory) => {
    mkdirSync(directory);
    for (const file of ['tasks', 'schemata']) writeFileSync(path.join(directory, file), '');
    if (!directory.includes('mon_groups')) mkdirSync(path.join(directory, 'mon_groups'));
  },
  remove: (directory) => {
    rmSync(directory, { recursive: true });
  },
};

const PLAN: IntelRdtPlan = {
  directory: 'c1',
  mayMake: true,
  schemata: ['L3:0=f', 'MB:0=50'],
  monitoring: 'c1/mon_groups/c1',
};

function mount(t: Test): string {
  const directory = path.join(makeDirectory(t), 'resctrl');
  FOLDERS.make(directory);
  writeFileSync(path.join(directory, 'schemata'), 'L3:0=ff\nMB:0=100\n');
  return directory;
}

function read(...parts: string[]): string {
  return readFileSync(path.join(...parts), 'utf8');
}

t.test('Resctrl makes a class and a monitoring group, and removes both', (t) => {
  const top = mount(t);
  const resctrl = new Resctrl(top, PLAN, FOLDERS);
  const preview = resctrl.preview();
  const reference = resctrl.make();
  t.strictSame(reference, preview);
  t.strictSame(reference, { mountPoint: top, made: [`${top}/c1/mon_groups/c1`, `${top}/c1`] });
  t.equal(read(top, 'c1/schemata'), 'L3:0=f\nMB:0=50\n');
  resctrl.join(42);
  t.equal(read(top, 'c1/tasks'), '42');
  t.equal(read(top, 'c1/mon_groups/c1/tasks'), '42');
  t.equal(read(top, 'tasks'), '');
  removeResctrl(reference, FOLDERS);
  t.notOk(existsSync(`${top}/c1`));
  removeResctrl(reference, {
    ...FOLDERS,
    remove: () => {
      throw Object.assign(new Error('gone'), { code: 'ENOENT' });
    },
  });
  t.end();
});

t.test('Resctrl uses a class that is there, and keeps it', (t) => {
  const top = mount(t);
  FOLDERS.make(`${top}/gold`);
  writeFileSync(`${top}/gold/schemata`, 'L3:0=0f\nMB:0= 50\n');
  const resctrl = new Resctrl(top, { ...PLAN, directory: 'gold', monitoring: 'gold/mon_groups/c1' }, FOLDERS);
  const reference = resctrl.make();
  t.strictSame(reference.made, [`${top}/gold/mon_groups/c1`]);
  t.equal(read(top, 'gold/schemata'), 'L3:0=0f\nMB:0= 50\n', 'nothing is written');
  resctrl.join(7);
  t.equal(read(top, 'gold/tasks'), '7');
  removeResctrl(reference, FOLDERS);
  t.ok(existsSync(`${top}/gold`));
  t.end();
});

t.test('Resctrl uses the root class', (t) => {
  const top = mount(t);
  const resctrl = new Resctrl(top, { directory: '', mayMake: false, schemata: [], monitoring: undefined }, FOLDERS);
  t.strictSame(resctrl.make().made, []);
  resctrl.join(7);
  t.equal(read(top, 'tasks'), '7');
  t.end();
});

t.test('Resctrl refuses a class that is missing, or has other schemata', (t) => {
  const top = mount(t);
  const missing = new Resctrl(top, { ...PLAN, directory: 'gold', mayMake: false }, FOLDERS);
  t.throws(() => missing.make(), {
    code: 'host',
    message: 'use class of service "gold": it does not exist (/linux/intelRdt/closID of config.json)',
  });
  FOLDERS.make(`${top}/gold`);
  writeFileSync(`${top}/gold/schemata`, 'L3:0=1\n');
  const other = new Resctrl(top, { ...PLAN, directory: 'gold' }, FOLDERS);
  t.throws(() => other.make(), { message: /it has other schemata: "L3:0=1" found, "L3:0=f", "MB:0=50" wanted/ });
  t.end();
});

t.test('Resctrl leaves nothing of a failure, and says why the kernel refused', (t) => {
  const top = mount(t);
  mkdirSync(`${top}/info`);
  writeFileSync(`${top}/info/last_cmd_status`, 'Mask out of range\n');
  const folders: ResctrlFolders = {
    ...FOLDERS,
    make: (directory) => {
      if (directory.includes('mon_groups')) throw new Error('ENOSPC');
      FOLDERS.make(directory);
    },
  };
  t.throws(() => new Resctrl(top, PLAN, folders).make(), {
    message:
      /^create a monitoring group: ENOSPC \(Mask out of range\) \(\/linux\/intelRdt\/enableMonitoring of config.json\)$/,
  });
  t.notOk(readdirSync(top).includes('c1'));
  t.end();
});

t.test('removeResctrl() removes nothing outside of the mount', (t) => {
  const top = mount(t);
  for (const made of ['/etc', `${top}/../other`, top])
    t.throws(
      () => {
        removeResctrl({ mountPoint: top, made: [made] }, FOLDERS);
      },
      { code: 'state' },
    );
  t.ok(existsSync(top));
  t.end();
});
