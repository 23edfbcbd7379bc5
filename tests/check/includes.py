#!/usr/bin/env python3
"""Who may include whom: mm/base < mm/frame < mm/zcache, mm/swap < mm < hv/x86, drivers < hv/vmx, hv/svm < hv.

Every quoted include names a file from the repository's root. A file may include its own room and the
rooms below it, as ROOMS lists them; a folder that is not listed belongs to the room around it.
boot/boot_info.h and hv/abi include nothing but <stdint.h>.

Usage: includes.py ROOT [--expect-broken], the latter to prove that the check can fail.
"""
import pathlib
import re
import sys

BASE = {"mm/base"}
# What moves pages about knows no page-table entry.
FRAMES = BASE | {"mm/blk.h", "mm/stats.h", "mm/frame"}
MM = FRAMES | {"mm", "mm/zcache", "mm/swap"}
HOST = MM | {"boot/boot_info.h", "hv/x86", "drivers"}
VENDOR = HOST | {"hv/abi"}
# Not the backends: they are known by their ops in hv/x86/virt.h.
ALL_HV = VENDOR | {"hv/vdev", "hv/kernel", "hv"}

# Room -> the rooms and files that it may include (its own files besides).
ROOMS = {
    "mm/base": BASE,
    "mm/frame": FRAMES,
    "mm/zcache": FRAMES,
    "mm/swap": FRAMES | {"mm/share/share_hash.h"},
    "mm": MM,
    "drivers": MM | {"boot/boot_info.h", "hv/x86"},
    "hv/x86": HOST,
    "hv/vmx": VENDOR,
    "hv/svm": VENDOR,
    "hv/vdev": ALL_HV,
    "hv/kernel": MM | {"hv/x86"},
    "hv": ALL_HV,
    "hv/abi": set(),
    "boot": BASE | {"boot/boot_info.h"},
    "guest-tools": {"hv/abi"},
}
# The holes that whoever runs mm must fill: known to all of mm, its vocabulary (log, check) included.
HOLES = {"mm/platform.h"}
# Contracts for both sides of a border.
ONLY_STDINT = ("boot/boot_info.h", "hv/abi/")
SYSTEM_BELOW_BOOT = {"stdint.h", "stddef.h", "stdbool.h", "stdarg.h", "limits.h", "lz4.h"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    """The longest room that holds the path; boot/boot_info.h is one by itself."""
    if path in {"boot/boot_info.h"}:
        return path
    folder = path.rsplit("/", 1)[0] if "/" in path else ""
    while folder and folder not in ROOMS:
        folder = folder.rsplit("/", 1)[0] if "/" in folder else ""
    return folder


def problems_in(root, path):
    text = (root / path).read_text(errors="replace")
    room = room_of(path)
    if room == "boot/boot_info.h":
        room = "boot"
    for found in INCLUDE.finditer(text):
        line = text.count("\n", 0, found.start(2)) + 1
        kind, name = found[1], found[2]
        if path.startswith(ONLY_STDINT):
            if (kind, name) != ("<", "stdint.h"):
                yield path, line, f"includes {name}; may include <stdint.h> only"
        elif kind == "<":
            if room not in ("boot", "guest-tools") and name not in SYSTEM_BELOW_BOOT:
                yield path, line, f"includes <{name}>, which a hypervisor does not have"
        elif not (root / name).is_file():
            yield path, line, f'includes "{name}", which is no file from the root'
        elif not {name, room_of(name)} & (HOLES | ROOMS[room] | {room}):
            yield path, line, f'includes "{name}": {room} may not know {room_of(name) or "that"}'


def check(root):
    found = []
    for top in ("boot", "mm", "drivers", "hv", "guest-tools"):
        for file in sorted((root / top).rglob("*.[chS]")):
            found += problems_in(root, file.relative_to(root).as_posix())
    return found


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = check(root)
    for path, line, what in found:
        print(f"{path}:{line}: {what}")
    if "--expect-broken" in sys.argv:
        # The sample holds one offence of each kind, and of each room that is easily forgotten.
        missing = [want for want in ("mm/base may not know", "mm/frame may not know", "mm/zcache may not know",
                                     "mm/swap may not know", "hv/kernel may not know", "hv/vmx may not know",
                                     "no file from the root", "<stdint.h> only", "does not have")
                   if not any(want in what for _, _, what in found)]
        print("the check sees every offence of the sample" if not missing else f"unseen: {missing}")
        return 1 if missing else 0
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
