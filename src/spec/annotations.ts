/**
 * Annotations of config.json that change what tsrun does. Who reads one takes its name from here, and `features` prints all of them,
 * so that callers can keep them from people who may not use them.
 *
 * Shape: what it is for -> its key, or the beginning of its keys, which ends in a dot.
 */
export const configAnnotations = {
  /** crun: a file to which the output of all hooks is appended. */
  hookStdout: 'run.oci.hooks.stdout',
  hookStderr: 'run.oci.hooks.stderr',
  /** runc, crun: a property of the container's unit of systemd, as the text of a GVariant. */
  unitProperty: 'org.systemd.property.',
  /** runc, crun: a configuration file of CRIU; empty for none. */
  criuConfig: 'org.criu.config',
  /** The runtime specification has no property for Landlock. */
  landlock: 'run.tsrun.landlock',
  /** Nor has it one for a layer over the rootfs. */
  overlay: 'run.tsrun.overlay',
} as const;

/** Whether an annotation of this name changes what tsrun does: nothing that a stranger may choose. */
export function isConfigAnnotation(name: string): boolean {
  return Object.values(configAnnotations).some((key) => (key.endsWith('.') ? name.startsWith(key) : name === key));
}
