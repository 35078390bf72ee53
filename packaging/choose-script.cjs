/** Entry of the executable: evaluates the script that the command needs. The build says which there are (packaging/scripts.mjs). */
'use strict';

const DIRECTORY = '/$bunfs/root/';
// Under another name, so that the bundler leaves the choice to the moment.
const load = require;

/** For a script that lacks what it needs: nothing has been done so far. */
globalThis.tsrunWhole = () => load(`${DIRECTORY}${TSRUN_WHOLE}.js`);

// What it is called by says which program it is: containerd has no other way.
const isShim = /(^|\/)containerd-shim-[^/]*$/.test(process.argv0);
// A wrong guess (an id that is named as a command, the value of an option) costs time and nothing else.
const name = process.argv.slice(2).find((arg) => TSRUN_SCRIPTS.includes(arg)) ?? TSRUN_WHOLE;
load(`${DIRECTORY}${isShim ? TSRUN_SHIM : name}.js`);
