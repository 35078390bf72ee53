import t from 'tap';
import { requirements } from '../../conformance/requirements/index.ts';
import { noteOn, NOTES } from '../../conformance/requirements/notes.ts';

const SECTIONS = /^(bundle|config|config-linux|runtime|runtime-linux|features|features-linux)\.md$/;

t.test('every requirement has an id of its own, a title and a section', (t) => {
  const ids = requirements.map(({ id }) => id);
  t.same(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
    'ids that are there twice',
  );
  for (const { id, title, file, heading } of requirements)
    if (!SECTIONS.test(file) || heading === '' || title === '' || !/^[\w-]+(\.[\w.-]+)*$/.test(id)) t.fail(id);
  t.ok(requirements.filter(({ level }) => level === 'MUST').length >= 150);
  t.end();
});

t.test('every operation and every file of the specification has requirements', (t) => {
  const files = new Set(requirements.map(({ file }) => file));
  t.equal(files.size, 7, [...files].join());
  const headings = new Set(requirements.map(({ file, heading }) => `${file}, ${heading}`));
  for (const heading of ['State', 'Lifecycle', 'Errors', 'Query State', 'Create', 'Start', 'Kill', 'Delete'])
    t.ok(headings.has(`runtime.md, ${heading}`), heading);
  t.end();
});

t.test('noteOn() takes the longest key, and every key is about something', (t) => {
  t.equal(noteOn('features.seccomp.archs').since, '1.1.0');
  t.match(noteOn('mount-option.ratime'), { since: '1.1.0', says: /table/ });
  t.same(noteOn('nothing.of.this'), {});
  for (const key of Object.keys(NOTES))
    if (!requirements.some(({ id }) => id === key || id.startsWith(`${key}.`)))
      t.fail(`no requirement is called ${key}`);
  t.end();
});
