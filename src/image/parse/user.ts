import { refuse } from '../refuse.ts';

/** The files of an image in which its users have names; undefined for one that it lacks. */
export interface UserFiles {
  readonly passwd: string | undefined;
  readonly group: string | undefined;
}

/** Who a program runs as. */
export interface ImageUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

const LARGEST_ID = 0xffff_fffe;

/**
 * The user of an image: `user`, `uid`, `user:group`, `uid:gid` and mixtures. Without a group it has the user's own and those that it is a
 * member of. Errors: `bundle` for a name that the image does not have. Source: image-spec, config.md, "User".
 */
export function resolveUser(text: string, files: UserFiles): ImageUser {
  const [wanted = '', group, ...more] = text.split(':');
  if (more.length > 0) throw refuse(`the image runs as ${JSON.stringify(text)}, wanted USER or USER:GROUP`);
  const users = readLines(files.passwd, 4);
  const groups = readLines(files.group, 3);
  const name = wanted === '' ? '0' : wanted;
  const entry = users.find(([user]) => user === name) ?? users.find(([, , uid]) => isNumber(name) && uid === name);
  const uid = toId(entry?.[2]) ?? toId(name);
  if (uid === undefined) throw refuse(`the image runs as user ${JSON.stringify(name)}, which its /etc/passwd lacks`);
  if (group !== undefined && group !== '') return { uid, gid: findGroup(group, groups), additionalGids: [] };
  const member = entry?.[0];
  const additional = groups
    .filter(([, , , members = '']) => member !== undefined && members.split(',').includes(member))
    .flatMap(([, , gid]) => toId(gid) ?? []);
  const gid = toId(entry?.[3]) ?? 0;
  return { uid, gid, additionalGids: [...new Set(additional)].filter((one) => one !== gid) };
}

function findGroup(wanted: string, groups: readonly (readonly string[])[]): number {
  const gid = toId(groups.find(([name]) => name === wanted)?.[2]) ?? toId(wanted);
  if (gid === undefined) throw refuse(`the image runs as group ${JSON.stringify(wanted)}, which its /etc/group lacks`);
  return gid;
}

function readLines(text: string | undefined, fields: number): string[][] {
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter((parts) => parts.length >= fields && !parts[0]?.startsWith('#'));
}

function isNumber(text: string): boolean {
  return /^\d{1,10}$/.test(text);
}

function toId(text: string | undefined): number | undefined {
  return text !== undefined && isNumber(text) && Number(text) <= LARGEST_ID ? Number(text) : undefined;
}
