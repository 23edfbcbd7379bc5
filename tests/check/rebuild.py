#!/usr/bin/env python3
"""That make makes anew what is made otherwise now, and nothing for nothing: one object of each kind."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What is made, and the variables that it is made with.
MADE_WITH = {
    "hv/mm/base/err.c.o": ("HV_FLAGS", "HV_LTO", "COMPILERS"),
    "hv-debug/mm/base/err.c.o": ("HV_FLAGS", "HV_LTO"),
    "hv/hv/x86/traps.S.o": ("HV_FLAGS",),
    "loader/mm/base/err.c.o": ("LOADER_FLAGS",),
    "guests/act": ("GUEST_FLAGS",),
    "guests/bellows-guest": ("TOOL_FLAGS",),
    "guests/bare.pvh": ("BARE_FLAGS", "COMPILERS"),
    "tools/bellowstop": ("MONITOR_FLAGS", "VERSION"),
    "host/mm/base/err.o": ("HOST_FLAGS",),
    "fuzzed/mm/base/err.o": ("HOST_FLAGS", "COMPILERS"),
    "tsan/mm/base/err.o": ("TSAN",),
    "bench/obj/mm/base/err.o": ("BENCH_FLAGS",),
}


def make(build, *words):
    return subprocess.run(["make", "--no-print-directory", f"BUILD={build}", *words], stdout=subprocess.DEVNULL,
                          check=False).returncode


def check(build):
    targets = [f"{build}/{name}" for name in MADE_WITH]
    yield "everything is made", make(build, f"-j{os.cpu_count()}", *targets) == 0
    yield "everything is made once", make(build, "-q", *targets) == 0
    held = {path: (path.read_text(), path.stat()) for path in pathlib.Path(build).glob(".[A-Z]*")}
    for name, target in zip(MADE_WITH, targets):
        for variable in MADE_WITH[name]:
            # -q only tells whether anything would be made.
            yield f"{name} is made anew for another {variable}", make(build, "-q", target, f"{variable}=-Dother") == 1
            for path, (text, status) in held.items():
                path.write_text(text)
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    yield "nothing else is made for that", make(build, "-q", *targets) == 0


def main():
    os.chdir(ROOT)
    failed = 0
    with tempfile.TemporaryDirectory() as build:
        for what, good in check(build):
            print(f"{'ok  ' if good else 'FAIL'} {what}")
            failed += not good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
