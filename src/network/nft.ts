import { TsrunError } from '../errors.ts';
import { findTool, runTool } from '../process/run-tool.ts';

/** Before anything is made for which it will be needed. Errors: `host`. */
export function requireNft(): void {
  if (findTool('nft') !== undefined) return;
  const message = 'network "bridge": nft is not installed (Debian: apt-get install nftables)';
  throw new TsrunError('host', message, { errno: 'ENOENT' });
}

/** Has nft(8) carry out a script as one transaction: all of it, or nothing. Errors: `host`, also where the kernel lacks something. */
export async function runNft(script: string): Promise<void> {
  requireNft();
  const { code, stderr } = await runTool('nft', [script]);
  if (code === 0) return;
  const [line = ''] = stderr.split('\n');
  throw new TsrunError('host', `network "bridge": nft failed: ${line === '' ? `exit status ${code}` : line}`);
}
