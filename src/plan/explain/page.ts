import { printStep } from '../../program/print-step.ts';
import { topicStarts } from '../../program/series.ts';
import type { Program, Step } from '../../program/step.ts';
import { durationOf, type Span, type Timeline } from '../../program/timeline.ts';
import { escapeControls } from '../../util/escape-controls.ts';
import type { CreatePlan } from '../create.ts';
import { PAGE_STYLE } from './page-style.ts';
import type { Fact, MountNode, NamespaceFact, Picture } from './picture.ts';

/** What a page shows. */
export interface PageContents {
  readonly picture: Picture;
  readonly plan: Pick<CreatePlan, 'phases'>;
  readonly programs: readonly Program[];
  /** Where the time of such a container went. */
  readonly timeline?: Timeline | undefined;
}

/**
 * A container as a page of its own: from outside in, what happens in which order, and every step. It is one file without a script, that
 * asks no network for anything; all that a configuration says is text in it.
 */
export function drawPage(contents: PageContents): string {
  const { picture, programs, timeline } = contents;
  const title = `Container ${picture.id}`;
  const body = [
    `<header><h1>${text(title)}</h1><p class="mono">${text(picture.program.text)}</p>`,
    `<p class="soft">of the bundle <code>${text(picture.bundle)}</code></p></header>`,
    section('Worth a look', drawWeakSpots(picture)),
    section('From outside in', drawBoxes(picture)),
    section('Where the time went', timeline === undefined ? '' : drawBars(timeline)),
    section('What happens', drawPhases(contents)),
    section('Every step', drawSteps(programs, timeline)),
  ];
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">`,
    `<title>${text(title)}</title><style>${PAGE_STYLE}</style></head><body><main>`,
    ...body,
    '<footer>Made by <code>tsrun explain --html</code>; nothing of it has been done.</footer>',
    '</main></body></html>\n',
  ].join('\n');
}

