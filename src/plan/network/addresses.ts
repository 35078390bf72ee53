/** An IPv4 network: its first address as a number, and how many bits of it all addresses have in common. */
export interface Range {
  readonly base: number;
  readonly prefixLength: number;
}

/** A route of the host: where it leads to, and by which device. */
export interface RouteFact extends Range {
  readonly device: string;
}

/** Name of the bridge. */
export const BRIDGE = 'tsrun0';

/**
 * Networks for the bridge, of which the first that the host has no route into is used: private ones (RFC 1918) that home routers and
 * the usual container engines leave alone. A bridge of the kernel has 1023 ports at most (BR_MAX_PORTS), so more addresses would be of no
 * use.
 */
export const RANGES: readonly Range[] = ['10.87.0.0/22', '172.29.84.0/22', '192.168.228.0/22'].map(parseRange);

/**
 * The range of a bridge that is yet to be made; undefined when the host has a route into each. A default route leads everywhere and is in
 * nobody's way.
 */
export function chooseRange(routes: readonly RouteFact[]): Range | undefined {
  const others = routes.filter(({ device, prefixLength }) => device !== BRIDGE && prefixLength > 0);
  return RANGES.find((range) => !others.some((route) => overlap(range, route)));
}

/** The range of a bridge by the address that it has. */
export function rangeOf(address: number): Range | undefined {
  return RANGES.find((range) => isIn(range, address));
}

/** The address of the bridge itself: the first that a host may have. */
export function gatewayOf({ base }: Range): number {
  return base + 1;
}

/** The lowest address that nobody has; undefined when there is none left. */
export function chooseAddress(range: Range, taken: ReadonlySet<number>): number | undefined {
  const last = range.base + sizeOf(range) - 2;
  for (let address = gatewayOf(range) + 1; address <= last; address++) if (!taken.has(address)) return address;
  return undefined;
}

/** The last address of a network is that of everybody in it. */
export function broadcastOf(range: Range): number {
  return range.base + sizeOf(range) - 1;
}

/** The number of an address in dotted decimal; undefined for anything else. */
export function parseAddress(text: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1);
  // A leading zero means octal to some and decimal to others.
  if (parts === undefined || parts.some((part) => Number(part) > 255 || /^0\d/.test(part))) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** In dotted decimal. */
export function printAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

/** `ADDRESS/BITS`. */
export function printRange({ base, prefixLength }: Range): string {
  return `${printAddress(base)}/${prefixLength}`;
}

function parseRange(text: string): Range {
  const [address = '', bits] = text.split('/');
  return { base: parseAddress(address) ?? 0, prefixLength: Number(bits) };
}

function sizeOf({ prefixLength }: Range): number {
  return 2 ** (32 - prefixLength);
}

function isIn(range: Range, address: number): boolean {
  return address >= range.base && address < range.base + sizeOf(range);
}

function overlap(one: Range, other: Range): boolean {
  return isIn(one, other.base) || isIn(other, one.base);
}
