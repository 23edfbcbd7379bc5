#!/bin/bash
# Pack bellows-tools_VERSION_amd64.deb: deb.sh OUT-FOLDER VERSION
#
# What an administrator's machine gets, any Linux: bellowstop and bellows-exporter as built in OUT-FOLDER/tools,
# their man pages, alert rules and dashboard. Files' times are the last commit's, so that the same sources give
# the same package.
set -euo pipefail
out=$(realpath "$1") version=$2
cd "$(dirname "$0")"
name=bellows-tools
work="$out/tools-package"
root="$work/root"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
export SOURCE_DATE_EPOCH

rm -rf "$work"
mkdir -p "$root"/{DEBIAN,usr/bin,usr/share/man/man1,usr/share/doc/$name,usr/share/$name} "$work/debian"
for program in bellowstop bellows-exporter; do
	strip -o "$root/usr/bin/$program" "$out/tools/$program"
	gzip -9nc "$program.1" >"$root/usr/share/man/man1/$program.1.gz"
done
cp alerts.yml dashboard.json "$root/usr/share/$name/"
cp ../linux/copyright "$root/usr/share/doc/$name/copyright"

# dpkg-shlibdeps wants to see a source package around it.
printf 'Source: %s\n\nPackage: %s\nArchitecture: amd64\n' "$name" "$name" >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O root/usr/bin/* 2>/dev/null | sed 's/^shlibs:Depends=//')
size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
sed "s/@VERSION@/$version/; s/@LIBRARIES@/$libraries/; s/@SIZE@/$size/" control.in >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
chmod -R u=rwX,go=rX "$root"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -f "$out/$name"_*.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/${name}_${version}_amd64.deb" >/dev/null
