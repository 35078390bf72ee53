import { TsrunError } from '../../errors.ts';

/** What a manifest is for; `variant` where there are several of an architecture. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** Go's names of the architectures that Node names otherwise. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** The platform of a machine by Node's name of its architecture. */
export function hostPlatform(arch: string): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[arch] ?? arch };
}

/** `OS/ARCH` or `OS/ARCH/VARIANT`. Errors: `usage`. */
export function readPlatform(text: string): Platform {
  const [, os, architecture, variant] = /^([a-z0-9]+)\/([a-z0-9]+)(?:\/([a-z0-9]+))?$/.exec(text) ?? [];
  if (os === undefined || architecture === undefined)
    throw new TsrunError(
      'usage',
      `invalid value ${JSON.stringify(text)} for option "--platform": wanted OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64`,
    );
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

/** A platform in words. */
export function showPlatform({ os, architecture, variant }: Platform): string {
  return [os, architecture, variant].filter((part) => part !== undefined).join('/');
}

/** Where the path of a layout ends and its tag begins: the whole word is a path where there is one of that name. */
export function splitReference(word: string, exists: (path: string) => boolean): { path: string; tag?: string } {
  if (exists(word)) return { path: word };
  // A tag of docker's has a repository and slashes of its own, and an end after another colon.
  for (let colon = word.lastIndexOf(':'); colon > 0; colon = word.lastIndexOf(':', colon - 1)) {
    const path = word.slice(0, colon);
    const tag = word.slice(colon + 1);
    if (tag !== '' && exists(path)) return { path, tag };
  }
  return { path: word };
}
