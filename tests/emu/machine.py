"""A machine to boot the hypervisor on: QEMU (KVM with nesting, else TCG with SVM) or Bochs (VT-x).

Machine(spec) makes the boot image and starts the emulator; read() and write() are its first serial
line, both ways; describe() tells what state it is in when something went wrong. Nothing here judges.
"""
import dataclasses
import functools
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import time
import tty

import disk as disks

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BELLOWS_BUILD", "build")
HEADS, SECTORS, SECTOR = 16, 63, 512
CYLINDER = HEADS * SECTORS * SECTOR
FIRMWARE = pathlib.Path("/usr/share/OVMF")
BOCHS_FIRMWARE = "/usr/share/ovmf/OVMF.fd"
BOCHS_VGA = "/usr/share/vgabios/vgabios.bin"
# However the runner ends, no emulator goes on computing behind it.
DIE_WITH_US = ("setpriv", "--pdeathsig", "KILL")
BOCHS_CPU = "corei7_skylake_x"


@dataclasses.dataclass
class Spec:
    """What machine to build. `files` maps a path on the ESP to a file here, to bytes, or to
    None for none."""
    target: str                      # qemu, kvm, bochs
    directory: pathlib.Path          # everything of this run: image, logs
    config: object = None            # text of bellows.conf; None leaves it out
    memory: int = 768                # MiB
    cpus: int = 1
    files: dict = dataclasses.field(default_factory=dict)
    qemu_cpu: str = "max,-la57"
    qemu_args: tuple = ()
    bochs_cpu: str = BOCHS_CPU
    disks: tuple = ()                # of disk.Disk: NVMe controllers on QEMU, namespaces of one on Bochs
    monitor: bool = False            # a second serial line: monitor.Line(machine) talks on it


# The hypervisor that tests run: it checks the order of locks.
DEBUG = "bellows-debug.elf"


def guest_files(hypervisor="bellows.elf"):
    """The files that every image carries beside the configuration."""
    return {
        "EFI/BOOT/BOOTX64.EFI": BUILD / "BOOTX64.EFI",
        "bellows/bellows.elf": BUILD / hypervisor,
        "bellows/vmlinuz": BUILD / "guests/vmlinuz",
        "bellows/initrd.img": BUILD / "guests/initrd.img",
        "bellows/bare.img": BUILD / "guests/bare.img",
        "bellows/bare.pvh": BUILD / "guests/bare.pvh",
        "bellows/bare.mb": BUILD / "guests/bare.multiboot",
    }


