import { TsrunError } from '../errors.ts';

/** The refusal of an image: `what` says in one clause what is wrong with it. */
export function refuse(what: string): TsrunError {
  return new TsrunError('bundle', `unpack the image: ${what}`);
}

/** A name of an archive for a message: long ones are cut, bytes that are no text are replaced. */
export function showName(name: string): string {
  const text = Buffer.from(name, 'latin1').toString();
  const MOST = 200;
  return JSON.stringify(text.length > MOST ? `${text.slice(0, MOST)}...` : text);
}
