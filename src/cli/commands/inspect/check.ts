import type { Finding } from '../../../container/check.ts';
import { defineCommand } from '../../command.ts';
import { bundleOptions, readBundleOptions } from '../../options/create.ts';
import { reportFormat } from '../../options/format.ts';
import { readTextFormat } from '../../options/values.ts';

const exampleId = 'example';
const REFUSED = 2;

/** How a line begins. */
const TITLES: Readonly<Record<Finding['severity'], string>> = {
  error: 'error',
  warning: 'warning',
  weak: 'weak spot',
};

/** `tsrun check`: everything that is wrong with a bundle, at once. The exit code is 2 where no container can be made of it. */
export const command = defineCommand({
  name: 'check',
  description: 'print what is wrong with a bundle, and with this host for it',
  usage: '',
  positionals: { minimum: 0, maximum: 0 },
  options: {
    ...bundleOptions,
    format: reportFormat,
  },
  async run({ values }, { runtime, surroundings, operations }) {
    const format = readTextFormat(values.format);
    const options = readBundleOptions(values, { id: exampleId, surroundings });
    const findings = await operations.checkBundle(runtime, options);
    surroundings.writeStdout(format === 'json' ? `${JSON.stringify(findings, undefined, 2)}\n` : describe(findings));
    return findings.some(({ severity }) => severity === 'error') ? REFUSED : 0;
  },
});

function describe(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'nothing is wrong\n';
  const lines = findings.map(({ severity, pointer, message }) => {
    return `${TITLES[severity]}: ${pointer === '' ? '' : `${pointer}: `}${message}\n`;
  });
  return lines.join('');
}
