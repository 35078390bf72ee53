import t from 'tap';
import { checkLandlock } from '../../../src/spec/rules/landlock.ts';
import { checkRows } from './rows.ts';

const NAME = 'run.tsrun.landlock';
const annotated = (value: unknown) => ({
  annotations: { [NAME]: typeof value === 'string' ? value : JSON.stringify(value) },
});
const refused = (value: unknown, words: string) => [annotated(value), `/annotations/${NAME}`, words] as const;

checkRows(t, checkLandlock, {
  accepted: [
    {},
    { annotations: { other: '{' } },
    annotated({}),
    annotated({ read: ['/'], execute: ['/bin', '/usr'], write: ['/tmp'] }),
    annotated({ read: Array.from({ length: 256 }, (_, index) => `/${index}`) }),
  ],
  refused: [
    refused('', 'wanted JSON such as'),
    refused('{', 'wanted JSON such as'),
    refused('null', 'is no JSON object'),
    refused([], 'is no JSON object'),
    refused({ Read: ['/'] }, 'has "Read", wanted read, execute, write'),
    refused({ read: '/' }, 'has "read" that is no list of absolute paths'),
    refused({ write: ['tmp'] }, 'has "write" that is no list of absolute paths'),
    refused({ execute: ['/a\0b'] }, 'has "execute" that is no list of absolute paths'),
    refused({ execute: [1] }, 'has "execute" that is no list of absolute paths'),
    refused({ read: Array.from({ length: 257 }, () => '/') }, 'has 257 paths, wanted at most 256'),
  ],
});
