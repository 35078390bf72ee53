import t from 'tap';
import ts from 'typescript';
import { PURE } from './import-table.ts';
import { folderOf, parseSource, placeOf, readSources, visit, type Source } from './sources.ts';

interface Ban {
  /** Dotted names: `process.exit` also covers `process.exit.call`; a name alone covers everything below it. */
  readonly names: readonly string[];
  /** Files (`main.ts`, `sys/a.ts`) and folders of src/ that may use them all the same. */
  readonly except?: readonly string[];
  /** Where the ban holds. Default: all of src/. */
  readonly within?: readonly string[];
  readonly reason: string;
}

/** The folders that work for whoever asked, in a process that may be somebody else's. */
const BELOW_THE_CALLER = ['container', 'process', 'host', 'cgroup', 'seccomp'];
/** What belongs to the process and would be mistaken for the caller's. */
const OWN = [
  ...['process.argv', 'process.argv0', 'process.env', 'process.cwd', 'process.pid', 'process.ppid', 'process.umask'],
  ...['process.getuid', 'process.geteuid', 'process.getgid', 'process.getegid', 'process.getgroups'],
];
const CALLER_REASON = 'it is the process it happens to run in: who asked is in the Caller (container/caller/caller.ts)';
/** Of this process in /proc, and its descriptors by their other names. */
const OWN_FILES = /\/proc\/(self|thread-self)\b|\/dev\/(fd\b|std(in|out|err)\b|tty$)/;

const BANS: readonly Ban[] = [
  {
    names: ['process.exit', 'process.exitCode', 'process.abort', 'process.reallyExit'],
    except: ['main.ts', 'shim-main.ts'],
    reason: 'only the command ends its process; a library in a server may not',
  },
  { names: ['process.argv'], except: ['main.ts', 'shim-main.ts', 'cli'], reason: 'arguments arrive as arguments' },
  {
    names: OWN,
    within: BELOW_THE_CALLER,
    reason: CALLER_REASON,
  },
  {
    names: ['process.env', 'process.cwd'],
    except: ['main.ts', 'shim-main.ts', 'cli', 'own-process'],
    reason: "the caller's surroundings arrive as arguments",
  },
  {
    names: ['process.chdir', 'process.umask'],
    except: ['planner/server.ts', 'shim/bootstrap/surroundings.ts', 'shim/task/rootfs.ts'],
    reason:
      'the whole process shares them, and may be serving other containers; a planner and a shim set them before they serve, and mount(2) knows no other way for relative lower directories',
  },
  {
    names: ['process.setuid', 'process.setgid', 'process.seteuid', 'process.setegid'],
    reason: 'init becomes the user, never this process',
  },
  {
    names: ['process.stdout', 'process.stderr', 'process.stdin'],
    except: ['main.ts', 'cli'],
    reason: 'only the command prints',
  },
  {
    names: ['setTimeout', 'setInterval'],
    within: ['cgroup', 'container', 'process', 'seccomp', 'host'],
    reason:
      'timers of the engine stand still while the main thread waits for descriptors: sleep() of sys/events/poll.ts does not',
  },
  { names: ['console'], reason: 'only the command prints, and it does so through cli/output.ts' },
  {
    names: ['eval', 'Function', 'globalThis.eval', 'process.dlopen', 'process.binding'],
    except: ['sys'],
    reason: 'no code is made at run time',
  },
  {
    names: [
      'Date.now',
      'Date',
      'Math.random',
      'performance',
      'crypto',
      'setTimeout',
      'process',
      'fetch',
      'globalThis',
      'require',
    ],
    within: PURE,
    reason: 'what decides is a function of its arguments',
  },
];

/** Methods that change an array, a map or a set. */
const MUTATORS: ReadonlySet<string> = new Set([
  'add',
  'clear',
  'delete',
  'pop',
  'push',
  'set',
  'shift',
  'splice',
  'unshift',
]);

/** Variables of modules that stay, and why. */
const KEPT: Readonly<Record<string, string>> = {
  'sys/library.ts koffi': 'the library is loaded at most once in a process, when it is first needed',
  'sys/library.ts libc': 'the same',
  'sys/sd-bus/library.ts library': 'the same',
  'sys/socket.ts room': 'it is filled and read in one go, whoever sends or receives',
  'sys/sd-bus/library.ts bound': 'the functions of it that are in use',
  'sys/libseccomp.ts functions': 'the same',
  'sys/events/signals.ts catcher': 'a process has one set of signals',
  'sys/events/poll.ts waiter': 'all waits of a process share its event loop',
  'sys/events/interruption.ts interruptions': 'who interrupts is one for all of a process',
  'process/turns.ts underWay': 'everyone in a process shares its event loop',
  'process/turns.ts talks': 'the same',
  'process/spawned.ts images': 'the same options give the same bytes, whoever asks',
  'protobuf/codec.ts layouts': 'a table says the same for as long as it is there, whoever reads by it',
  'sys/events/turn-queue.ts waiting': 'the same',
};

