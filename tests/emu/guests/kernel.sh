#!/bin/bash
# Fetch Debian's cloud kernel for the guests into the cache, without installing it on this machine.
#
# Prints the directory that holds it: vmlinuz (the bzImage), vmlinux (the ELF inside it, with its PVH
# note) and lib/modules. Keyed by the package's version; when apt cannot be asked, the newest cached
# one serves, so that tests go on without a network.
set -euo pipefail

META=linux-image-cloud-amd64
cache="${XDG_CACHE_HOME:-$HOME/.cache}/bellows"
mkdir -p "$cache"
exec 9>"$cache/kernel.lock"
flock 9

# A day's run needs no second look at the archive, and a fast rebuild no apt at all.
newest=$(find "$cache" -maxdepth 2 -path '*/kernel-*/.complete' -printf '%T@ %h\n' | sort -n |
	tail -n 1 | cut -d' ' -f2-)
if [ -n "$newest" ] && [ -z "${BELLOWS_REFRESH:-}" ]; then
	echo "$newest"
	exit 0
fi

resolve() {
	apt-cache depends "$META" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

package=$(resolve)
if [ -z "$package" ]; then
	as_root=()
	[ "$(id -u)" -eq 0 ] || as_root=(sudo)
	echo "kernel: apt knows no $META yet; updating its lists" >&2
	"${as_root[@]}" apt-get update -q >&2
	package=$(resolve)
fi
[ -n "$package" ] || { echo "kernel: apt knows no $META (a Debian archive is needed)" >&2; exit 1; }

version=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p' | head -n 1)
target="$cache/kernel-$package-$version"
[ -e "$target/.complete" ] && { echo "$target"; exit 0; }

work=$(mktemp -d "$cache/kernel-fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "kernel: fetching $package $version through apt" >&2
(cd "$work" && apt-get download -q "$package" >&2)
dpkg-deb -x "$work"/*.deb "$work/root"
rm -rf "$target"
mkdir -p "$target"
cp "$work"/root/boot/vmlinuz-* "$target/vmlinuz"
cp "$work"/root/boot/config-* "$target/config"
mkdir -p "$target/lib"
cp -r "$work/root/lib/modules" "$target/lib/" 2>/dev/null ||
	cp -r "$work/root/usr/lib/modules" "$target/lib/"
"$(dirname "$0")/unpack_kernel.py" "$target/vmlinuz" "$target/vmlinux"
touch "$target/.complete"
echo "$target"
