import type { Process } from '../../spec/generated/config.ts';

/** Whether the home directory has to be looked up in the container's /etc/passwd: HOME is missing or empty. */
export function needsHome(process: Process): boolean {
  const value = environmentMap(process).get('HOME');
  return value === undefined || value === '';
}

/** The program's environment: of two entries with one name the later wins; HOME is filled in when it is missing or empty. */
export function buildEnvironment(process: Process, home: string): string[] {
  const variables = environmentMap(process);
  if ((variables.get('HOME') ?? '') === '') variables.set('HOME', home);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

function environmentMap(process: Process): Map<string, string> {
  const variables = new Map<string, string>();
  for (const entry of process.env ?? []) {
    const split = entry.indexOf('=');
    if (split > 0) variables.set(entry.slice(0, split), entry.slice(split + 1));
  }
  return variables;
}

/**
 * The home directory of a user in the text of a passwd file; undefined when it is not listed.
 *
 * Source: man 5 passwd. The file comes from the image: lines that make no sense are passed over.
 */
export function findHome(passwd: string, uid: number): string | undefined {
  for (const line of passwd.split('\n')) {
    const fields = line.split(':');
    const home = fields[5];
    if (
      fields.length >= 6 &&
      fields[2] === String(uid) &&
      home !== undefined &&
      home.startsWith('/') &&
      !home.includes('\0')
    ) {
      return home;
    }
  }
  return undefined;
}

/** The name of a user in the text of a passwd file; undefined when it is not listed. Source: man 5 passwd. */
export function findUserName(passwd: string, uid: number): string | undefined {
  const lines = passwd.split('\n').map((line) => line.split(':'));
  const name = lines.find(([, , id]) => id === String(uid))?.[0];
  return name === '' ? undefined : name;
}
