import type { ContainerStatus } from '../../container/store/options.ts';
import type { OptionSpec } from './table.ts';
import { invalidValue } from './values.ts';

const STATUSES: readonly ContainerStatus['status'][] = ['creating', 'created', 'running', 'paused', 'stopped'];

/** `--filter` of commands on several containers. */
export const filterOption = {
  type: 'strings',
  placeholder: 'FILTER',
  description:
    'only those with status=STATUS, id=TEXT (a part of it) or annotation=NAME[=VALUE], also written label=; several of status ' +
    'or id: any of them',
} as const satisfies OptionSpec;

type Kind = 'status' | 'id' | 'annotation';
type Test = (container: ContainerStatus) => boolean;

/** Whether a container passes filters: any of those by status, any of those by id, all of those by annotation. Errors: `usage`. */
export function readFilters(texts: readonly string[]): Test {
  const filters = texts.map(readFilter);
  const of = (kind: Kind): Test[] => filters.filter((filter) => filter.kind === kind).map(({ test }) => test);
  const [byStatus, byId, byAnnotation] = [of('status'), of('id'), of('annotation')];
  return (container) => {
    const passes = (test: Test): boolean => test(container);
    const isAny = (tests: readonly Test[]): boolean => tests.length === 0 || tests.some(passes);
    return isAny(byStatus) && isAny(byId) && byAnnotation.every(passes);
  };
}

function readFilter(text: string): { readonly kind: Kind; readonly test: Test } {
  const [, name = '', value = ''] = /^([a-z]+)=(.+)$/s.exec(text) ?? [];
  switch (name) {
    case 'status':
      if (!STATUSES.some((status) => status === value))
        throw invalidValue(text, 'filter', `one of the statuses ${STATUSES.join(', ')}`);
      return { kind: 'status', test: ({ status }) => status === value };
    case 'id':
      return { kind: 'id', test: ({ id }) => id.includes(value) };
    case 'annotation':
    case 'label':
      return { kind: 'annotation', test: annotationTest(value) };
    default:
      throw invalidValue(text, 'filter', 'status=STATUS, id=TEXT or annotation=NAME[=VALUE]');
  }
}

/** Names hold no `=`; a value may. */
function annotationTest(text: string): Test {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  const wanted = equals < 0 ? undefined : text.slice(equals + 1);
  return ({ annotations = {} }) => {
    if (!Object.hasOwn(annotations, name)) return false;
    return wanted === undefined || annotations[name] === wanted;
  };
}
