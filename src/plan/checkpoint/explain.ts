/** What is known of a failure of CRIU. */
export interface CriuFailure {
  /** What CRIU answered, in its own words. */
  readonly message?: string;
  readonly errno?: number;
  /** The text of its log; the end of a long one. */
  readonly log: string;
}

/** So many of CRIU's errors are told: the first is the cause, the others follow from it. */
const ERRORS_MAX = 3;
/** What CRIU did before. */
const LINES_BEFORE = 5;
/** Of a line no more is shown. */
const LINE_LENGTH_MAX = 300;

/** The first errors in a log, each with the lines before it. */
export function quoteLog(log: string): readonly string[] {
  const lines = log.split('\n');
  const errors = lines.flatMap((text, index) => (isError(text) ? [index] : [])).slice(0, ERRORS_MAX);
  const shown = new Set(errors.flatMap((at) => Array.from({ length: LINES_BEFORE + 1 }, (_, back) => at - back)));
  return lines.filter((text, index) => text !== '' && shown.has(index)).map((text) => text.slice(0, LINE_LENGTH_MAX));
}

/** The errors alone, without the time in front. */
export function errorsOf(log: string): readonly string[] {
  const found = log.split('\n').filter(isError);
  return found.slice(0, ERRORS_MAX).map((text) =>
    text
      .replace(/^\([\d.]+\) */, '')
      .slice(0, LINE_LENGTH_MAX)
      .trim(),
  );
}

/** What CRIU goes on after, and what only says that there was something before. */
const NO_CAUSE = /Can't setup RLIMIT_NOFILE for self|Dumping FAILED|Restoring FAILED/;

function isError(line: string): boolean {
  return /\bError \(/.test(line) && !NO_CAUSE.test(line);
}

/** What CRIU complains about -> what helps, first match first. */
const REMEDIES: readonly (readonly [pattern: RegExp, remedy: string])[] = [
  [
    /Connected TCP socket|connected socket, consider using --tcp-established/i,
    'give "--tcp-established" to both checkpoint and restore',
  ],
  [/In-flight connection/i, 'give "--tcp-skip-in-flight", or wait until its connections are made'],
  [/ext-unix-sk|External socket is used/i, 'give "--ext-unix-sk" to both checkpoint and restore'],
  [/file locks are hold|--file-locks/i, 'give "--file-locks" to both checkpoint and restore'],
  [
    /--shell-job|dangling tty|tty .* is not in our session/i,
    'give "--shell-job", or run it with a terminal of its own',
  ],
  [/link-remap/i, 'give "--link-remap"'],
  [/ghost.*limit|Can't dump ghost file/i, 'have the program close the large files that it has deleted'],
  [
    /Can't lookup mount=\S+ for fd=/i,
    'files outside of the container cannot be saved: connect the program with pipes or a terminal',
  ],
  [
    /(net|pid)\[\d+\]|No file for key/i,
    'give the container the namespaces in its config.json that it had when it was saved',
  ],
  [/Tracking memory is not available/i, 'leave out "--pre-dump" and "--parent-path": this kernel tracks no memory'],
  [/vdso|rseq|unknown vma|Unsupported.*shadow stack/i, 'this CRIU does not know the kernel: install a newer criu'],
  [/iptables|nft(ables)?/i, 'install iptables, or give "--network-lock nftables" or "--network-lock skip"'],
  [
    /Unable to open \S+: Permission denied/i,
    'let root of its user namespace search the directory of the images (mode 0711) and those above it',
  ],
  [/CAP_|Operation not permitted/i, 'run it as root of the machine, with all capabilities'],
  [/File .* has bad (size|mode)/i, 'restore with the root file system as it was when the container was saved'],
  [
    /Can't open (dir|file) .*img|No such file or directory|magic|inventory/i,
    'name a directory of whole images with "--image-path"',
  ],
  [/userfaultfd|uffd|lazy-pages/i, 'start "criu lazy-pages" in the work directory first, and allow userfaultfd'],
  [/Address already in use/i, 'give "--page-server" a port that is free'],
];

/** What helps against a failure, as far as it is known. */
export function remedyFor(failure: CriuFailure): string | undefined {
  const text = causesOf(failure).join('\n');
  return REMEDIES.find(([pattern]) => pattern.test(text))?.[1];
}

/** What CRIU answers is often the first error of its log, whether that is the cause or not. */
function causesOf({ log, message = '' }: CriuFailure): readonly string[] {
  const errors = errorsOf(log);
  const said = message.trim();
  return errors.length > 0 || said === '' ? errors : [said];
}

/** The failure in one sentence: what CRIU said first, and what helps. */
export function describeCriuFailure(action: string, failure: CriuFailure): string {
  const { errno = 0 } = failure;
  const numbered = errno === 0 ? '' : ` (errno ${errno})`;
  const [what = 'it gives no reason'] = causesOf(failure);
  const remedy = remedyFor(failure);
  return `${action}: CRIU failed${numbered}: ${what}${remedy === undefined ? '' : `; to mend it, ${remedy}`}`;
}
