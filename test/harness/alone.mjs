/**
 * Test files of the unit tier that have a process of their own -> why. All others share one with their folder (together.mjs).
 * @type {Readonly<Record<string, string>>}
 */
export const ALONE = {
  'test/sys/sd-bus.test.ts': 'it sets a variable of the process that libsystemd reads',
};