const sources = readSources();

t.test('nothing in src/ uses what is banned there', (t) => {
  t.strictSame(sources.flatMap(findBanned), []);
  t.end();
});

t.test('what works for a caller looks at no files of its own process', (t) => {
  t.strictSame(sources.flatMap(findOwnFiles), []);
  t.end();
});

t.test('a file of the own process is found where it is named, and nowhere else', (t) => {
  const rows: [file: string, text: string, wanted: RegExp | undefined][] = [
    ['container/run.ts', "readFileSync('/proc/self/status');", /\/proc\/self: it is the process .*sys\/fd.ts/],
    ['container/run.ts', 'readFileSync(`/proc/self/fdinfo/${fd}`);', /\/proc\/self/],
    ['container/run.ts', 'readdirSync(`${root}/proc/self/fd`).length;', /\/proc\/self/],
    ['host/facts.ts', "function read(directory = '/proc/self') {}", /\/proc\/self/],
    ['process/spawned.ts', "open('/proc/thread-self/attr/exec');", /\/proc\/thread-self/],
    ['seccomp/cache.ts', "readdirSync('/dev/fd').length;", /\/dev\/fd/],
    ['container/caller/relaying-foreground.ts', "openFile('/dev/tty', O_RDWR);", /\/dev\/tty/],
    ['container/run.ts', '// as /proc/self/status has it', undefined],
    ['container/run.ts', 'readFileSync(`/proc/${pid}/status`); f(descriptorPath(fd));', undefined],
    ['container/run.ts', "f('/proc/selfish', '/dev/ttyS0');", undefined],
    ['sys/fd.ts', 'f(`/proc/self/fd/${fd}`);', undefined],
    ['own-process/own-process.ts', "const PROC = '/proc/self';", undefined],
    ['plan/rootfs/devices.ts', "link('/proc/self/fd', 'fd');", undefined],
  ];
  for (const [file, text, wanted] of rows) {
    const found = findOwnFiles(parseSource(file, text)).join('\n');
    if (wanted === undefined) t.equal(found, '', `${file}: ${text}`);
    else t.match(found, wanted, `${file}: ${text}`);
  }
  t.end();
});

t.test('src/ keeps no state in module variables and static members', (t) => {
  const found = sources.flatMap((source) =>
    findModuleVariables(source).filter((line) => KEPT[`${source.file} ${line.split(' ')[1] ?? ''}`] === undefined),
  );
  t.strictSame(found, [], 'one process may serve many containers');
  t.end();
});

t.test('no message ends in the name of an errno alone', (t) => {
  const found = sources.filter(({ file }) => !file.startsWith('util/')).flatMap((source) => findBareErrnos(source));
  t.strictSame(found, [], 'callers and people look for its words: errnoText()');
  t.not(findBareErrnos(parseSource('sys/a.ts', 'throw new Error(`open it: ${errno}`);')).length, 0);
  t.strictSame(findBareErrnos(parseSource('sys/a.ts', 'throw new Error(`open it: ${errnoText(errno)}`);')), []);
  t.end();
});

