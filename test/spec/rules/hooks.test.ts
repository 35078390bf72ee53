import t from 'tap';
import { checkHookEnv } from '../../../src/spec/rules/hooks.ts';
import { checkRows } from './rows.ts';

checkRows(t, checkHookEnv, {
  accepted: [{}, { hooks: { poststop: [{ path: '/bin/true', env: ['A=1'] }, { path: '/bin/true' }] } }],
  refused: [
    [{ hooks: { prestart: [{ path: '/x' }, { path: '/x', env: ['A'] }] } }, '/hooks/prestart/1/env/0', 'NAME=value'],
    [{ hooks: { startContainer: [{ path: '/x', env: ['=A'] }] } }, '/hooks/startContainer/0/env/0', 'NAME=value'],
  ],
});
