#!/bin/bash
# Pack bellows-guest-tools_VERSION_amd64.deb: deb.sh OUT-FOLDER VERSION
#
# The driver goes in as source, which DKMS builds for each kernel that is installed on the guest; the
# command and the man pages as they are. Files' times are the last commit's, so that the same sources
# give the same package.
set -euo pipefail
out=$(realpath "$1") version=$2
cd "$(dirname "$0")/../.."
name=bellows-guest-tools
work="$out/guest-tools"
root="$work/root"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH

rm -rf "$work"
mkdir -p "$root"/{DEBIAN,usr/sbin,usr/share/doc/$name,usr/share/man/man4,usr/share/man/man8} "$work/debian"
source_tree="$root/usr/src/bellows-balloon-$version"
mkdir -p "$root/usr/src"
guest-tools/linux/lay_out.sh "$source_tree" "$version"
sed "s/@VERSION@/$version/" guest-tools/linux/dkms.conf.in >"$source_tree/dkms.conf"

gcc -std=gnu11 -O2 -s -Wall -Wextra -Werror -I. -DBELLOWS_VERSION="\"$version\"" \
	-o "$root/usr/sbin/bellows-guest" guest-tools/bellows-guest.c
gzip -9nc guest-tools/bellows-guest.8 >"$root/usr/share/man/man8/bellows-guest.8.gz"
gzip -9nc guest-tools/linux/bellows_balloon.4 >"$root/usr/share/man/man4/bellows_balloon.4.gz"
cp guest-tools/linux/copyright "$root/usr/share/doc/$name/copyright"

# dpkg-shlibdeps wants to see a source package around it.
printf 'Source: %s\n\nPackage: %s\nArchitecture: amd64\n' "$name" "$name" >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O root/usr/sbin/bellows-guest 2>/dev/null | sed 's/^shlibs:Depends=//')
size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
sed "s/@VERSION@/$version/; s/@LIBRARIES@/$libraries/; s/@SIZE@/$size/" guest-tools/linux/control.in \
	>"$root/DEBIAN/control"
for script in postinst prerm; do
	sed "s/@VERSION@/$version/" "guest-tools/linux/$script.in" >"$root/DEBIAN/$script"
	chmod 755 "$root/DEBIAN/$script"
done
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$root" -type d -exec chmod 755 {} +
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -f "$out/$name"_*.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/${name}_${version}_amd64.deb" >/dev/null
