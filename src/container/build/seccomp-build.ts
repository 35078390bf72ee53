import { TsrunError } from '../../errors.ts';
import type { SeccompBuild } from '../../spec/features.ts';
import { libseccompVersion } from '../../sys/libseccomp.ts';

/** What is there for seccomp filters; undefined without libseccomp. The flags are seccomp(2)'s own, no library is in between. */
export function readSeccompBuild(): SeccompBuild | undefined {
  try {
    return {
      libraryVersion: libseccompVersion(),
      supportedFlags: [
        'SECCOMP_FILTER_FLAG_LOG',
        'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
        'SECCOMP_FILTER_FLAG_TSYNC',
        'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
      ],
    };
  } catch (error) {
    if (error instanceof TsrunError && error.code === 'host') return undefined;
    throw error;
  }
}
