/**
 * Compiles dist/bin/command.js and writes what V8 made of it beside it: `node packaging/make-cache.cjs DIRECTORY`.
 *
 * A process of its own, because it plays with V8's flags: all functions are compiled now, and not each at its first call. A cache
 * names the flags it was written with, so they are as usual again by then.
 */
'use strict';
const { writeFileSync } = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');
const { compileCommand } = require(path.join(process.argv[2], 'main.js'));

v8.setFlagsFromString('--no-lazy');
const { script, cacheFile } = compileCommand();
v8.setFlagsFromString('--lazy');
writeFileSync(cacheFile, script.createCachedData());
