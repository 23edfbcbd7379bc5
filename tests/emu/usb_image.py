"""qemu/usb-image: the disk image of `make image` as on a machine with a USB port, a screen, a keyboard,
and no serial line. What it shows, a panic included, is read from a screenshot; what is asked is typed key by key.
"""
import pathlib
import re
import shutil
import socket
import subprocess
import time

import machine as machines
import screen

PROMPT = "bellows>"
BOOT_SECONDS = 300
ANSWER_SECONDS = 120


class Problem(Exception):
    """What was expected and did not come."""


class Monitor:
    """QEMU's human monitor."""

    def __init__(self, path):
        self.line = socket.socket(socket.AF_UNIX)
        self.line.settimeout(20)
        self.line.connect(str(path))
        self._answer()

    def _answer(self):
        text = b""
        while not text.endswith(b"(qemu) "):
            piece = self.line.recv(65536)
            if not piece:
                break
            text += piece
        return text

    def do(self, command):
        self.line.sendall(command.encode() + b"\n")
        return self._answer()


class Watched:
    """A running machine without a serial line: what it shows, and keys for it."""

    def __init__(self, process, monitor, directory):
        self.process, self.monitor, self.directory = process, monitor, directory
        self.font = screen.load_font()
        self.text = ""

    def look(self):
        picture = self.directory / "screen.ppm"
        picture.unlink(missing_ok=True)
        self.monitor.do(f"screendump {picture}")
        ppm = picture.read_bytes()
        self.text = screen.read_text(ppm, self.font)
        (self.directory / "screen.png").write_bytes(screen.to_png(ppm))
        (self.directory / "screen.txt").write_text(self.text)
        return self.text

    def wait_for(self, pattern, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Problem(f"the machine ended before it showed {pattern}")
            if re.search(pattern, self.look(), re.M):
                return
            time.sleep(0.5)
        raise Problem(f"not on the screen within {seconds} s: {pattern}")

    def type(self, text):
        for key in screen.key_names(text):
            self.monitor.do(f"sendkey {key} 20")
            time.sleep(0.06)


def command(image, directory, monitor):
    variables = directory / "vars.fd"
    shutil.copyfile(machines.FIRMWARE / "OVMF_VARS_4M.fd", variables)
    return ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max,-la57", "-m", "1280",
            "-nodefaults", "-display", "none", "-vga", "std", "-serial", "none",
            "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={machines.FIRMWARE}/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,unit=1,format=raw,file={variables}",
            "-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,file={image},snapshot=on",
            "-device", "usb-storage,drive=stick", "-no-reboot",
            "-monitor", f"unix:{monitor},server,nowait"]


def use(watched):
    """What a person would do."""
    watched.wait_for(rf"^{PROMPT}$", BOOT_SECONDS)
    watched.type("vms\r")
    watched.wait_for(rf"^{PROMPT} vms\n(.*\n)*g1 +running +1 +256 MiB", ANSWER_SECONDS)
    watched.type("crash\r")
    watched.wait_for(r"^BELLOWS PANIC: asked for(.*\n)*cr0=(.*\n)*backtrace:\n(.*\n)* .* commands_run\+"
                     r"(.*\n)*halted\.$", ANSWER_SECONDS)


def run(directory):
    """("passed", "") or ("failed", what to show)."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    monitor = pathlib.Path(machines.os.path.relpath(directory / "monitor"))
    with open(directory / "emulator.log", "wb") as errors:
        process = subprocess.Popen(command(machines.BUILD / "bellows.img", directory, monitor),
                                   stdin=subprocess.DEVNULL, stdout=errors, stderr=subprocess.STDOUT)
    watched = None
    try:
        for _ in range(100):
            if monitor.exists():
                break
            time.sleep(0.1)
        watched = Watched(process, Monitor(monitor), directory)
        use(watched)
        return "passed", ""
    except (Problem, OSError, subprocess.TimeoutExpired) as problem:
        shown = watched.text if watched else ""
        return "failed", "\n".join([shown, (directory / "emulator.log").read_text(errors="replace"),
                                    f"picture: {directory}/screen.png", f"PROBLEM: {problem}"])
    finally:
        process.kill()
        process.wait()
        (directory / "vars.fd").unlink(missing_ok=True)
        (directory / "screen.ppm").unlink(missing_ok=True)
