/** Part of the path that /proc/PID/exe shows for a process that is still init. */
export const INIT_IMAGE_NAME = 'tsrun-init';