t.test('a banned name is found where it is used, and nowhere else', (t) => {
  const rows: [file: string, text: string, wanted: RegExp | undefined][] = [
    ['container/run.ts', 'process.exit(1);', /process\.exit: only the command ends its process/],
    ['container/run.ts', 'process.exitCode = 1;', /process\.exitCode/],
    ['container/run.ts', "process['exit'](1);", /process\.exit/],
    ['container/run.ts', 'console.log(1);', /console/],
    ['container/run.ts', 'setTimeout(f, 1);', /setTimeout: timers of the engine stand still/],
    ['container/run.ts', 'f(process.pid);', /process\.pid: it is the process it happens to run in/],
    ['container/run.ts', 'f(process.geteuid?.());', /process\.geteuid/],
    ['container/run.ts', 'f(process.uptime(), process.arch);', undefined],
    ['host/open-files.ts', 'f(process.ppid);', /process\.ppid/],
    ['sys/file.ts', 'f(process.pid);', undefined],
    ['own-process/own-process.ts', 'f(process.pid);', undefined],
    ['container/run.ts', 'new Date();', undefined],
    ['container/run.ts', '// process.exit(1) and console.log', undefined],
    ['container/run.ts', "const text = 'process.exit(1)';", undefined],
    ['container/run.ts', 'const { process } = document; f(document.process, { process: 1 });', undefined],
    ['main.ts', 'process.exit(1);', undefined],
    ['plan/create.ts', 'new Date();', /Date: what decides/],
    ['plan/create.ts', 'Date.now();', /Date/],
    ['plan/create.ts', 'f(process.pid);', /process: what decides/],
    ['plan/create.ts', 'function f(process: Process) { return process.args; }', undefined],
    ['plan/create.ts', 'interface A { process: Process; date: Date }', undefined],
    ['plan/create.ts', 'const { process } = config; f(process.args);', undefined],
    ['plan/create.ts', 'const process = config.process; f(process.args);', undefined],
  ];
  for (const [file, text, wanted] of rows) {
    const found = findBanned(parseSource(file, text)).join('\n');
    if (wanted === undefined) t.equal(found, '', `${file}: ${text}`);
    else t.match(found, wanted, `${file}: ${text}`);
  }
  t.end();
});

t.test('a module variable is found, and a static member', (t) => {
  t.match(findModuleVariables(parseSource('plan/a.ts', 'let count = 0;')), ['src/plan/a.ts:1: count can change']);
  t.match(findModuleVariables(parseSource('plan/a.ts', 'const seen = new Map(); seen.set(1, 2);')), [
    'src/plan/a.ts:1: seen can change',
  ]);
  t.match(findModuleVariables(parseSource('plan/a.ts', 'class A { static #open = 0; }')), [
    'src/plan/a.ts:1: #open can change',
  ]);
  t.match(
    findModuleVariables(parseSource('plan/a.ts', 'class A { static readonly seen = []; f() { A.seen.push(1); } }')),
    ['src/plan/a.ts:1: seen can change'],
  );
  const fixed =
    'class A { static readonly LIMIT = 1; static of() {} count = 0; readonly seen = []; f() { this.seen.push(1); } }';
  t.strictSame(findModuleVariables(parseSource('plan/a.ts', fixed)), []);
  const harmless = 'const A = 1; const B = new Set(["a"]); B.has("a"); function f() { let a = 0; return a; }';
  t.strictSame(findModuleVariables(parseSource('plan/a.ts', harmless)), []);
  t.end();
});

/** Templates whose last hole, behind a colon, is an errno without its words. */
function findBareErrnos(source: Source): string[] {
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isTemplateExpression(node)) return;
    const before = [node.head, ...node.templateSpans.map(({ literal }) => literal)].at(-2)?.text ?? '';
    const last = node.templateSpans.at(-1);
    const isLast = last !== undefined && last.literal.text === '' && before.endsWith(': ');
    if (isLast && ts.isIdentifier(last.expression) && last.expression.text === 'errno')
      found.push(`${placeOf(source, node)}: ${node.getText()}`);
  });
  return found;
}

/** Texts of the folders below the caller that name a file of the own process. */
function findOwnFiles(source: Source): string[] {
  if (!BELOW_THE_CALLER.includes(folderOf(source.file))) return [];
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isStringLiteralLike(node) && !ts.isTemplateHead(node) && !ts.isTemplateMiddleOrTemplateTail(node)) return;
    const name = OWN_FILES.exec(node.text)?.[0];
    if (name === undefined) return;
    found.push(`${placeOf(source, node)}: ${name}: ${CALLER_REASON}; a path of a descriptor is made by sys/fd.ts`);
  });
  return found;
}

function findBanned(source: Source): string[] {
  const bans = BANS.filter(({ except = [], within }) => {
    const isIn = (names: readonly string[]): boolean =>
      names.includes(folderOf(source.file)) || names.includes(source.file);
    return !isIn(except) && (within === undefined || isIn(within));
  });
  const found: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isIdentifier(node) || !isGlobal(node)) return;
    const name = dottedName(node);
    for (const { names, reason } of bans) {
      const banned = names.find((entry) => name === entry || name.startsWith(`${entry}.`));
      if (banned !== undefined) found.push(`${placeOf(source, node)}: ${banned}: ${reason}`);
    }
  });
  return found;
}

