#!/bin/sh
# a shell in a container, on a terminal of its own
. "$(dirname "$0")/../lib.sh"

title 'shell: a terminal'
if [ -t 0 ] && [ -t 1 ]; then
  say 'The container has a pseudo terminal of its own; tsrun carries what is typed and printed between it and yours. Ctrl-D or "exit" ends it.'
  bundle shell sh <<JSON
{ "process": { "terminal": true, "env": ["PATH=/bin", "HOME=/root", "TERM=${TERM:-dumb}", "PS1=\\\\u@\\\\h:\\\\w # "], "cwd": "/root" } }
JSON
else
  say 'Standard input or output is no terminal, so that the shell reads commands: echo "ps; tty" | npm start -- shell'
  bundle shell sh <<JSON
{ "process": { "terminal": false } }
JSON
fi
tsrun run --bundle shell shell
try '"tsrun exec -t ID sh" in a container that runs; docker run -it, docker exec -it.'