def make_image(path, files):
    """A FAT16 volume without partitions ("superfloppy") of whole cylinders, for Bochs wants those."""
    staged = path.parent / "esp"
    shutil.rmtree(staged, ignore_errors=True)
    total = 0
    for name, source in files.items():
        if source is None:
            continue
        target = staged / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            target.write_bytes(source)
        else:
            target.symlink_to(os.path.realpath(source))
        total += (target.stat().st_size // 4096 + 2) * 4096
    cylinders = max((total + (6 << 20)) // CYLINDER + 1, 40)
    with open(path, "wb") as image:
        image.truncate(cylinders * CYLINDER)
    subprocess.run(["mkfs.vfat", "-F", "16", "-s", "8", "-g", f"{HEADS}/{SECTORS}", "-n", "BELLOWS", path],
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mcopy", "-i", path, "-s", *sorted(staged.iterdir()), "::"], check=True,
                   env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
    shutil.rmtree(staged)
    return cylinders


@functools.lru_cache(maxsize=None)
def qemu_version():
    text = subprocess.run(["qemu-system-x86_64", "--version"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", text)
    return int(found[1]), int(found[2])


def smp_problem(target):
    """Why guests do not come through on several CPUs of this machine, or None.

    QEMU 7.2's helper_vmrun leaves an injected interrupt's vector in exception_index, and delivers it a second time where
    the CPU is made to leave its loop before the next exit. With one CPU nothing does that but an interrupt, which is an
    exit; with several, each wait of one for the others does, and with thread=single so does each CPU's turn (tried:
    reclaim-two-linux panics either way)."""
    if target == "qemu" and qemu_version() < (11, 0):
        return "QEMU {}.{} delivers injected interrupts twice with several CPUs".format(*qemu_version())
    return None


def default_cpus(target):
    return 1 if smp_problem(target) else 2


@functools.lru_cache(maxsize=None)
def kvm_problem():
    """Why KVM with nested virtualisation cannot be used here, or None if it really works."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "no usable /dev/kvm"
    flags = re.findall(r"\b(vmx|svm)\b", pathlib.Path("/proc/cpuinfo").read_text())
    if not flags:
        return "/dev/kvm is there, but this CPU shows neither vmx nor svm"
    # A boot sector that leaves through the debug port: KVM runs code, and has nesting to offer.
    boot = bytes([0xB0, 0x31, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD]).ljust(510, b"\0") + b"\x55\xaa"
    probe = BUILD / "kvm-probe.img"
    probe.parent.mkdir(parents=True, exist_ok=True)
    probe.write_bytes(boot.ljust(1 << 20, b"\0"))
    try:
        done = subprocess.run(
            ["qemu-system-x86_64", "-accel", "kvm", "-cpu", f"host,+{flags[0]},enforce", "-m", "64",
             "-nodefaults", "-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
             "-drive", f"file={probe},format=raw,snapshot=on"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "a first KVM guest did not run to its end"
    if done.returncode != 0x31 << 1 | 1:
        return "KVM starts no guest with nesting: " + (done.stdout.strip().split("\n")[-1] or "?")
    return None


def pick(wanted):
    """The target for what the user asked (auto, qemu, kvm, bochs) and one line that says why."""
    if wanted == "bochs":
        return "bochs", "Bochs, Intel VT-x with EPT: asked for"
    if wanted == "tcg":
        return "qemu", "QEMU TCG, AMD SVM with nested paging: asked for"
    problem = kvm_problem()
    if problem is None:
        return "kvm", "QEMU with KVM and nested virtualisation: it works on this machine"
    if wanted == "kvm":
        raise SystemExit(f"KVM with nesting was asked for, but: {problem}")
    return "qemu", f"QEMU TCG, AMD SVM with nested paging; not KVM: {problem}"


class Machine:
    """A running emulator. Use as a context manager: leaving it ends the emulator for certain."""

    def __init__(self, spec):
        self.spec = spec
        self.directory = spec.directory
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        files = dict(spec.files)
        if spec.config is not None:
            files["bellows/bellows.conf"] = spec.config.encode()
        self.cylinders = make_image(self.directory / "esp.img", files)
        self.disk_paths = [disks.make(disk, self.directory) for disk in spec.disks]
        self.log = open(self.directory / "serial.log", "wb")
        self.process = None
        self.reader = self.writer = -1
        self.second = self.second_slave = -1   # Bochs: the second serial line

    def __enter__(self):
        if self.spec.target == "bochs":
            self._start_bochs()
        else:
            self._start_qemu()
        return self

    def __exit__(self, *_):
        self.stop()

    def _start_qemu(self):
        variables = self.directory / "vars.fd"
        shutil.copyfile(FIRMWARE / "OVMF_VARS_4M.fd", variables)
        accel = ["-accel", "kvm", "-cpu", "host"] if self.spec.target == "kvm" else \
            ["-accel", "tcg", "-cpu", self.spec.qemu_cpu]
        command = [
            *DIE_WITH_US, "qemu-system-x86_64", "-M", "q35", *accel, "-m", str(self.spec.memory),
            "-smp", str(self.spec.cpus), "-nodefaults", "-display", "none", "-vga", "std",
            "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE}/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables}",
            "-drive", f"if=ide,format=raw,file={self.directory}/esp.img",
            "-serial", "stdio", "-monitor", f"unix:{self._monitor_path()},server,nowait",
            *self._qemu_second_line(), "-no-reboot", *self._qemu_disks(), *self.spec.qemu_args]
        with open(self.directory / "emulator.log", "wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, bufsize=0, start_new_session=True)
        self.reader = self.process.stdout.fileno()
        self.writer = self.process.stdin.fileno()

    def _qemu_second_line(self):
        # Where nobody is connected what comes is thrown away.
        return ["-serial", f"unix:{self.monitor_path()},server,nowait"] if self.spec.monitor else []

    def monitor_path(self):
        """QEMU's socket for the second serial line."""
        return os.path.relpath(self.directory / "com2", os.getcwd())

    def _qemu_disks(self):
        return [word for disk, path in zip(self.spec.disks, self.disk_paths)
                for word in disks.qemu_arguments(disk, path)]

    def _monitor_path(self):
        # A socket's path must be short.
        return os.path.relpath(self.directory / "monitor", os.getcwd())

    def _start_bochs(self):
        prefix = pathlib.Path(bochs_prefix())
        self.reader, slave = pty.openpty()
        self.writer = self.reader
        tty.setraw(slave)
        self.slave = slave
        text = BOCHSRC.format(
            cpu=self.spec.bochs_cpu, cpus=self.spec.cpus, memory=self.spec.memory,
            firmware=BOCHS_FIRMWARE, vga=BOCHS_VGA, image=self.directory / "esp.img",
            cylinders=self.cylinders, tty=os.ttyname(slave), log=self.directory / "bochs.log")
        environment = {**os.environ, "BXSHARE": str(prefix / "share/bochs"),
                       "LTDL_LIBRARY_PATH": str(prefix / "lib/bochs/plugins")}
        if self.spec.monitor:
            self.second, self.second_slave = pty.openpty()
            tty.setraw(self.second_slave)
            text += f"com2: enabled=1, mode=term, dev={os.ttyname(self.second_slave)}\n"
        if self.spec.disks:
            text = text.replace("chipset=i440fx", "chipset=i440fx, slot1=nvme") + "plugin_ctrl: nvme=1\n"
            environment.update(disks.bochs_environment(self.spec.disks, self.disk_paths, self.directory))
            environment["LTDL_LIBRARY_PATH"] += f":{bochs_nvme_plugin()}"
        (self.directory / "bochsrc").write_text(text)
        with open(self.directory / "emulator.log", "wb") as errors:
            self.process = subprocess.Popen(
                # The speed report it makes once a second logs from a signal handler, and would wait for
                # ever for the log's lock where the interrupted code holds it. Blocked, it never comes.
                [*DIE_WITH_US, "env", "--block-signal=ALRM", prefix / "bin/bochs", "-q", "-unlock", "-f",
                 self.directory / "bochsrc"],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=subprocess.STDOUT,
                env=environment, start_new_session=True)

    def read(self, timeout, also=()):
        """Serial output, or b'' after `timeout` seconds. `also`: descriptors that may end the wait."""
        ready, _, _ = select.select([self.reader, *also], [], [], timeout)
        if self.reader not in ready:
            return b""
        try:
            data = os.read(self.reader, 65536)
        except OSError:
            data = b""
        if not data and self.process.poll() is None:
            time.sleep(min(timeout, 0.05))  # the line is closed but the machine still ends
        self.log.write(data)
        self.log.flush()
        return data

    def write(self, data):
        os.write(self.writer, data)

    def has_ended(self):
        return self.process.poll() is not None

    def killed_by(self):
        """The signal that ended the emulator itself, a fault of its own; "" if none did."""
        status = self.process.poll()
        return signal.Signals(-status).name if status and status < 0 else ""

    def cpu_seconds(self):
        """CPU time that the emulator took, all its threads."""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0           # it has ended
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def describe(self):
        """Registers of the machine as it stands (ends Bochs)."""
        if self.has_ended():
            return self._tail("emulator.log")
        if self.spec.target == "bochs":
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                pass
            return self._tail("bochs.log", 70)
        return self._registers()

    def _registers(self):
        text = self.monitor("info registers -a")
        lines = [line for line in text.split("\n") if re.match(r"CPU#|R[A-Z0-9 ]{2}=|[CS]S =|CR0|CR2|EFER", line)]
        elf = self.spec.files.get("bellows/bellows.elf")
        addresses = re.findall(r"RIP=(ffffffff[0-9a-f]{8})", text)
        if elf and addresses:
            names = subprocess.run(["addr2line", "-fpe", elf, *addresses], stdout=subprocess.PIPE,
                                   text=True, check=False).stdout
            lines.append("the hypervisor is at " + names.strip().replace("\n", ", "))
        return "\n".join(lines)

    def monitor(self, command):
        """What QEMU's monitor answers."""
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(2)
                line.connect(self._monitor_path())
                line.sendall(command.encode() + b"\n")
                while answer.count(b"(qemu)") < 2:
                    piece = line.recv(65536)
                    if not piece:
                        break
                    answer += piece
        except OSError as problem:
            answer += f"(the monitor does not answer: {problem})".encode()
        return answer.decode(errors="replace").replace("\r", "")

    def _tail(self, name, lines=20):
        path = self.directory / name
        if not path.exists():
            return ""
        return "\n".join(path.read_text(errors="replace").split("\n")[-lines:])

    def stop(self):
        if self.process and not self.has_ended():
            self.process.kill()
            self.process.wait()
        if self.spec.target == "bochs" and self.reader >= 0:
            os.close(self.reader)
            os.close(self.slave)
            self.reader = -1
        for end in (self.second, self.second_slave):
            if end >= 0:
                os.close(end)
        self.log.close()
        # The image can be made again at any time, and there are many runs.
        for path in (self.directory / "esp.img", *self.disk_paths):
            path.unlink(missing_ok=True)
        (self.directory / "vars.fd").unlink(missing_ok=True)


@functools.lru_cache(maxsize=None)
def bochs_prefix():
    """Where Bochs is installed; builds it first if need be (minutes, once)."""
    return subprocess.run([ROOT / "tests/emu/bochs/build.sh"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


@functools.lru_cache(maxsize=None)
def bochs_nvme_plugin():
    """The directory of the NVMe controller's plugin for that Bochs."""
    return subprocess.run([ROOT / "tests/emu/bochs/nvme/build.sh"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


BOCHSRC = """\
display_library: nogui
cpu: model={cpu}, count={cpus}, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={memory}, host={memory}
romimage: file={firmware}, address=0xffe00000
vgaromimage: file={vga}
vga: extension=vbe, update_freq=1, realtime=0
pci: enabled=1, chipset=i440fx
ata0-master: type=disk, mode=flat, path={image}, cylinders={cylinders}, heads=16, spt=63
clock: sync=none, time0=946684800
com1: enabled=1, mode=term, dev={tty}
log: {log}
logprefix: %t%d
debug: action=ignore
panic: action=fatal
"""
