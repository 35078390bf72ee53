#!/bin/sh
# an image is archives and a description: layers with .wh. files become a bundle
. "$(dirname "$0")/../lib.sh"
need tar tar

title 'image: a stack of archives becomes a bundle'
say 'An image is a list of tar archives, each with what one step of its making has changed, and a JSON file. Here is one of three layers:'
mkdir -p step1/etc step2/etc step2/srv step3/srv step3/etc image
cp -a rootfs/bin step1/
echo 'first' >step1/etc/motd && echo 'a secret' >step1/etc/key
mkdir step1/srv && echo 'old page' >step1/srv/old
echo 'second' >step2/etc/motd && touch step2/etc/.wh.key
touch step3/srv/.wh..wh..opq && echo 'new page' >step3/srv/new
for step in 1 2 3; do tar -C step$step -cf image/layer$step.tar .; done
cat >image/config.json <<'JSON'
{ "architecture": "any", "os": "linux", "config": { "Cmd": ["sh", "-c", "cat /etc/motd; ls /etc /srv; echo $GREETING"], "Env": ["PATH=/bin", "GREETING=hello"], "WorkingDir": "/srv" } }
JSON
host 'for layer in image/*.tar; do echo "$layer: $(tar -tf $layer | grep -v "/bin/.\|/$" | tr "\n" " ")"; done'

say 'Unpacked in order: what an archive says of deletions is done first, then its files are added.'
unpack() { # ARCHIVE DIRECTORY, in the trust that nobody has built the archive to lead elsewhere
  tar -tf "$1" | grep '/\.wh\.' | while read -r name; do
    case $name in
      */.wh..wh..opq) find "$2/${name%/*}" -mindepth 1 -delete ;;
      *) rm -r "$2/${name%/*}/${name##*/.wh.}" ;;
    esac
  done
  tar -C "$2" --exclude='.wh.*' -xf "$1"
}
mkdir tree
host 'for layer in image/layer1.tar image/layer2.tar image/layer3.tar; do unpack $layer tree; done; ls tree tree/etc tree/srv'
say "The rest is translation: the image's Cmd, Env and WorkingDir are args, env and cwd of config.json."
property() { sed -n "s/.*\"$1\": \(\[[^]]*\]\|\"[^\"]*\"\).*/\1/p" image/config.json; }
bundle box <<JSON
{ "root": { "path": "$work/tree" },
  "process": { "args": $(property Cmd), "env": $(property Env), "cwd": $(property WorkingDir) } }
JSON
run box
say 'The key is deleted, and still in the archive of the first layer: whoever has the image can read it.'
host 'tar -xOf image/layer1.tar ./etc/key'
try 'skopeo copy docker://alpine oci:alpine, and look at the blobs; umoci unpack, docker save. Never unpack a stranger'"'s image so: links and .. lead out."
