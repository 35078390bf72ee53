#!/bin/sh
# none, the host's, another container's, and a bridge with NAT and a published port
PRIVATE='--net'
. "$(dirname "$0")/../lib.sh"
need ip iproute2
need nsenter util-linux
ip link set lo up

title 'networks: interfaces, addresses and ports of its own'
say '(The "host" here is a network namespace of the demonstration, so that the machine keeps its network as it is.)'
say 'None: a new network namespace has a loopback interface, and no way out.'
show_links="sed -n 's/^ *\([a-z0-9]*\):.*/\1/p' /proc/net/dev | sort | tr '\n' ' '; echo"
bundle none sh -c "$show_links" </dev/null
run none
say "The host's: without \"network\" in the namespaces nothing is between them."
bundle shared sh -c "$show_links" <<'JSON'
{ "hostname": null, "linux": { "namespaces": [{ "type": "mount" }, { "type": "pid" }] } }
JSON
host 'ip link add dummy1 type veth peer name dummy2'
run shared
host 'ip link delete dummy1'

say 'A bridge is a switch in the kernel; a veth pair is a cable, one end at the bridge, the other in the container as eth0. A hook does it:'
on_bridge() {
  printf '{ "hooks": { "createRuntime": [{ "path": "%s/hook.sh", "args": ["hook.sh", "up", "%s"],\n' "$here" "$1"
  printf '    "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] }] } }\n'
}
mkdir rootfs/www && echo 'a page of the container' >rootfs/www/index.html
on_bridge 10.77.0.2 | bundle web httpd -f -p 80 -h /www
on_bridge 10.77.0.3 | bundle client sleep 100
start web
start client
host 'ip -4 -brief address show dev tsrun0; ip -brief link show master tsrun0'
inside client 'ip -4 address show eth0 | grep inet; ip route'
say 'The host reaches the container, and containers each other:'
host "ping -c 1 -W 2 10.77.0.2 2>/dev/null | grep -E 'transmitted' || $work/rootfs/bin/ping -c 1 -W 2 10.77.0.2 | grep transmitted"
inside client 'wget -qO- http://10.77.0.2'
say "Another container's: a third one in the network of the first finds the server at 127.0.0.1."
bundle beside wget -qO- http://127.0.0.1 <<JSON
{ "hostname": null, "linux": { "namespaces": [{ "type": "mount" }, { "type": "network", "path": "/proc/$(pid_of web)/ns/net" }] } }
JSON
run beside

if command -v nft >/dev/null; then
  say 'Outside is one more namespace, which knows the address of the host and nothing of 10.77.0.0/24.'
  mkdir rootfs/out && echo 'a page of the world outside' >rootfs/out/index.html
  bundle outside httpd -f -vv -p 80 -h /out </dev/null
  start outside
  out=$(pid_of outside)
  ip link add cable type veth peer name eth0 netns "$out"
  ip address add 192.0.2.1/24 dev cable && ip link set cable up
  nsenter --target "$out" --net sh -c 'ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up'
  say 'The host forwards (ip_forward), says that what leaves comes from itself (NAT), and that its port 8080 is one of the container:'
  host 'echo 1 >/proc/sys/net/ipv4/ip_forward; nft -f - <<RULES
table ip tsrun {
  chain out { type nat hook postrouting priority srcnat; ip saddr 10.77.0.0/24 oifname cable masquerade; }
  chain in { type nat hook prerouting priority dstnat; tcp dport 8080 iifname cable dnat to 10.77.0.2:80; }
}
RULES'
  inside client 'wget -qO- http://192.0.2.2'
  host 'await "grep -q url outside/output"; grep -o "192[0-9.]*.*url.*" outside/output | head -n 1'
  inside outside 'wget -qO- http://192.0.2.1:8080; wget -qO- http://10.77.0.2'
else
  say '(NAT and a published port are not shown: nft is missing; on Debian: apt-get install nftables.)'
fi
try 'docker run --net=none, host, container:ID, bridge, -p 8080:80; docker, podman and CNI do the same with a bridge of their own.'
