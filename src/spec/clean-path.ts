/**
 * The path as an absolute one without `.`, `..`, doubled or trailing slashes; `..` stops at `/`.
 *
 * NOTE: only for judging what a config says. Symbolic links make this useless for finding a file below a rootfs.
 */
export function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') kept.pop();
    else kept.push(part);
  }
  return `/${kept.join('/')}`;
}
