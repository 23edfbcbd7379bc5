#!/bin/bash
# In a mount namespace of its own: try_package.sh ROOT PACKAGE WORK. Install, use and remove the package in
# an overlay over ROOT. Each step says what it found; the first that is wrong ends it.
set -euo pipefail
root=$1 package=$2 work=$3

fail() { echo "PROBLEM: $*"; exit 1; }

rm -rf "$work"
mkdir -p "$work/layers" "$work/root"
# What is written lies in memory, and is gone with the namespace.
mount -t tmpfs layers "$work/layers"
mkdir "$work"/layers/{upper,work}
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/layers/upper,workdir=$work/layers/work" "$work/root"
mount -t proc proc "$work/root/proc"
mount --rbind /dev "$work/root/dev"
cp "$package" "$work/root/tmp/tools.deb"
inside() { chroot "$work/root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }

# DKMS builds for one kernel at installation; what it runs is run here for the others, to save minutes.
inside dpkg -i /tmp/tools.deb
installed=0
for release in $(ls "$work/root/lib/modules"); do
	module=$(inside modinfo -k "$release" -n bellows_balloon 2>/dev/null) || module=
	if [ -n "$module" ]; then
		installed=$((installed + 1))
	else
		cp -r "$work"/root/usr/src/bellows-balloon-* "$work/root/tmp/$release"
		inside make -s -j2 -C "/lib/modules/$release/build" "M=/tmp/$release" modules
		module=/tmp/$release/bellows_balloon.ko
	fi
	inside modinfo -F vermagic "$module" | grep -q "^$release " || fail "no driver for $release"
	inside modinfo -F alias "$module" | grep -q "^acpi\*:BLWS0001:" ||
		fail "the driver for $release would not load by itself"
	echo "BUILT $release"
done
[ "$installed" -gt 0 ] || fail "DKMS installed no driver"

inside bellows-guest --help | grep -q statistics || fail "--help does not tell the commands"
[ "$(inside bellows-guest --version)" = "bellows-guest $(inside dpkg-query -W -f '${Version}' bellows-guest-tools)" ] ||
	fail "--version says another version than the package"
status=0
said=$(inside bellows-guest status 2>&1) || status=$?
[ "$status" -eq 3 ] || fail "status: exit status $status outside Bellows"
[[ $said == *"no virtual machine of Bellows"* ]] || fail "status says: $said"
status=0
inside bellows-guest nonsense 2>/dev/null || status=$?
[ "$status" -eq 2 ] || fail "an unknown command: exit status $status"
for page in "8 bellows-guest" "4 bellows_balloon"; do
	# shellcheck disable=SC2086
	said=$(inside man --warnings $page 2>&1 >/dev/null) && [ -z "$said" ] || fail "man $page: $said"
done

inside dpkg --purge bellows-guest-tools
left=$(find "$work/layers/upper" -path "$work/layers/upper/var/cache" -prune -o \
	-path "$work/layers/upper/tmp" -prune -o -name '*bellows*' ! -type c -print)
[ -z "$left" ] || fail "left behind: $left"
echo "removed"
