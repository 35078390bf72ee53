#!/bin/sh
# Shows the layers of an overlay file system and what comes out of them.
set -eu

show() {
  printf '\n%s\n' "$2"
  for file in "$1"/*; do
    if [ -f "$file" ]; then
      printf '  %-10s %s\n' "${file##*/}" "$(cat "$file")"
    else
      printf '  %-10s %s\n' "${file##*/}" "(whiteout: $(stat -c '%F %t:%T' "$file"))"
    fi
  done
}

show /layers/lower 'The lower layer'
show /layers/upper 'The upper layer'
show /mnt 'Both, merged'
echo 'written: by the container' >/mnt/written
show /layers/upper 'The upper layer, after the container wrote a file'
echo
