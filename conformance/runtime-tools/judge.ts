import { directive, testLine, yaml } from '../harness/tap.ts';
import { EXPECTED_FAILURES, type ExpectedFailure } from './expected-failures.ts';
import type { Verdict } from './verdict.ts';

export interface Judged {
  readonly program: string;
  readonly verdict: Verdict;
  /** Why it fails with tsrun, where it is on the list. */
  readonly expected: ExpectedFailure | undefined;
  /** It fails and is not on the list, or it is on the list and passes though nothing depends on the machine. */
  readonly isFault: boolean;
}

/** Sets what a program found against the list of expected failures, which is about tsrun alone: `isOurs`. */
export function judgeProgram(
  program: string,
  verdict: Verdict,
  { isOurs, list = EXPECTED_FAILURES }: { readonly isOurs: boolean; readonly list?: typeof EXPECTED_FAILURES },
): Judged {
  const expected = list[program];
  const isWrongList = isOurs && verdict.isOk && expected !== undefined && expected.fault !== 'machine';
  const isFault = isWrongList || (!verdict.isOk && (expected === undefined || (!isOurs && expected.fault === 'tsrun')));
  return { program, verdict, expected, isFault };
}

/** Lines of TAP for one program. */
export function programPoint(number: number, { program, verdict, expected, isFault }: Judged): string[] {
  const { isOk, points, complaints } = verdict;
  const todo = expected !== undefined && !isFault ? directive('TODO', expected.reason) : '';
  const surprise = expected !== undefined && isOk ? { listed: `as a failure, and it passes: ${expected.reason}` } : {};
  return [
    `${testLine(isOk && !isFault, number, program)}${todo}`,
    '  ---',
    ...yaml({ points, ...surprise }),
    ...complaints.flatMap((complaint, index) => yaml({ [`complaint_${index + 1}`]: complaint })),
    '  ...',
  ];
}
