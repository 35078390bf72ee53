import { describeIssues, TsrunError, type Issue } from '../../errors.ts';

/** Collects what cannot be planned, so that a caller hears of all of it at once. */
export class Problems {
  readonly #wrong: Issue[] = [];
  readonly #unsupported: Issue[] = [];

  /** A value that no machine could apply. */
  wrong(pointer: string, message: string): void {
    this.#wrong.push({ pointer, message });
  }

  /** A value that this machine's cgroups cannot apply; config.md: an error, never silently ignored. */
  unsupported(pointer: string, message: string): void {
    this.#unsupported.push({ pointer, message });
  }

  /** Errors: `config` when a value is wrong, else `unsupported` when one cannot be applied here; `issues` has all of both. */
  throwIfAny(): void {
    const issues = [...this.#wrong, ...this.#unsupported];
    if (issues.length === 0) return;
    const code = this.#wrong.length > 0 ? 'config' : 'unsupported';
    throw new TsrunError(code, describeIssues('apply linux.resources', issues), { issues });
  }
}
