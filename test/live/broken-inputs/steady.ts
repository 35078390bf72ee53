/** What differs from run to run of the same row, and what stands for it in a text that is kept. The row's own names are put in before. */
const VARYING: readonly (readonly [pattern: RegExp, steady: string])[] = [
  // Processes: of nsexec of runc, in /proc, and in words.
  [/\b(nsexec(?:-\d)?)\[\d+\]/g, '$1[PID]'],
  [/\/proc\/\d+(?=\/|\b)/g, '/proc/PID'],
  [/\b(pid|process) \d{2,}\b/gi, '$1 PID'],
  [/\b(map on) \d+\b/g, '$1 PID'],
  [/\b(failed to write) \d+(?=: )/g, '$1 PID'],
  // Go's places in memory, which a build does not fix.
  [/\b0xc[0-9a-f]{9}\b/g, 'ADDRESS'],
  [/\b(usage: )\d+/g, '$1BYTES'],
  // A map of Go is walked from anywhere: which of the hierarchies comes first.
  [/\/sys\/fs\/cgroup\/[\w,]+(?=\/ID\/no\/such\/)/g, '/sys/fs/cgroup/HIERARCHY'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, 'TIME'],
  [/\/tmp\/(?!DIRECTORY\b)[\w.-]+/g, '/tmp/NAME'],
];

/** Whoever of the processes of runc writes first comes first. */
const AT_THE_SAME_TIME = /^(?:nsexec|new[ug]idmap: |unable to get oom kill count)/;

/** How often depends on how long processes take to end. */
const REPEATED = /^Failed to remove cgroup \(will retry\)/;

/** A message without what differs from run to run. */
export function steady(message: string): string {
  const named = VARYING.reduce((text, [pattern, name]) => text.replaceAll(pattern, name), message);
  const lines = named.split('\n').filter((line) => !REPEATED.test(line));
  const together = lines.filter((line) => AT_THE_SAME_TIME.test(line)).sort();
  return lines.map((line) => (AT_THE_SAME_TIME.test(line) ? (together.shift() ?? '') : line)).join('\n');
}

/** What a parent says that has heard of the end of its child before the child's reason, which it tells at other times. */
const WITHOUT_REASON =
  /^(?:write to|writing to|read status from) (?:sync socket|pipe): (?:Broken pipe|Connection reset by peer)$/m;

/** Whether a race has taken the reason away: the same again says it. */
export function lacksReason(message: string): boolean {
  return WITHOUT_REASON.test(message);
}
