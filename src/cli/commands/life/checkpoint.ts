import { checkpointOptions, readCheckpointOptions } from '../../options/checkpoint.ts';
import { defineCommand, idsOf } from '../../command.ts';

/** `tsrun checkpoint`: saves a container to disk by CRIU. */
export const command = defineCommand({
  name: 'checkpoint',
  description: 'save a running container to disk',
  usage: 'ID',
  positionals: { minimum: 1, maximum: 1 },
  offers: [idsOf(['running', 'paused'])],
  options: checkpointOptions,
  examples: [
    ['tsrun checkpoint --image-path /saved/web web', 'save a container, which is gone afterwards'],
    ['tsrun checkpoint --leave-running --image-path /saved/web web', 'save it and let it go on'],
  ],
  async run({ values, positionals: [id = ''] }, { runtime, surroundings, operations }) {
    await operations.checkpointContainer(runtime, readCheckpointOptions(values, { id, surroundings }));
    return 0;
  },
});
