import t from 'tap';
import { TsrunError } from '../src/errors.ts';

t.test('TsrunError.of() puts the reason behind the action, and keeps the cause', (t) => {
  const cause = Object.assign(new Error('ENOENT: no such file or directory, open'), { code: 'ENOENT' });
  const error = TsrunError.of('host', 'open "/x"', cause, { pointer: '/root/path' });
  t.equal(error.message, 'open "/x": no such file or directory: ENOENT (/root/path of config.json)');
  t.match(error, {
    code: 'host',
    errno: 'ENOENT',
    pointer: '/root/path',
    text: 'open "/x": no such file or directory: ENOENT',
  });
  t.equal(error.cause, cause);
  const again = TsrunError.of('state', 'read', error);
  t.equal(again.message, 'read: no such file or directory: ENOENT', 'the errno of a failure of ours');
  t.equal(TsrunError.of('cgroup', 'remove', 'EBUSY').message, 'remove: device or resource busy: EBUSY');
  t.match(TsrunError.of('host', 'x', 'errno 524'), { message: 'x: errno 524', errno: 'errno 524' });
  const other = TsrunError.of('host', 'x', new TypeError('no number'));
  t.match(other, { message: 'x: no number', errno: undefined });
  t.end();
});

t.test('TsrunError.withPrefix() keeps everything else', (t) => {
  const issues = [{ pointer: '/a', message: 'is 1, wanted 2' }];
  const error = new TsrunError('config', 'text', { issues, errno: 'EINVAL', pointer: '/a' });
  const prefixed = error.withPrefix('exec failed: ');
  t.equal(prefixed.message, 'exec failed: text (/a of config.json)');
  t.match(prefixed, { code: 'config', issues, errno: 'EINVAL', pointer: '/a', prefix: 'exec failed: ', text: 'text' });
  t.equal(prefixed.cause, error);
  t.end();
});
