"""Memory of real guests, to look for equal pages in: four Debian guests like those of `make run`, on plain QEMU.

Each guest's RAM is a file that QEMU maps, so what the guest never touched stays a hole in it. The files are made
once and kept in the cache, by what they come from.
"""
import hashlib
import os
import pathlib
import selectors
import shutil
import subprocess
import time

import host
import machine as machines

GUEST_MIB, WORKLOAD_MIB, SECONDS = 128, 40, 300
KERNEL, INITRD = machines.BUILD / "guests/vmlinuz", machines.BUILD / "guests/initrd.img"
NEEDS = (".guests",)
APPEND = "console=ttyS0 quiet nokaslr cryptomgr.notests bellows.halt=stay " \
         "bellows.workload=profile={profile},mib={mib},ops=2000,seed={seed}"
PROFILES = ("mixed", "mixed", "mixed", "unique")
DONE = b"WORKLOAD ok"


def run_guest(path, seed, profile):
    """Leave at @path what is in the guest's memory when its workload has verified it all."""
    with open(path, "wb") as memory:
        memory.truncate(GUEST_MIB << 20)
    append = APPEND.format(profile=profile, mib=WORKLOAD_MIB, seed=seed)
    # No QEMU of ours is to be merged by the KSM that is measured.
    command = [*machines.DIE_WITH_US, "qemu-system-x86_64", "-M", "q35,memory-backend=ram,mem-merge=off",
               "-accel", "tcg", "-m", str(GUEST_MIB), "-nodefaults", "-display", "none", "-serial", "stdio",
               "-object", f"memory-backend-file,id=ram,size={GUEST_MIB}M,mem-path={path},share=on",
               "-kernel", KERNEL, "-initrd", INITRD, "-append", append]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        text = read_until(guest.stdout, DONE)
        guest.kill()
    if DONE not in text:
        raise host.Failed(f"the guest whose memory is wanted did not come to its end: {text[-500:]!r}")


def read_until(stream, wanted):
    text, end = b"", time.monotonic() + SECONDS
    with selectors.DefaultSelector() as ready:
        ready.register(stream, selectors.EVENT_READ)
        while wanted not in text and time.monotonic() < end:
            piece = os.read(stream.fileno(), 65536) if ready.select(1.0) else None
            if piece == b"":
                break
            text += piece or b""
    return text


def files():
    """The guests' memory, a file for each guest; made if they are not there."""
    made_of = hashlib.sha256(repr((GUEST_MIB, WORKLOAD_MIB, APPEND, PROFILES)).encode())
    for source in (KERNEL, INITRD):
        made_of.update(source.read_bytes())
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "bellows"
    directory = cache / f"corpus-{made_of.hexdigest()[:16]}"
    if not directory.exists():
        # Those of other initrds have no use any more.
        for old in cache.glob("corpus-*"):
            shutil.rmtree(old, ignore_errors=True)
        new = directory.with_name(f"new-corpus-{os.getpid()}")
        new.mkdir(parents=True)
        for seed, profile in enumerate(PROFILES, 1):
            run_guest(new / f"guest{seed}", seed, profile)
        new.rename(directory)
    return sorted(directory.iterdir())
