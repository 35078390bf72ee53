import { checkpointOptions } from '../../options/checkpoint.ts';
import { defineRefused } from '../../command.ts';

/** `tsrun checkpoint`: known, so that callers hear what to do in place of `unknown command`. */
export const command = defineRefused({
  name: 'checkpoint',
  description: 'not supported: save a container to disk',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  options: {
    ...checkpointOptions,
    'leave-running': { type: 'boolean', description: 'let the container go on' },
    'parent-path': { type: 'string', placeholder: 'DIR', description: 'earlier state to save the difference to' },
    'pre-dump': { type: 'boolean', description: 'save only memory, and let the container go on' },
    'tcp-skip-in-flight': { type: 'boolean', description: 'leave out TCP connections that are being made' },
    'link-remap': { type: 'boolean', description: 'allow files without a name' },
    'status-fd': { type: 'string', placeholder: 'FD', description: 'descriptor that is told when CRIU is ready' },
    'page-server': { type: 'string', placeholder: 'ADDRESS:PORT', description: 'where memory is sent' },
  },
  refusal: 'checkpoint is not supported: stop the container and create it anew instead',
});
