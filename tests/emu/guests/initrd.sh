#!/bin/bash
# Pack an initramfs for guests: initrd.sh OUT INIT FILE... (busybox is added from the host). Programs go to
# /bin, kernel modules (FILE.ko) to /lib, a kernel and an initrd (vmlinuz, FILE.img) to /boot.
#
# LZ4 rather than plain: the smaller file saves more at the firmware's reading speed than unpacking
# costs. Times and owners are fixed, so that the same input gives the same bytes.
set -euo pipefail
out=$1 init=$2
shift 2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys}
cp "$(command -v busybox)" "$root/bin/"
for file; do
	case $file in
	*.ko) mkdir -p "$root/lib" && cp "$file" "$root/lib/" ;;
	*/vmlinuz | *.img) mkdir -p "$root/boot" && cp "$file" "$root/boot/" ;;
	*) cp "$file" "$root/bin/" ;;
	esac
done
cp "$init" "$root/init"
chmod 755 "$root/init" "$root"/bin/*
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --reproducible --quiet) |
	lz4 -l -9 -q >"$out.new"
mv "$out.new" "$out"
