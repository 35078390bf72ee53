import { readFileSync } from 'node:fs';
import t from 'tap';
import * as layout from '../../src/program/layout.ts';

const format = readFileSync('src/program/FORMAT.md', 'utf8');

t.test('LAYOUT has the addresses and sizes that FORMAT.md draws', (t) => {
  const areas = [...format.matchAll(/^ {4}(0x[0-9a-f]{8}) {2}(memory|message|bulk) +(\d+) (KiB|MiB) /gm)];
  const drawn = areas.map(([, address, name, size, unit]) => [
    name,
    { address: Number(address), size: Number(size) * (unit === 'KiB' ? 1024 : 1024 * 1024) },
  ]);
  t.same(Object.fromEntries(drawn), layout.LAYOUT);
  t.end();
});

t.test('the areas follow each other without a gap', (t) => {
  const { memory, message, bulk } = layout.LAYOUT;
  t.equal(memory.address + memory.size, message.address);
  t.equal(message.address + message.size, bulk.address);
  t.end();
});

t.test('OFFSETS are those of FORMAT.md', (t) => {
  const header = section('## Packet', '## Operation');
  t.same(fields(header), ['0 u64 end', '8 u32 version', '12 u32 sequence', '16 operations']);
  const { OFFSETS } = layout;
  t.same([OFFSETS.end, OFFSETS.version, OFFSETS.sequence, layout.PACKET_HEADER_SIZE], [0, 8, 12, 16]);
  t.match(header, `at most ${layout.LAYOUT.message.size} bytes`);
  t.match(header, `0x${(layout.LAYOUT.message.address + layout.PACKET_HEADER_SIZE).toString(16)}`);
  t.match(header, `operations      ${layout.OPERATION_SIZE} bytes each`);
  const operation = section('## Operation', '## Check');
  const offsets = ['0 u16 number', '2 u8 indirect', '3 u8 flags', '4 u32 result', '8 u64 argument', '56 u16 accepted'];
  t.same(fields(operation), offsets);
  t.same(
    [OFFSETS.number, OFFSETS.indirect, OFFSETS.flags, OFFSETS.result, OFFSETS.arguments, OFFSETS.accept],
    [0, 2, 3, 4, 8, 56],
  );
  t.match(operation, `argument 0 to ${layout.ARGUMENT_COUNT - 1}`);
  t.match(operation, `accepted errno 0 to ${layout.ACCEPT_SLOTS - 1}`);
  t.match(operation, `${layout.FLAG_INVERT} = invert (check only), ${layout.FLAG_ACCEPT_ANY} = every errno`);
  t.match(operation, `0x${layout.CHECK_NUMBER.toString(16)} is the check`);
  t.equal(OFFSETS.accept + 2 * layout.ACCEPT_SLOTS, layout.OPERATION_SIZE);
  t.end();
});

t.test('the failure report is that of FORMAT.md', (t) => {
  const report = section('failure report:', '## Packet');
  const base = layout.LAYOUT.memory.address;
  const fieldAddresses = [...report.matchAll(/^ {4}(0x[0-9a-f]{8}) {2}\w\d\d {2}(\w+)/gm)];
  t.same(
    fieldAddresses.map(([, address, name]) => [name, Number(address) - base]),
    [
      ['0', 0],
      ['address', layout.OFFSETS.reportAddress],
      ['result', layout.OFFSETS.reportResult],
      ['reserved', layout.REPLY_SIZE],
    ],
  );
  t.match(format, `The first ${layout.REPORT_SIZE} bytes of *memory* are the failure report`);
  t.match(format, `writes its first ${layout.REPLY_SIZE} bytes to the sync pipe`);
  t.match(format, `reply with the tag ${layout.TAG_MORE} ("more")`);
  t.end();
});

function section(from: string, to: string): string {
  const start = format.indexOf(from);
  return format.slice(start, format.indexOf(to, start));
}

/** The first three columns of the drawn fields. */
function fields(text: string): string[] {
  return [...text.matchAll(/^ {4}(\d+) +(u\d+)? *(\w+)/gm)].map(([, offset, type, name]) =>
    [offset, type, name].filter((part) => part !== undefined).join(' '),
  );
}
