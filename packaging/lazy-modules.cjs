/** Functions of Node's modules whose modules are loaded when they are called. For the executable only. */
'use strict';

exports.format = (...args) => require('node:util').format(...args);
exports.inspect = (...args) => require('node:util').inspect(...args);
exports.createRequire = () => (name) => {
  throw new Error(`there is no module ${JSON.stringify(name)} in the executable`);
};
