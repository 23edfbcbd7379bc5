#!/bin/bash
# Fetch the headers that belong to a kernel of kernel.sh, to build modules for it: headers.sh KERNEL
#
# Prints the tree that a module's make wants as KDIR. It lies beside the kernel in the cache. The packages
# name each other by absolute paths; these are made to lead to where they lie here.
set -euo pipefail

kernel=$1
root="$kernel/headers"
release=$(ls "$kernel/lib/modules")
tree="$root/usr/src/linux-headers-$release"
exec 9>"$(dirname "$kernel")/headers.lock"
flock 9
[ -e "$root/.complete" ] && { echo "$tree"; exit 0; }

package="linux-headers-$release"
version=${kernel##*-amd64-}
echo "headers: fetching $package $version through apt" >&2
rm -rf "$root"
mkdir -p "$root/packages"
depends() {
	apt-cache show "$package=$version" | sed -n 's/^Depends: //p' | tr ',|' '\n\n' |
		sed -n 's/^ *\(linux-\(headers\|kbuild\)-[^ ]*\).*/\1/p'
}
(cd "$root/packages" && apt-get download -q "$package=$version" $(depends | sed "s/\$/=$version/") >&2)
for one in "$root"/packages/*.deb; do
	dpkg-deb -x "$one" "$root"
done
rm -r "$root/packages"
find "$root/usr/src" -maxdepth 2 -name Makefile -exec sed -i "s|/usr/src/|$root/usr/src/|g" {} +
touch "$root/.complete"
echo "$tree"
