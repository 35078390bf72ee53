import { TsrunError } from '../../errors.ts';
import type { NetworkChoice, PublishedPort } from '../../container/store/options.ts';
import { absolutePath, type Surroundings } from '../surroundings.ts';
import { invalidValue } from './values.ts';

const WANTED = 'none, host, bridge, container:ID, ns:PATH or cni:NAME';
const WANTED_PORT = '[IP:]HOSTPORT:PORT[/tcp|udp]';

/** The network by `--network` and `--publish`; undefined when none is chosen. Errors: `usage`. */
export function readNetwork(
  { network, publish }: { readonly network: string | undefined; readonly publish: readonly string[] },
  surroundings: Surroundings,
): NetworkChoice | undefined {
  const ports = publish.map(readPort);
  const choice = network === undefined ? undefined : readChoice(network, ports, surroundings);
  if (ports.length > 0 && choice?.kind !== 'bridge' && choice?.kind !== 'cni')
    throw new TsrunError('usage', 'option "--publish" needs "--network bridge" or "--network cni:NAME"');
  return choice;
}

function readChoice(text: string, publish: readonly PublishedPort[], surroundings: Surroundings): NetworkChoice {
  const colon = text.indexOf(':');
  const [kind, value] = colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  if (value === undefined) {
    if (kind === 'none' || kind === 'host') return { kind };
    if (kind === 'bridge') return { kind, publish };
  } else if (value !== '' && !value.includes('\0')) {
    if (kind === 'container') return { kind, id: value };
    if (kind === 'ns') return { kind: 'namespace', path: absolutePath(value, surroundings) ?? value };
    // The form of a name in the CNI specification.
    if (kind === 'cni' && /^[A-Za-z0-9][\w.-]*$/.test(value)) return { kind, name: value, publish };
  }
  throw invalidValue(text, 'network', WANTED);
}

function readPort(text: string): PublishedPort {
  const [, hostAddress, hostPort = '', port = '', protocol = 'tcp'] =
    /^(?:([\d.]+):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const numbers = [Number(hostPort), Number(port)];
  const isAddress = hostAddress === undefined || isIpv4(hostAddress);
  if (hostPort === '' || !isAddress || numbers.some((number) => number < 1 || number > 65_535))
    throw invalidValue(text, 'publish', WANTED_PORT);
  return {
    ...(hostAddress !== undefined && hostAddress !== '0.0.0.0' && { hostAddress }),
    hostPort: Number(hostPort),
    port: Number(port),
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
  };
}

/** A leading zero means octal to some and decimal to others. */
function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}
