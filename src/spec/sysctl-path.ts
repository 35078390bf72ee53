/**
 * A kernel parameter as a path below /proc/sys, without a slash in front: `net.ipv4.ip_forward` -> `net/ipv4/ip_forward`.
 *
 * When the first separator is a slash, slashes separate and dots belong to names; otherwise dots separate, and a slash
 * stands for a dot inside a name (`net.ipv4.conf.eno2/100.rp_filter`). Source: sysctl.d(5).
 */
export function sysctlPath(key: string): string {
  const separator = /[./]/.exec(key)?.[0];
  if (separator !== '.') return key;
  return key.replace(/[./]/g, (character) => (character === '.' ? '/' : '.'));
}
