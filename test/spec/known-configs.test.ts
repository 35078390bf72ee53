import t from 'tap';
import { KnownConfigs } from '../../src/spec/known-configs.ts';

const textOf = (annotation: string): string =>
  JSON.stringify({ ociVersion: '1.2.0', root: { path: 'rootfs' }, annotations: { 'org.example': annotation } });

t.test('KnownConfigs has one answer for a text, while it is among the last', (t) => {
  const configs = new KnownConfigs();
  const first = configs.load(textOf('first'));
  t.equal(configs.load(textOf('first')), first);
  t.not(configs.load(textOf('second')), first);
  for (let i = 0; i < 16; i++) configs.load(textOf(`${i}`));
  t.not(configs.load(textOf('first')), first, 'it was given up');
  t.end();
});

t.test('KnownConfigs keeps what it knows when a large text comes', (t) => {
  const configs = new KnownConfigs();
  const first = configs.load(textOf('first'));
  const large = textOf('x'.repeat(400_000));
  t.not(configs.load(large), configs.load(large), 'which it does not keep');
  t.equal(configs.load(textOf('first')), first);
  t.end();
});
