const PROCESS = 'of process in config.json says so';

/** What is in config.json here where other tools have an option: name of the option -> advice. */
export const OPTION_HABITS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['t', 'tty', 'i', 'interactive', 'it', 'ti'].map((name) => [name, `"terminal": true ${PROCESS}`]),
  ),
  ...Object.fromEntries(['e', 'env'].map((name) => [name, `"env" ${PROCESS}`])),
  ...Object.fromEntries(['u', 'user'].map((name) => [name, `"user" ${PROCESS}`])),
  ...Object.fromEntries(['w', 'workdir'].map((name) => [name, `"cwd" ${PROCESS}`])),
  ...Object.fromEntries(['cap-add', 'cap-drop', 'privileged'].map((name) => [name, `"capabilities" ${PROCESS}`])),
  ...Object.fromEntries(['v', 'volume', 'mount', 'tmpfs'].map((name) => [name, '"mounts" of config.json says so'])),
  ...Object.fromEntries(['m', 'memory', 'cpus'].map((name) => [name, '"resources" of linux in config.json says so'])),
  entrypoint: `"args" ${PROCESS}`,
  name: 'the last word, ID, is its name',
  rm: 'a container goes with the end of "tsrun run", unless --keep or --detach is given',
};
