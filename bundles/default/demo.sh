#!/bin/sh
# a container from the inside: its program, processes, namespaces beside the host's, capabilities, mounts and control group
. "$(dirname "$0")/../lib.sh"

# Links of the host's namespaces, which show.sh sets beside those that it finds.
links=''
for kind in pid mnt net uts ipc cgroup time user; do
  if [ -e /proc/self/ns/$kind ]; then links="$links $(readlink /proc/self/ns/$kind)"; fi
done
bundle default </dev/null
cp "$here/show.sh" .
sed "s|\"LC_ALL=C\"|&, \"HOST_NAMESPACES=$links\"|; s|\"show.sh\"|\"$work/show.sh\"|; s|\"rootfs\"|\"$here/rootfs\"|" "$here/config.json" >default/config.json
tsrun run --bundle default default </dev/null
status=$?
try 'npm start -- --list names what else there is to see, npm start -- tour shows all of it; the configuration of this one is bundles/default/config.json, and "tsrun explain --steps --bundle bundles/default" the system calls of it.'
exit $status
