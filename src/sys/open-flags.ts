import { constants } from 'node:fs';

/**
 * The flags of open(2) that architectures number differently, as this machine has them. Those of util/constants.ts are for programs, which
 * are encoded for an architecture.
 */
export const { O_DIRECTORY, O_NOFOLLOW } = constants;
