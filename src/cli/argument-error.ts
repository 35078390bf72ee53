import { TsrunError } from '../errors.ts';

/** Arguments that cannot be read at all: the help text goes before the message, as with runc. */
export class ArgumentError extends TsrunError {
  constructor(message: string) {
    super('usage', message);
  }
}
