"""NVMe disks for a machine: images with a GUID partition table, and the emulators' arguments.

With blocks of 512 bytes sgdisk writes the table; it knows no others for files, so for 4096 bytes it is
written here.
"""
import dataclasses
import struct
import subprocess
import uuid
import zlib

# The types of partitions that are Bellows' own (drivers/gpt.h).
TYPES = {
    "swap": "86cbcdae-9031-43c3-aa9c-af1abc33edf2",
    "disk": "f9f7b537-6e97-41bf-b5cf-f56470132ba3",
    "test": "638e3383-3568-43b5-bff9-f64d46cf9fbb",
    "linux": "0fc63daf-8483-4772-8e79-3d69d8477de4",
}
ENTRIES, ENTRY_BYTES = 128, 128


@dataclasses.dataclass
class Disk:
    """`partitions`: (name, a key of TYPES, MiB). `faults`: the control file of Bochs' plugin (see
    tests/emu/bochs/nvme/faults.h). `blkdebug`: rules of QEMU's driver of that name."""
    name: str = "disk"
    mib: int = 32
    block_bytes: int = 512
    partitions: tuple = (("scratch", "test", 12), ("other", "linux", 4))
    faults: str = ""
    blkdebug: str = ""
    damage: tuple = ()       # blocks to fill with 0xff after the table is written
    qemu_device: str = ""    # more properties of QEMU's device
    qemu_drive: str = ""     # and of what lies behind it
    fill: object = None      # called with the image's path when the table is written


def make(disk, directory):
    path = directory / f"{disk.name}.img"
    with open(path, "wb") as image:
        image.truncate(disk.mib << 20)
    if disk.block_bytes == 512:
        arguments = []
        for number, (name, kind, mib) in enumerate(disk.partitions, 1):
            arguments += ["-n", f"{number}:0:+{mib}M", "-t", f"{number}:{TYPES[kind]}", "-c",
                          f"{number}:{name}"]
        subprocess.run(["sgdisk", *arguments, path], check=True, stdout=subprocess.DEVNULL)
    else:
        write_table(path, disk)
    with open(path, "r+b") as image:
        for block in disk.damage:
            image.seek(block * disk.block_bytes, 0 if block >= 0 else 2)
            image.write(b"\xff" * disk.block_bytes)
    if disk.fill:
        disk.fill(path)
    return path


def write_table(path, disk):
    block = disk.block_bytes
    count = (disk.mib << 20) // block
    table_blocks = ENTRIES * ENTRY_BYTES // block
    first, last = 2 + table_blocks, count - 2 - table_blocks
    at, entries = (1 << 20) // block, b""
    for name, kind, mib in disk.partitions:
        end = at + (mib << 20) // block
        entries += uuid.UUID(TYPES[kind]).bytes_le + uuid.uuid4().bytes_le + struct.pack(
            "<QQQ72s", at, end - 1, 0, name.encode("utf-16-le"))
        at = end
    entries = entries.ljust(ENTRIES * ENTRY_BYTES, b"\0")
    identity = uuid.uuid4().bytes_le

    def header(mine, other, table):
        def pack(crc):
            return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, mine, other, first,
                               last, identity, table, ENTRIES, ENTRY_BYTES, zlib.crc32(entries))
        return pack(zlib.crc32(pack(0)))

    with open(path, "r+b") as image:
        for mine, other, table in ((1, count - 1, 2), (count - 1, 1, count - 1 - table_blocks)):
            image.seek(mine * block)
            image.write(header(mine, other, table))
            image.seek(table * block)
            image.write(entries)


def qemu_arguments(disk, path):
    size = disk.block_bytes
    source = f"file={path}"
    if disk.blkdebug:
        rules = path.with_suffix(".blkdebug")
        rules.write_text(disk.blkdebug)
        source = f"file=blkdebug:{rules}:{path}"
    return ["-drive", f"if=none,id={disk.name},format=raw,discard=unmap,werror=report,rerror=report,"
                      f"{source}{disk.qemu_drive}",
            "-device", f"nvme,serial={disk.name},drive={disk.name},logical_block_size={size},"
                       f"physical_block_size={size}{disk.qemu_device}"]


def bochs_environment(disks, paths, directory):
    """What the plugin reads; its one controller has a namespace for each disk."""
    control = directory / "nvme.control"
    control.write_text("".join(disk.faults for disk in disks))
    return {"BELLOWS_NVME_DISKS": ";".join(f"{path}:{disk.block_bytes}" for disk, path in zip(disks, paths)),
            "BELLOWS_NVME_CONTROL": str(control)}
