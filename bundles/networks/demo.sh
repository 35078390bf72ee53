#!/bin/sh
# none, the host's, another container's, and a bridge with NAT and a published port
PRIVATE='--net'
. "$(dirname "$0")/../lib.sh"
need ip iproute2
need nsenter util-linux
ip link set lo up

title 'networks: interfaces, addresses and ports of its own'
say '(The "host" here is a network namespace of the demonstration, so that the machine keeps its network as it is.)'
show_links="sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/net/dev | sort | tr '\n' ' '; echo"
bundle links sh -c "$show_links" </dev/null
say 'None: a new network namespace has a loopback interface, and no way out.'
run links --network none
say "The host's: nothing is between them. (In config.json there is no \"network\" among the namespaces then.)"
host 'ip link add dummy1 type veth peer name dummy2'
run links --network host
host 'ip link delete dummy1'

mkdir rootfs/www && echo 'a page of the container' >rootfs/www/index.html
if command -v nft >/dev/null; then
  say 'A bridge is a switch in the kernel; a veth pair is a cable, one end at the bridge, the other in the container as eth0. One option does it:'
  bundle web httpd -f -p 80 -h /www </dev/null
  bundle client sleep 100 </dev/null
  start web --network bridge --publish 8080:80
  start client --network bridge
  say 'What it has made on the host, and in the container:'
  host 'ip -4 -brief address show dev tsrun0; ip -brief link show master tsrun0 | cut -d " " -f 1'
  inside client 'ip -4 address show eth0 | grep inet; ip route'
  say 'The host reaches the container, and containers each other:'
  host "ping -c 1 -W 2 10.87.0.2 2>/dev/null | grep -E 'transmitted' || $work/rootfs/bin/ping -c 1 -W 2 10.87.0.2 | grep transmitted"
  inside client 'wget -qO- http://10.87.0.2'
  say "Another container's: a third one in the network of the first finds the server at 127.0.0.1."
  bundle beside wget -qO- http://127.0.0.1 </dev/null
  run beside --network container:web

  say 'Outside is one more namespace, which knows the address of the host and nothing of 10.87.0.0/22.'
  mkdir rootfs/out && echo 'a page of the world outside' >rootfs/out/index.html
  bundle outside httpd -f -vv -p 80 -h /out </dev/null
  start outside
  out=$(pid_of outside)
  ip link add cable type veth peer name eth0 netns "$out"
  ip address add 192.0.2.1/24 dev cable && ip link set cable up
  nsenter --target "$out" --net sh -c 'ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up'
  say 'The host forwards (ip_forward), says that what leaves comes from itself (masquerade), and its port 8080 is one of the container (dnat):'
  host 'cat /proc/sys/net/ipv4/ip_forward; nft list table ip tsrun | grep -E "masquerade|elements|dnat ip"'
  inside client 'wget -qO- http://192.0.2.2'
  host 'await "grep -q url outside/output"; grep -o "192[0-9.]*.*url.*" outside/output | head -n 1'
  inside outside 'wget -qO- http://192.0.2.1:8080; wget -qO- http://10.87.0.2'
  say 'With the last container all of it is gone:'
  host 'tsrun delete --force web; tsrun delete --force client; nft list ruleset | wc -l; ip link show tsrun0'
else
  say '(The option --network bridge, NAT and a published port are not shown: nft is missing; on Debian: apt-get install nftables.)'
fi

say 'The same by hand: a hook in config.json runs ip(8) between the container and its program (bundles/networks/hook.sh).'
bundle hand httpd -f -p 80 -h /www <<JSON
{ "hooks": { "createRuntime": [{ "path": "$here/hook.sh", "args": ["hook.sh", "up", "10.77.0.2"],
    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] }] } }
JSON
start hand
host 'ip -4 -brief address show dev byhand0; ip -brief link show master byhand0 | cut -d " " -f 1'
host "wget -qO- http://10.77.0.2 2>/dev/null || $work/rootfs/bin/busybox wget -qO- http://10.77.0.2"
try 'docker run --net=none, host, container:ID, bridge, -p 8080:80; tsrun explain --steps --network bridge; docs/network.md.'
