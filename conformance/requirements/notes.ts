import type { Requirement } from '../harness/requirement.ts';

/**
 * Notes on requirements that well-known runtimes fail: what the section says, in a sentence of our own, and the version of the
 * specification that first says so. A key is an id, or the beginning of some up to a dot.
 */
export type Note = Pick<Requirement, 'since' | 'says'>;

const POSTSTART_ERROR: Note = {
  since: '1.3.0',
  says: 'Step 9 of the lifecycle makes a failing poststart hook an error that stops the container; before 1.3.0 it was a warning.',
};
const TIME: Note = { since: '1.1.0', says: 'The type "time" is one of the table of namespaces.' };
const ATTRIBUTE: Note = {
  since: '1.1.0',
  says: 'The table of options has it among those that a runtime has to implement.',
};
const ONE_OF_EACH: Note = { says: 'Two namespaces of one type are an error.' };
const INVALID: Note = { says: 'A value that is not valid, or that the runtime does not support, is to be an error.' };

export const NOTES: Readonly<Record<string, Note>> = {
  'kill.unknown-signal': { says: 'What the operation cannot do is an error, which leaves the container as it was.' },
  'net-device': { since: '1.3.0', says: 'The runtime moves each device into the network namespace and sets it up.' },
  'memory-policy': { since: '1.3.0', says: 'The process is to have the policy of this mode on these nodes.' },
  personality: { since: '1.0.2', says: 'The domain is that of personality(2), and of two values.' },
  'intel-rdt': { says: 'Where the machine has no mounted resctrl, the runtime cannot do what is asked for: an error.' },
  'process.cwd.relative': { says: 'The working directory is to be an absolute path.' },
  'user.uid.invalid': INVALID,
  'cgroup.memory.invalid': INVALID,
  'cgroups-path.type': INVALID,
  'device.invalid-type': { says: 'The type is one of four letters, those of mknod(1).' },
  'config.invalid': { says: 'Whatever is not valid or not supported is an error.' },
  scheduler: { since: '1.1.0', says: 'The process is to be scheduled with this policy.' },
  'io-priority': { since: '1.1.0', says: 'The process is to have this I/O priority, whose class is one of three.' },
  'mounts.data': {
    says: 'Options are those that mount(8) takes, which gives those that are not its own to the file system.',
  },
  'mounts.uidMappings': { since: '1.1.0', says: 'The two kinds of mappings of a mount are to be given together.' },
  'mounts.gidMappings': { since: '1.1.0', says: 'The two kinds of mappings of a mount are to be given together.' },
  'mounts.idmap': { since: '1.1.0', says: 'The mappings of a mount are to be used for it.' },
  'readonly.flags': { says: 'The path is to be made read-only, and nothing else about it is to change.' },
  propagation: { says: 'The mount propagation of the root of the container is to be the one that is named.' },
  'mount-option.defaults': ATTRIBUTE,
  'mount-option.iversion': { says: 'The table of options has it among those that a runtime has to implement.' },
  'mount-option.noiversion': { says: 'The table of options has it among those that a runtime has to implement.' },
  'mount-option.loud': { says: 'The table of options has it among those that a runtime has to implement.' },
  'mount-option.silent': { says: 'The table of options has it among those that a runtime has to implement.' },
  ...Object.fromEntries(
    ['nosymfollow', 'symfollow', 'ratime', 'rdev', 'rdiratime', 'rexec', 'rnoatime', 'rnodev', 'rnodiratime', 'rnoexec']
      .concat(['rnorelatime', 'rnostrictatime', 'rnosuid', 'rnosymfollow', 'rrelatime', 'rro', 'rrw', 'rstrictatime'])
      .concat(['rsuid', 'rsymfollow'])
      .map((option) => [`mount-option.${option}`, ATTRIBUTE]),
  ),
  ...Object.fromEntries(
    ['shared', 'slave', 'unbindable', 'rshared', 'rslave', 'runbindable'].map((option) => [
      `mount-option.${option}`,
      { says: 'The option sets the propagation of the mount that it stands with, as in mount(8).' },
    ]),
  ),
  'namespace.user.path': { says: 'A path is the namespace that the container joins; mappings are for a new one.' },
  'namespace.time': TIME,
  ...Object.fromEntries(
    ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup'].map((type) => [
      `namespace.${type}.duplicate`,
      ONE_OF_EACH,
    ]),
  ),
  time: { since: '1.1.0', says: 'The offsets of the two clocks are set in a new time namespace.' },
  domainname: { since: '1.1.0', says: 'The name is set in the UTS namespace of the container.' },
  'hook.createContainer.status': {
    says: 'A hook in the namespaces of the container gets the pid as it is seen there.',
  },
  'hook.startContainer.status': { says: 'A hook in the namespaces of the container gets the pid as it is seen there.' },
  'hook.startContainer.order': { says: 'The hooks are to be called one after the other, in the listed order.' },
  'hook.poststart.failure': POSTSTART_ERROR,
  'hook.poststart.timeout': POSTSTART_ERROR,
  'hook.poststart.when': {
    says: 'Poststart hooks belong to start: after the program was executed, before start returns.',
  },
  'hook.poststart.status': { says: 'Once the program is executed the container is running.' },
  ...Object.fromEntries(
    ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'].map((kind) => [
      `hook.${kind}.state`,
      { says: 'Standard input is the JSON of the state, whose ociVersion is a whole SemVer.' },
    ]),
  ),
  'hook.poststop.deleted': { says: 'Poststop hooks are called after the container is deleted.' },
  'cgroup.cpu.idle': { since: '1.1.0', says: 'The processes of the cgroup are to be idle ones.' },
  'cgroup.hugepages': {
    says: 'The limit of this page size is to be set, wherever the controller is: also in the unified hierarchy of a hybrid machine.',
  },
  'cgroup.blockIO.weight': { says: 'The weight of the cgroup is to be set.' },
  'features.mount-options': { since: '1.1.0', says: 'Every option in this list is one that the runtime knows.' },
  features: { since: '1.1.0' },
  'seccomp.invalid.default-errno': { since: '1.1.0' },
  'seccomp.invalid.metadata': { since: '1.1.0' },
  'seccomp.listener': { since: '1.1.0' },
};

/** The note with the longest key that fits an id. */
export function noteOn(id: string): Note {
  const words = id.split('.');
  for (let count = words.length; count > 0; count -= 1) {
    const note = NOTES[words.slice(0, count).join('.')];
    if (note !== undefined) return note;
  }
  return {};
}
