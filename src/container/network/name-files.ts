import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { TsrunError } from '../../errors.ts';
import { isConnected } from '../../plan/network/choice.ts';
import { HOSTS, planHosts, planResolvConf, RESOLV_CONF } from '../../plan/network/name-files.ts';
import type { Runtime } from '../caller/caller.ts';
import type { StateDirectory } from '../store/directory.ts';
import type { PreparedNetwork } from './prepared.ts';

/** What systemd-resolved knows, where the host's own file names only its address at 127.0.0.53. */
const UPSTREAM = '/run/systemd/resolve/resolv.conf';

/** The file of a state directory that stands for a path in the container: absolute. */
export function nameFile({ path: directory }: Pick<StateDirectory, 'path'>, containerPath: string): string {
  return path.join(directory, path.basename(containerPath));
}

/** Whether a container has it. */
export function hasNameFile(directory: StateDirectory, containerPath: string): boolean {
  return existsSync(nameFile(directory, containerPath));
}

/** Makes the files, which the container's mounts show; the address is not known yet. Errors: `state`. */
export function makeNameFiles(
  { log }: Pick<Runtime, 'log'>,
  directory: StateDirectory,
  { choice, files }: PreparedNetwork,
): void {
  if (files[RESOLV_CONF] !== undefined)
    writeNameFile(directory, RESOLV_CONF, readResolvConf({ log }, isConnected(choice)));
  if (files[HOSTS] !== undefined) writeNameFile(directory, HOSTS, planHosts(undefined, undefined));
}

/** Writes into the file that is mounted already. Errors: `state`. */
export function writeNameFile(directory: StateDirectory, containerPath: string, text: string): void {
  const file = directory.file(path.basename(containerPath));
  try {
    writeFileSync(file, text, { mode: 0o644 });
    // The umask of the caller may keep it from the container's users.
    chmodSync(file, 0o644);
  } catch (error) {
    throw TsrunError.of('state', `write ${JSON.stringify(nameFile(directory, containerPath))}`, error);
  }
}

function readResolvConf({ log }: Pick<Runtime, 'log'>, isElsewhere: boolean): string {
  const text = read(RESOLV_CONF);
  if (!isElsewhere) return text;
  const plans = [text, read(UPSTREAM)].map(planResolvConf);
  const found = plans.find(({ hasServers }) => hasServers);
  if (found === undefined) log.warning(`no name server in ${RESOLV_CONF} of the host can be reached by the container`);
  return found?.text ?? '';
}

function read(hostPath: string): string {
  try {
    return readFileSync(hostPath, 'utf8');
  } catch {
    // A host without it looks no names up.
    return '';
  }
}
