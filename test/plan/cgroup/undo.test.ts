import t from 'tap';
import { planUndo } from '../../../src/plan/cgroup/undo.ts';

type Row = readonly [file: string, value: string, before: string, undo: readonly string[]];

const rows: Row[] = [
  ['pids.max', '5', 'max', ['max']],
  ['memory.limit_in_bytes', '5', '9223372036854771712', ['9223372036854771712']],
  ['cpu.max', '5000 10000', 'max 100000', ['max 100000']],
  ['cpuset.cpus', '0', '', ['\n']],
  ['memory.oom_control', '1', 'oom_kill_disable 0\nunder_oom 0\noom_kill 3', ['0']],
  [
    'io.max',
    '8:0 rbps=5',
    '8:0 rbps=1 wbps=max riops=max wiops=max\n8:16 rbps=2',
    ['8:0 rbps=1 wbps=max riops=max wiops=max'],
  ],
  ['io.max', '8:1 rbps=5', '8:16 rbps=2', ['8:1 rbps=max wbps=max riops=max wiops=max']],
  ['blkio.throttle.read_bps_device', '8:0 7', '8:0 4', ['8:0 4']],
  ['blkio.throttle.read_bps_device', '8:0 7', '', ['8:0 0']],
  ['blkio.bfq.weight_device', '8:0 7', 'default 100', ['8:0 default']],
  ['blkio.weight_device', '8:0 7', '', ['8:0 default']],
  ['blkio.leaf_weight_device', '8:0 7', '8:0 30', ['8:0 30']],
  ['io.weight', '8:0 7', 'default 100\n8:0 30', ['8:0 30']],
  ['io.weight', '8:0 7', 'default 100', ['8:0 default']],
  ['io.weight', '7', 'default 100\n8:0 30', ['100']],
  ['io.bfq.weight', '7', '100', ['100']],
  ['rdma.max', 'mlx0 hca_handle=2', 'mlx1 hca_handle=1 hca_object=2', ['mlx0 hca_handle=max hca_object=max']],
  ['net_prio.ifpriomap', 'lo 3', 'lo 1\neth0 0', ['lo 1']],
];

t.test('planUndo() writes back what a file held', (t) => {
  for (const [file, value, before, undo] of rows)
    t.strictSame(planUndo({ file, value }, before), undo, `${file}=${value}`);
  t.end();
});
