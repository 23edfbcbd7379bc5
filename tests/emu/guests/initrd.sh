#!/bin/bash
# Pack the guests' initramfs: initrd.sh OUT INIT PROGRAM|MODULE... (busybox is added from the host).
#
# LZ4 rather than plain: the smaller file saves more at the firmware's reading speed than unpacking
# costs. Times and owners are fixed, so that the same input gives the same bytes.
set -euo pipefail
out=$1 init=$2
shift 2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,lib,proc,sys}
cp "$(command -v busybox)" "$@" "$root/bin/"
mv "$root"/bin/*.ko "$root/lib/"
cp "$init" "$root/init"
chmod 755 "$root/init" "$root"/bin/*
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) |
	lz4 -l -9 -q >"$out.new"
mv "$out.new" "$out"
