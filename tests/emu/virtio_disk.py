"""A VM's disk with something on it: a partition table, a root file system and a swap partition."""
import pathlib
import shutil
import subprocess
import tempfile

import disk
import machine as machines

MIB = 1 << 20
# Where the first partition of the machine's disk begins, and of the guest's in it.
OFFSET = MIB
GUESTS = machines.ROOT / "tests/emu/guests"


def put(image, at, piece):
    """Copy a file into an image at a place; what is not in use of it stays a hole."""
    subprocess.run(["dd", f"if={piece}", f"of={image}", "bs=1M", f"seek={at // MIB}", "conv=notrunc,sparse",
                    "status=none"], check=True)


def root_tree(directory):
    root = directory / "root"
    for name in ("bin", "sbin", "dev", "proc", "sys"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    shutil.copy(machines.BUILD / "guests/workload", root / "bin/workload")
    shutil.copy(GUESTS / "disk_root", root / "sbin/init")
    return root


def with_root_and_swap(root_mib, swap_mib):
    """For disk.Disk.fill: into its first partition, which has room for both and 2 MiB more."""
    def fill(path):
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            whole, root, swap = (directory / part for part in ("whole", "ext4", "swap"))
            for file, mib in ((whole, root_mib + swap_mib + 2), (root, root_mib), (swap, swap_mib)):
                with open(file, "wb") as image:
                    image.truncate(mib * MIB)
            subprocess.run(["sgdisk", "-n", f"1:0:+{root_mib}M", "-n", "2:0:0", "-t", "2:8200", whole], check=True,
                           stdout=subprocess.DEVNULL)
            subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d",
                            root_tree(directory), root], check=True)
            subprocess.run(["/sbin/mkswap", "-q", swap], check=True)
            put(path, OFFSET, whole)
            put(path, OFFSET + MIB, root)
            # The last partition ends before the table's copy.
            put(path, OFFSET + MIB + root_mib * MIB, swap)
    return fill


def as_readme_says(name, identity):
    """For disk.Disk.fill: one more partition for a VM, by the command that README.md gives; with that GUID."""
    def fill(path):
        subprocess.run(["sgdisk", "-n", "0:0:+2M", "-t", f"0:{disk.TYPES['disk']}", "-c", f"0:{name}",
                        "-u", f"0:{identity}", path], check=True, stdout=subprocess.DEVNULL)
    return fill
