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
say 'tsrun unpack does all of it, and trusts nobody. It takes the form in which images are handed on: each file under the name of its digest.'
mkdir -p layout/blobs/sha256
digest() { sha256sum "$1" | cut -d " " -f 1; }
blob() { # FILE MEDIATYPE: puts it among the blobs, and prints what refers to it
  cp "$1" "layout/blobs/sha256/$(digest "$1")"
  printf '{ "mediaType": "application/vnd.oci.image.%s", "digest": "sha256:%s", "size": %d }' "$2" "$(digest "$1")" "$(stat -c %s "$1")"
}
layers="$(blob image/layer1.tar layer.v1.tar), $(blob image/layer2.tar layer.v1.tar), $(blob image/layer3.tar layer.v1.tar)"
ids=$(for step in 1 2 3; do printf '%s"sha256:%s"' "${ids+, }" "$(digest image/layer$step.tar)" && ids=; done)
sed "s|}\$|, \"rootfs\": { \"type\": \"layers\", \"diff_ids\": [$ids] } }|" image/config.json >image/whole.json
printf '{ "schemaVersion": 2, "config": %s, "layers": [%s] }\n' "$(blob image/whole.json config.v1+json)" "$layers" >image/manifest.json
printf '{ "schemaVersion": 2, "manifests": [%s] }\n' "$(blob image/manifest.json manifest.v1+json)" >layout/index.json
echo '{ "imageLayoutVersion": "1.0.0" }' >layout/oci-layout
host 'cd layout && find . -type f | cut -c -32 | sort'
host 'tsrun unpack --flat layout made && cd made/rootfs && ls etc srv'
host 'tsrun run --bundle made made'
say 'Without --flat each layer stays a directory, for any number of containers to share: npm start -- layers.'
host 'tsrun unpack layout stack'
say 'The key is deleted, and still in the archive of the first layer: whoever has the image can read it.'
host 'tar -xOf image/layer1.tar ./etc/key'
try 'skopeo copy docker://alpine oci:alpine, tsrun unpack alpine box; docker save, umoci unpack; docs/images.md. Never unpack a stranger'"'s image by hand: links and .. lead out."
