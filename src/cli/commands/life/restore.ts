import { checkpointOptions } from '../../options/checkpoint.ts';
import { defineRefused } from '../../command.ts';

/** `tsrun restore`: known, so that callers hear what to do in place of `unknown command`. */
export const command = defineRefused({
  name: 'restore',
  description: 'not supported: continue a saved container',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  options: {
    ...checkpointOptions,
    bundle: { type: 'string', short: 'b', placeholder: 'DIR', description: 'directory of config.json' },
    detach: { type: 'boolean', short: 'd', description: 'do not wait for the program' },
    'pid-file': { type: 'string', placeholder: 'PATH', description: 'file to write the pid to' },
    'console-socket': { type: 'string', placeholder: 'PATH', description: 'unix socket to send the terminal to' },
    'no-subreaper': { type: 'boolean', description: 'become no subreaper' },
    'no-pivot': { type: 'boolean', description: 'move the root in place of pivot_root' },
    'tcp-close': { type: 'boolean', description: 'close TCP connections' },
    'lsm-profile': { type: 'string', placeholder: 'TYPE:NAME', description: 'another profile of AppArmor or SELinux' },
    'lsm-mount-context': { type: 'string', placeholder: 'CONTEXT', description: 'another SELinux context of mounts' },
  },
  refusal: 'restore is not supported: create and start the container anew instead',
});
