import t from 'tap';
import { buildEnvironment, findHome, findUserName, needsHome } from '../../../src/plan/process/environment.ts';
import { makeProcess } from '../fixtures.ts';

t.test('needsHome() holds when HOME is missing or empty', (t) => {
  const needs = (...env: string[]) => needsHome(makeProcess({ env }));
  t.equal(needsHome(makeProcess()), true);
  t.equal(needs('PATH=/bin'), true);
  t.equal(needs('HOME='), true);
  t.equal(needs('HOME=/root'), false);
  t.equal(needs('HOME=/root', 'HOME='), true);
  t.equal(needs('HOMER=/x'), true);
  t.end();
});

t.test('buildEnvironment() keeps the last of two entries in the place of the first', (t) => {
  const env = ['A=1', 'HOME=/h', 'B=2', 'A=3=4', 'EMPTY='];
  t.same(buildEnvironment(makeProcess({ env }), '/passwd'), ['A=3=4', 'HOME=/h', 'B=2', 'EMPTY=']);
  t.end();
});

t.test('buildEnvironment() fills HOME in', (t) => {
  t.same(buildEnvironment(makeProcess(), '/passwd'), ['HOME=/passwd']);
  t.same(buildEnvironment(makeProcess({ env: ['HOME=', 'A=1'] }), '/passwd'), ['HOME=/passwd', 'A=1']);
  t.end();
});

t.test('buildEnvironment() passes over what has no name', (t) => {
  t.same(buildEnvironment(makeProcess({ env: ['=x', 'HOME=/h'] }), '/'), ['HOME=/h']);
  t.end();
});

const passwd = [
  'root:x:0:0:root:/root:/bin/sh',
  'short:x:7:7:too few fields',
  'relative:x:8:8::home:/bin/sh',
  'user:x:1000:1000:,,,:/home/user:/bin/sh',
  'again:x:1000:1000::/home/again:/bin/sh',
  'bare:x:9:9::/home/bare',
  'nul:x:10:10::/home/\0:/bin/sh',
  'empty:x:11:11:::/bin/sh',
  '+::::::',
  '',
].join('\n');

t.test('findHome() takes the first line of the user', (t) => {
  t.equal(findHome(passwd, 0), '/root');
  t.equal(findHome(passwd, 1000), '/home/user');
  t.equal(findHome(passwd, 9), '/home/bare');
  t.end();
});

t.test('findHome() answers nothing for lines that make no sense and for users that are not listed', (t) => {
  for (const uid of [7, 8, 10, 11, 12, 100, 4294967295]) t.equal(findHome(passwd, uid), undefined, `uid ${uid}`);
  t.equal(findHome('', 0), undefined);
  t.equal(findHome('root:x:00:0::/root:', 0), undefined, 'numbers are compared as they are written');
  t.end();
});

t.test('findUserName() answers nothing for users that are not listed', (t) => {
  const users = 'root:x:0:0::/root:\n:x:5:5::/:\nann:x:7:7\nben:x:7:7::/:\n';
  t.equal(findUserName(users, 0), 'root');
  t.equal(findUserName(users, 7), 'ann', 'the first line');
  for (const uid of [5, 8]) t.equal(findUserName(users, uid), undefined, `uid ${uid}`);
  t.equal(findUserName('', 0), undefined);
  t.end();
});
