/** What decides whether a mount is a bind mount. */
export interface BindHints {
  readonly type?: string | undefined;
  readonly options?: readonly (string | undefined)[] | undefined;
}

/** Whether a mount is a bind mount: by the options `bind` and `rbind`, or by the type `bind`, as crun and runc do. */
export function isBindMount(mount: BindHints): boolean {
  const options = mount.options ?? [];
  return mount.type === 'bind' || options.includes('bind') || options.includes('rbind');
}
