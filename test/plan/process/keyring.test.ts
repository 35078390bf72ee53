import t from 'tap';
import { hasKeyLabel, labelKeys, planJoinKeyring, planNewKeyring } from '../../../src/plan/process/keyring.ts';
import { listFailures, makeContext, makeHost, makeProcess, printSteps } from '../fixtures.ts';

t.test('planNewKeyring() makes a keyring that its owner can search', (t) => {
  t.equal(
    printSteps(planNewKeyring(makeContext())),
    `
   0  keyctl(KEYCTL_JOIN_SESSION_KEYRING, "_ses.c1", 0, 0, 0) = answer, accepts ENOSYS EDQUOT  # join session keyring "_ses.c1"
   1  if answer == -EDQUOT fail EDQUOT  # join session keyring "_ses.c1"
   2  if answer < 0 skip 1  # skip when the kernel has no keyrings
   3    keyctl(KEYCTL_SETPERM, answer, KEY_POS_LINK|KEY_POS_READ|KEY_POS_SEARCH|KEY_POS_SETATTR|KEY_POS_VIEW|KEY_POS_WRITE|KEY_USR_LINK|KEY_USR_READ|KEY_USR_SEARCH|KEY_USR_VIEW, 0, 0)  # make session keyring "_ses.c1" searchable
`,
  );
  t.end();
});

t.test('planNewKeyring() lets others search it in a user namespace', (t) => {
  const context = makeContext({ config: { linux: { namespaces: [{ type: 'user' }] } } });
  t.match(planNewKeyring(context).at(-1), { operands: [5, {}, 0x3f13_0008] });
  t.end();
});

t.test('planJoinKeyring() leaves the permissions alone and explains a full quota', (t) => {
  const steps = planJoinKeyring(makeContext());
  t.equal(
    printSteps(steps),
    `
   0  keyctl(KEYCTL_JOIN_SESSION_KEYRING, "_ses.c1", 0, 0, 0) = answer, accepts ENOSYS EDQUOT  # join session keyring "_ses.c1"
   1  if answer == -EDQUOT fail EDQUOT  # join session keyring "_ses.c1"
`,
  );
  t.same(listFailures(steps), [
    'join session keyring "_ses.c1": {errno}: the user has too many keys, see kernel.keys.maxkeys and kernel.keys.root_maxkeys',
  ]);
  t.end();
});

t.test('--no-new-keyring keeps the keyring of the caller', (t) => {
  const context = makeContext({ options: { noNewKeyring: true } });
  t.same([...planNewKeyring(context), ...planJoinKeyring(context)], []);
  t.end();
});

t.test('labelKeys() has the keyring labelled as the program is, where it has a label', (t) => {
  const context = makeContext({ host: makeHost({ lsm: { selinux: true } }) });
  const process = makeProcess({ selinuxLabel: 'u:r:t:s0' });
  const keyring = planJoinKeyring(context);
  const labels = labelKeys(context, process, keyring).map(({ label }) => label);
  t.equal(labels.indexOf('label new keys "u:r:t:s0"'), 0);
  t.ok(labels.indexOf('join session keyring "_ses.c1"') > 0);
  t.ok(labels.indexOf('end labelling new keys') > labels.lastIndexOf('join session keyring "_ses.c1"'));
  t.same(labelKeys(context, makeProcess({}), keyring), keyring);
  t.same(labelKeys(context, undefined, keyring), keyring);
  t.same(labelKeys(context, process, []), []);
  t.same([hasKeyLabel(process), hasKeyLabel(makeProcess({})), hasKeyLabel(undefined)], [true, false, false]);
  t.end();
});
