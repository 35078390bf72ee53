/** Where a program looks names up. */
export const RESOLV_CONF = '/etc/resolv.conf';
/** Likewise, before any server is asked. */
export const HOSTS = '/etc/hosts';

/**
 * The host's resolv.conf for a container with a network of its own: a name server at 127.0.0.53 is one of the host, and not there.
 * `hasServers`: whether any is left. Source: man 5 resolv.conf.
 */
export function planResolvConf(text: string): { readonly text: string; readonly hasServers: boolean } {
  const lines = text.split('\n').filter((line) => !/^\s*nameserver\s+(127\.|::1\b)/.test(line));
  return { text: lines.join('\n'), hasServers: lines.some((line) => /^\s*nameserver\s/.test(line)) };
}

/** /etc/hosts of a container, once its address is known. Source: man 5 hosts. */
export function planHosts(hostname: string | undefined, address: string | undefined): string {
  const local = '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n';
  if (address === undefined || hostname === undefined || hostname === '') return local;
  return `${local}${address} ${hostname}\n`;
}
