import { TsrunError } from '../../errors.ts';
import type { NetworkChoice, PublishedPort } from '../../container/store/options.ts';
import { isConnected, isIpv4, isPort, NETWORK_FORMS, parseNetwork } from '../../plan/network/choice.ts';
import { absolutePath, type Surroundings } from '../surroundings.ts';
import { invalidValue } from './values.ts';

const WANTED_PORT = '[IP:]HOSTPORT:PORT[/tcp|udp]';

/** The network by `--network` and `--publish`; undefined when none is chosen. Errors: `usage`. */
export function readNetwork(
  { network, publish }: { readonly network: string | undefined; readonly publish: readonly string[] },
  surroundings: Surroundings,
): NetworkChoice | undefined {
  const ports = publish.map(readPort);
  const choice = network === undefined ? undefined : readChoice(network, ports, surroundings);
  if (ports.length > 0 && !isConnected(choice))
    throw new TsrunError('usage', 'option "--publish" needs "--network bridge" or "--network cni:NAME"');
  return choice;
}

function readChoice(text: string, publish: readonly PublishedPort[], surroundings: Surroundings): NetworkChoice {
  const choice = parseNetwork(text, publish);
  if (choice === undefined) throw invalidValue(text, 'network', NETWORK_FORMS);
  return choice.kind === 'namespace'
    ? { ...choice, path: absolutePath(choice.path, surroundings) ?? choice.path }
    : choice;
}

function readPort(text: string): PublishedPort {
  const [, hostAddress, hostPort = '', port = '', protocol = 'tcp'] =
    /^(?:([\d.]+):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const numbers = [Number(hostPort), Number(port)];
  const isAddress = hostAddress === undefined || isIpv4(hostAddress);
  if (hostPort === '' || !isAddress || !numbers.every(isPort)) throw invalidValue(text, 'publish', WANTED_PORT);
  return {
    ...(hostAddress !== undefined && hostAddress !== '0.0.0.0' && { hostAddress }),
    hostPort: Number(hostPort),
    port: Number(port),
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
  };
}