/** `process` of `process.exit(1)` -> `process.exit`. */
function dottedName(node: ts.Identifier): string {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.expression === node) return `${node.text}.${parent.name.text}`;
  const isElement = ts.isElementAccessExpression(parent) && parent.expression === node;
  if (isElement && ts.isStringLiteralLike(parent.argumentExpression))
    return `${node.text}.${parent.argumentExpression.text}`;
  return node.text;
}

/** Whether an identifier is a value that no scope around it declares. */
function isGlobal(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) return false;
  if (ts.isTypeNode(parent) || ts.isQualifiedName(parent)) return false;
  // The name of a declaration, a property or a parameter; in `{ process }` the name is a use of it as well.
  if ('name' in parent && parent.name === node && !ts.isShorthandPropertyAssignment(parent)) return false;
  if (ts.isBindingElement(parent) && parent.propertyName === node) return false;
  for (let scope: ts.Node = parent; ; scope = scope.parent) {
    if (declares(scope, node.text)) return false;
    if (ts.isSourceFile(scope)) return true;
  }
}

function declares(scope: ts.Node, name: string): boolean {
  if (ts.isFunctionLike(scope)) return scope.parameters.some((parameter) => binds(parameter.name, name));
  if (ts.isForOfStatement(scope) || ts.isForStatement(scope)) {
    const { initializer } = scope;
    return initializer !== undefined && ts.isVariableDeclarationList(initializer) && listBinds(initializer, name);
  }
  if (!ts.isBlock(scope) && !ts.isSourceFile(scope) && !ts.isCaseClause(scope)) return false;
  return scope.statements.some((statement) => {
    if (ts.isVariableStatement(statement)) return listBinds(statement.declarationList, name);
    if (ts.isFunctionDeclaration(statement)) return statement.name?.text === name;
    return ts.isImportDeclaration(statement) && importBinds(statement, name);
  });
}

function listBinds(list: ts.VariableDeclarationList, name: string): boolean {
  return list.declarations.some((declaration) => binds(declaration.name, name));
}

function binds(binding: ts.BindingName, name: string): boolean {
  if (ts.isIdentifier(binding)) return binding.text === name;
  return binding.elements.some((element) => ts.isBindingElement(element) && binds(element.name, name));
}

function importBinds({ importClause }: ts.ImportDeclaration, name: string): boolean {
  const bindings = importClause?.namedBindings;
  if (bindings === undefined) return importClause?.name?.text === name;
  if (ts.isNamespaceImport(bindings)) return bindings.name.text === name;
  return bindings.elements.some((element) => element.name.text === name);
}

/**
 * Variables of a module, and static members of its classes, that can be assigned again, and collections that are changed where they are
 * declared.
 */
function findModuleVariables(source: Source): string[] {
  const changed = changedNames(source);
  const variables = source.tree.statements.filter(ts.isVariableStatement).flatMap(({ declarationList }) => {
    const isConst = (declarationList.flags & ts.NodeFlags.Const) !== 0;
    return declarationList.declarations.filter(({ name }) => !isConst || changed.has(name.getText(source.tree)));
  });
  const statics: ts.PropertyDeclaration[] = [];
  visit(source.tree, (node) => {
    if (!ts.isPropertyDeclaration(node) || !hasModifier(node, ts.SyntaxKind.StaticKeyword)) return;
    const isConst = hasModifier(node, ts.SyntaxKind.ReadonlyKeyword);
    if (!isConst || changed.has(node.name.getText(source.tree))) statics.push(node);
  });
  return [...variables, ...statics].map(
    ({ name }) => `${placeOf(source, name)}: ${name.getText(source.tree)} can change`,
  );
}

function hasModifier(node: ts.PropertyDeclaration, kind: ts.SyntaxKind): boolean {
  return node.modifiers?.some((modifier) => modifier.kind === kind) === true;
}

/** `seen` of `seen.add(x)` and of `A.seen.add(x)`. */
function changedNames(source: Source): Set<string> {
  const names = new Set<string>();
  visit(source.tree, (node) => {
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
    const { expression, name } = node.expression;
    if (!MUTATORS.has(name.text)) return;
    if (ts.isIdentifier(expression)) names.add(expression.text);
    // `this.seen` is a member of an object.
    const isOfClass = ts.isPropertyAccessExpression(expression) && ts.isIdentifier(expression.expression);
    if (isOfClass) names.add(expression.name.text);
  });
  return names;
}
