/** Users and groups by name, in the text of files that come from the image: lines that make no sense are passed over. */

/** More than the kernel takes as ids: its largest means "no change". */
const ID_LIMIT = 0xffff_ffff;
/** More than these the kernel takes from nobody (NGROUPS_MAX). */
export const GROUPS_MAX = 65_536;

/** The numbers of a user; undefined when it is not listed. Source: man 5 passwd. */
export function findUserByName(passwd: string, name: string): { uid: number; gid: number } | undefined {
  for (const line of passwd.split('\n')) {
    const [listed, , uidText, gidText] = line.split(':');
    const [uid, gid] = [readId(uidText), readId(gidText)];
    if (listed === name && uid !== undefined && gid !== undefined) return { uid, gid };
  }
  return undefined;
}

/** The number of a group; undefined when it is not listed. Source: man 5 group. */
export function findGroupByName(group: string, name: string): number | undefined {
  for (const line of group.split('\n')) {
    const [listed, , gidText] = line.split(':');
    const gid = readId(gidText);
    if (listed === name && gid !== undefined) return gid;
  }
  return undefined;
}

/** The numbers of the groups that list a user as member. Source: man 5 group. */
export function groupsWithMember(group: string, user: string): number[] {
  return group.split('\n').flatMap((line) => {
    const [, , gidText, members = ''] = line.split(':');
    const gid = readId(gidText);
    return gid !== undefined && members.trim().split(',').includes(user) ? [gid] : [];
  });
}

function readId(text = ''): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : ID_LIMIT;
  return id < ID_LIMIT ? id : undefined;
}
