import t from 'tap';
import { checkOverlay } from '../../../src/spec/rules/overlay.ts';
import { checkRows } from './rows.ts';

const NAME = 'run.tsrun.overlay';
const annotated = (value: unknown) => ({
  annotations: { [NAME]: typeof value === 'string' ? value : JSON.stringify(value) },
});
const refused = (value: unknown, words: string) => [annotated(value), `/annotations/${NAME}`, words] as const;

checkRows(t, checkOverlay, {
  accepted: [
    {},
    { annotations: { other: 'true' } },
    annotated('true'),
    annotated({}),
    annotated({ directory: '/data/web', lower: ['/layers/1', '/layers/0'] }),
  ],
  refused: [
    refused('false', 'wanted true, or JSON such as'),
    refused({ upper: '/x' }, 'has "upper", wanted directory and lower'),
    refused({ directory: 'x' }, 'has "directory" that is no absolute path'),
    refused({ lower: ['x'] }, 'has "lower" that is no list of absolute paths'),
    refused({ lower: Array.from({ length: 97 }, () => '/x') }, 'has 97 lower directories, wanted at most 96'),
  ],
});
