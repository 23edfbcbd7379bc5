#!/bin/bash
# Build Bochs 3.0 with VT-x, x86-64, SMP and plugins from Debian's source tarball, once, into the cache.
#
# Debian ships no Bochs that fits (its binaries lack plugins' headers, or are miscompiled), so the
# upstream tarball is taken from the same archive that apt uses and checked by its hash. The result is
# keyed by that hash and by the configure line, so a change of either builds anew. Prints the prefix.
set -euo pipefail

TARBALL=bochs_3.0+dfsg.orig.tar.xz
SHA256=78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b
# Strict aliasing makes 64-bit IDIV wrong, and Linux crashes on it.
OPT="-O2 -fno-strict-aliasing"
CONFIGURE=(--enable-smp --enable-x86-64 --enable-vmx=2 --enable-cpu-level=6 --enable-pci --enable-avx
	--enable-evex --enable-memtype --enable-protection-keys --enable-cet --enable-a20-pin --enable-fpu
	--enable-all-optimizations --enable-repeat-speedups --enable-plugins --enable-show-ips
	--enable-e1000 --enable-logging --with-nogui --with-term --disable-docbook --disable-debugger
	--disable-readline)

PATCH=$(cd "$(dirname "$0")" && pwd)/smp-commit-rip.patch

cache="${XDG_CACHE_HOME:-$HOME/.cache}/bellows"
key=$(printf '%s\n' "$SHA256" "$OPT" "${CONFIGURE[@]}" "$(cat "$PATCH")" | sha256sum | cut -c1-16)
prefix="$cache/bochs-$key"
if [ -e "$prefix/.complete" ]; then
	echo "$prefix"
	exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/bochs.lock"
flock 9
[ -e "$prefix/.complete" ] && { echo "$prefix"; exit 0; }

say() { echo "bochs: $*" >&2; }

fetch() {
	local out=$1 site
	# The archive's address is apt's business: ask it rather than name a host here.
	for site in $(apt-get indextargets --format '$(SITE)' | sort -u); do
		say "fetching $TARBALL through apt"
		if /usr/lib/apt/apt-helper download-file "$site/pool/main/b/bochs/$TARBALL" "$out" \
			"SHA256:$SHA256" >&2; then
			return 0
		fi
	done
	say "no archive that apt knows has $TARBALL; put it at $out by hand and run again"
	return 1
}

src="$cache/$TARBALL"
if ! echo "$SHA256  $src" | sha256sum --check --status 2>/dev/null; then
	rm -f "$src"
	fetch "$src"
fi

work=$(mktemp -d "$cache/bochs-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
tar -C "$work" --strip-components=1 -xf "$src"
patch -d "$work" -p1 -s <"$PATCH"
# Called from make test, our own make's flags are in the environment (no built-in rules): not for it.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
log="$cache/bochs-build.log"
say "configuring and building (about 3 minutes on 2 cores); log in $log"
rm -rf "$prefix"
(
	# Behind "||" bash minds no set -e, hence the chain.
	cd "$work" &&
		CFLAGS="$OPT" CXXFLAGS="$OPT" ./configure --prefix="$prefix" "${CONFIGURE[@]}" &&
		make -j"$(nproc)" &&
		make install &&
		# Without file(1), libtool makes archives only, and says so in a warning.
		[ -e "$prefix/lib/bochs/plugins/libbx_harddrv.so" ]
) >"$log" 2>&1 9>&- || { say "the build failed; the end of $log:"; tail -n 20 "$log" >&2; exit 1; }

# Device plugins are compiled against the configured tree: keep its headers beside the binary.
mkdir -p "$prefix/tree"
(cd "$work" && find . -name '*.h' -print0 | tar --null -cf - -T -) | tar -C "$prefix/tree" -xf -
touch "$prefix/.complete"
echo "$prefix"
