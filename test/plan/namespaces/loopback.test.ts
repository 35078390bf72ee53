import t from 'tap';
import { planLoopback } from '../../../src/plan/namespaces/loopback.ts';
import { makeContext, printSteps } from '../fixtures.ts';

t.test('planLoopback() brings lo of a new network namespace up', (t) => {
  const steps = planLoopback(makeContext({ config: { linux: { namespaces: [{ type: 'network' }] } } }));
  t.equal(
    printSteps(steps),
    `
   0  socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, 0) = socket  # open a socket to bring "lo" up  (/linux/namespaces)
   1  ioctl(socket, SIOCSIFFLAGS, {name="lo", flags=IFF_UP})  # bring "lo" up  (/linux/namespaces)
   2  close(socket), accepts any errno  # close socket
`,
  );
  const bytes = new Uint8Array(40);
  bytes.set([0x6c, 0x6f]);
  bytes[16] = 1;
  t.match(steps[1], { operands: [{}, 0x8914, { bytes }] });
  t.end();
});

t.test('planLoopback() leaves a joined network namespace and that of the host alone', (t) => {
  t.same(planLoopback(makeContext()), []);
  t.same(planLoopback(makeContext({ config: { linux: { namespaces: [{ type: 'network', path: '/x' }] } } })), []);
  t.end();
});