/** Text of anybody, as text. Characters that turn the direction of what follows are shown as what they are. */
function text(value: string): string {
  return escapeControls(value)
    .replace(/[\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, (hidden) => {
      return `\\u${hidden.charCodeAt(0).toString(16)}`;
    })
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function section(title: string, content: string): string {
  return content === '' ? '' : `<section><h2>${title}</h2>${content}</section>`;
}

function place(pointer: string | undefined): string {
  return pointer === undefined || pointer === '' ? '' : `<span class="at">${text(pointer)}</span>`;
}

function drawWeakSpots({ weakSpots, warnings }: Picture): string {
  return [
    ...weakSpots.map(({ pointer, message }) => `<div class="weak">${place(pointer)} ${text(message)}</div>`),
    ...warnings.map((warning) => `<div class="weak">${text(warning)}</div>`),
  ].join('');
}

/** Each box lies in the one that holds it: the host, what limits the container, what it sees, its files, its process. */
function drawBoxes(picture: Picture): string {
  const { namespaces, cgroup, ids, capabilities, seccomp, bounds, hooks, mounts, network } = picture;
  const shared = namespaces.filter(({ kind }) => kind === 'host');
  const apart = namespaces.filter(({ kind }) => kind !== 'host');
  const process = box(
    'process',
    'Process',
    `<div class="grid">${[
      list('Ids', ids),
      list('Capabilities', capabilities),
      list('Seccomp', [seccomp]),
      list('Held back by', bounds),
    ].join('')}</div>`,
  );
  const files = box('root', 'Root file system', `<div class="tree">${drawTree(mounts)}</div>${process}`);
  const spaces = box('space', 'Namespaces', `${chips(apart)}${list('Network', network)}${files}`);
  const limits = box('cgroup', 'Cgroup', `${list('', cgroup)}${spaces}`);
  const outside = hooks.length === 0 ? '' : list('Hooks', hooks);
  const common = shared.length === 0 ? '' : `<h3>Shared with the container</h3>${chips(shared)}`;
  return box('host', 'Host', `${common}${outside}${limits}`);
}

function box(kind: string, title: string, content: string): string {
  return `<div class="box ${kind}"><h3>${title}</h3>${content}</div>`;
}

function list(title: string, facts: readonly Fact[]): string {
  if (facts.length === 0) return '';
  const items = facts.map((fact) => `<li>${text(fact.text)} ${place(fact.pointer)}</li>`).join('');
  return `<div>${title === '' ? '' : `<h3>${title}</h3>`}<ul>${items}</ul></div>`;
}

function chips(namespaces: readonly NamespaceFact[]): string {
  if (namespaces.length === 0) return '<p class="soft">none of its own</p>';
  const items = namespaces.map(({ type, kind, path }) => {
    const joined = path === undefined ? '' : ` <code>${text(path)}</code>`;
    return `<span class="chip ${kind === 'host' ? 'host-own' : ''}">${kind === 'joined' ? 'joins ' : ''}${type}${joined}</span>`;
  });
  return `<div class="chips">${items.join('')}</div>`;
}

function drawTree(node: MountNode): string {
  const below = node.children.length === 0 ? '' : `<ul>${node.children.map((child) => drawTree(child)).join('')}</ul>`;
  const own = `<code>${text(node.destination)}</code> <span class="soft">${text(node.text)}</span> ${place(node.pointer)}`;
  return node.destination === '/'
    ? `<ul style="border:0;margin:0;padding:0"><li>${own}${below}</li></ul>`
    : `<li>${own}${below}</li>`;
}

/** What the command does when init answers, by the name of the exchange. */
const ANSWERS: Readonly<Record<CreatePlan['phases'][number]['exchange'], string>> = {
  cgroup: 'has systemd move the process into its unit',
  'id-maps': 'writes the id maps of the user namespace',
  pid: 'takes note of the process, sets its resource limits and those of its cgroup',
  network: 'moves network devices into the container, and connects it to the network that was chosen',
  'copy-up': 'copies what a tmpfs covers into it',
  rootfs: 'runs the hooks of create',
  'host-mounts': "hides the host's mounts",
  console: 'hands the terminal over',
  passwd: 'looks the home directory up',
  seccomp: 'hands the listener of the filter over',
  ready: 'takes note that the container is created; it waits for start',
};

function drawPhases({ plan: { phases }, programs }: PageContents): string {
  const exchanges = new Map(phases.map(({ program, exchange }) => [program, exchange]));
  const items = programs.flatMap((program) => {
    const topics = (program.topics ?? []).map(({ name }) => name);
    const what = topics.length === 0 ? '' : `: ${text([...new Set(topics)].join(', '))}`;
    const count = `${program.steps.length} ${program.steps.length === 1 ? 'step' : 'steps'}`;
    const init = `<li><strong>${text(program.name)}</strong> <span class="soft">init, ${count}${what}</span></li>`;
    const exchange = exchanges.get(program);
    return exchange === undefined
      ? [init]
      : [init, `<li class="parent"><span class="soft">tsrun ${text(ANSWERS[exchange])}</span></li>`];
  });
  return `<ol class="line" style="list-style:none">${items.join('')}</ol>`;
}

function drawBars({ phases, programs }: Timeline): string {
  const spans: readonly Span[] = [...phases, ...programs];
  if (spans.length === 0) return '';
  const from = Math.min(...spans.map((span) => span.from));
  const total = Math.max(...spans.map((span) => span.to)) - from || 1;
  const row = (name: string, span: Span, kind: string): string => {
    const percent = (value: number): string => ((value / total) * 100).toFixed(2);
    const bar = `<i class="${kind}" style="left:${percent(span.from - from)}%;width:${percent(durationOf(span))}%"></i>`;
    return `<div class="row"><span>${text(name)}</span><span class="track">${bar}</span><span class="time">${showDuration(durationOf(span))}</span></div>`;
  };
  const inits = new Set(programs.map(({ name }) => name));
  const rows = phases.map((phase) => row(phase.name, phase, inits.has(phase.name) ? 'init' : ''));
  const kernel = programs.flatMap(({ steps }) => steps).reduce((sum, step) => sum + durationOf(step), 0);
  return `<p>${showDuration(total)} in all, of which init was ${showDuration(kernel)} in its steps.</p><div class="bars">${rows.join('')}</div>`;
}

function showDuration(us: number): string {
  if (us < 1000) return `${us < 10 ? us.toFixed(1) : Math.round(us)} µs`;
  return us < 1e6 ? `${(us / 1000).toFixed(2)} ms` : `${(us / 1e6).toFixed(2)} s`;
}

function drawSteps(programs: readonly Program[], timeline: Timeline | undefined): string {
  return programs
    .map((program, at) => {
      const times = timesOf(program, timeline);
      const topics = topicStarts(program);
      const rows = program.steps.map((step, index) => {
        const topic = topics.get(index);
        const heading = topic === undefined ? '' : `<h3 class="topic">${text(topic.name)}</h3>`;
        return `${heading}${drawStep(step, index, times?.get(index))}`;
      });
      const took =
        times === undefined ? '' : `, ${showDuration([...times.values()].reduce((sum, time) => sum + time, 0))}`;
      const title = `${text(program.name)} <span class="soft">${rows.length} steps${took}</span>`;
      return `<details${at === 0 ? ' open' : ''}><summary>${title}</summary>${rows.join('')}</details>`;
    })
    .join('');
}

function drawStep(step: Step, index: number, time: number | undefined): string {
  const shown = time === undefined ? '' : showDuration(time);
  const label = `<span>${text(step.label)}<code>${text(printStep(step))}</code></span>`;
  return `<div class="step"><span class="n">${index}</span>${label}<span class="at">${text(step.pointer ?? '')}</span><span class="time">${shown}</span></div>`;
}

/** Index of a step -> microseconds. A trace of another bundle has other steps: one that is named otherwise is none of these. */
function timesOf({ name, steps }: Program, timeline: Timeline | undefined): Map<number, number> | undefined {
  const found = timeline?.programs.find((program) => program.name === name);
  if (found === undefined) return undefined;
  const same = found.steps.filter(({ index, call }) => {
    const step = steps[index];
    return step?.kind === 'call' && step.call === call;
  });
  return new Map(same.map((step) => [step.index, durationOf(step)]));
}
