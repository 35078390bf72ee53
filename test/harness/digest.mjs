/** A failure of more lines is cut: a golden file that differs can be thousands long. `npx tap run FILE` shows all of it. */
const DIAGNOSTIC_LINES = 60;

/** Picks from the lines of TAP one for each file, every failure with its diagnostics, every skip with its reason, the totals. */
export function digest() {
  let inDiagnostics = false;
  let count = 0;
  return (/** @type {string} */ line) => {
    if (/^ *(ok|# Subtest)/.test(line)) inDiagnostics = false;
    if (/^ *not ok /.test(line)) {
      inDiagnostics = true;
      count = 0;
    }
    const isSkip = /^ +ok .* # (SKIP|TODO)/i.test(line);
    const isTop = /^(ok |Bail out|# (?!Subtest))/.test(line);
    const shows = (inDiagnostics && count++ < DIAGNOSTIC_LINES) || isSkip || isTop;
    if (/^ *\.\.\.$/.test(line)) inDiagnostics = false;
    return shows;
  };
}
