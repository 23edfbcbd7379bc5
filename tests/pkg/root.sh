#!/bin/bash
# Make a small Debian root in the cache, once, for installing bellows-guest-tools in: dkms, and the
# headers of every kernel that this machine's archive offers (Debian 12's own and the newer ones, generic
# and cloud). Prints its path. Needs root. BELLOWS_REFRESH=1 makes it anew, with today's packages.
set -euo pipefail

INCLUDE=dkms,man-db,kmod,gcc-12,libelf1,libssl3,pahole
HEADERS='^linux-headers-([0-9.]+-)?(cloud-)?amd64$'

cache="${XDG_CACHE_HOME:-$HOME/.cache}/bellows"
key=$(sha256sum "$0" | cut -c1-16)
root="$cache/debian-root-$key"
mkdir -p "$cache"
exec 9>"$cache/debian-root.lock"
flock 9
[ -e "$root.complete" ] && [ -z "${BELLOWS_REFRESH:-}" ] && { echo "$root"; exit 0; }

say() { echo "debian root: $*" >&2; }

# The packages of a meta package that hold files: headers, the part common to flavours, and their tools.
# Not the image, which newer headers name as well.
resolve() {
	apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-\(headers\|kbuild\|compiler\)-.*\)$/\1/p'
}

. /etc/os-release
# Where the archive is, is apt's business; only the parts that hold this Debian are taken.
site() {
	apt-get indextargets --format '$(SITE) $(RELEASE)' | sort -u |
		awk -v name="$VERSION_CODENAME" 'index($2, name) == 1 {print "deb", $1, $2, "main"}'
}

say "making one with dkms and kernel headers (a minute or two)"
rm -rf "$root" "$root.complete"
site | mmdebstrap --variant=essential --include="$INCLUDE" --quiet "$VERSION_CODENAME" "$root" - >&2

work=$(mktemp -d "$cache/debian-root-fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mapfile -t flavours < <(apt-cache search --names-only "$HEADERS" | cut -d' ' -f1 | while read -r meta; do resolve "$meta"; done)
mapfile -t more < <(for one in "${flavours[@]}"; do resolve "$one"; done)
say "adding ${flavours[*]}"
(cd "$work" && apt-get download -q $(printf '%s\n' "${flavours[@]}" "${more[@]}" | sort -u) >&2)
for one in "$work"/*.deb; do
	# The root has its /lib in /usr; a plain extraction would put a folder in the link's place.
	dpkg-deb --fsys-tarfile "$one" | tar -C "$root" --keep-directory-symlink -x
done
touch "$root.complete"
echo "$root"
