import { defineCommand, idsOf } from '../../command.ts';

/** `tsrun delete`: removes what is left of a container. */
export const command = defineCommand({
  name: 'delete',
  description: 'remove a container and all it holds',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['created', 'stopped'], 'force')],
  options: {
    force: { type: 'boolean', short: 'f', description: 'kill it first if it still runs' },
    strict: { type: 'boolean', description: 'refuse a created container too, as the specification says' },
    regex: { type: 'boolean', short: 'r', description: 'ID is a regular expression; every container that matches' },
  },
  examples: [['tsrun delete --force web', 'end it first']],
  async run({ values, positionals: [id = ''] }, { runtime, operations }) {
    await operations.deleteContainer(runtime, {
      id,
      force: values.force === true,
      ...(values.strict === true && { strict: true }),
      ...(values.regex === true && { isPattern: true }),
    });
    return 0;
  },
});
