#!/usr/bin/env python3
"""make run: the overcommitted demonstration, on the best machine there is.

On a terminal the user gets the hypervisor's console, with a live table above it; without one the
hypervisor is told to power off when all guests have ended, and the exit status is its verdict: 0 only
if every guest verified all of its memory. At the end a report tells what was taken from whom, and how.
"""
import argparse
import os
import re
import shutil
import sys
import termios
import tty

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import demo
import machine as machines
import session
from disk import Disk

DEFAULT_CONFIG = machines.ROOT / "boot/overcommit.conf"
ESCAPE = 0x01  # Ctrl-A, then x
SWAP = Disk(name="swap", mib=2100, partitions=(("swap", "swap", 2048),))
BOCHS_GUESTS = 3         # it is ten times as slow
UNWATCHED_SECONDS = 1800


class Keyboard:
    """The user's terminal, raw, passed on to the machine. Ctrl-A x asks to leave."""

    def __init__(self):
        self.saved = None
        self.escaped = False
        self.wants_out = False

    def fileno(self):
        return sys.stdin.fileno()

    def __enter__(self):
        self.saved = termios.tcgetattr(sys.stdin)
        tty.setraw(sys.stdin)
        return self

    def __exit__(self, *_):
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self.saved)

    def pass_on(self, machine):
        import select
        if not select.select([sys.stdin], [], [], 0)[0]:
            return
        out = bytearray()
        for byte in os.read(sys.stdin.fileno(), 256):
            if self.escaped and byte in b"xX":
                self.wants_out = True
            elif byte == ESCAPE and not self.escaped:
                self.escaped = True
                continue
            else:
                out.append(byte)
            self.escaped = False
        if out:
            machine.write(bytes(out))


def with_autostop(config, wanted):
    """The configuration with [host] autostop set to what the runner needs."""
    line = f"autostop = {'yes' if wanted else 'no'}"
    changed, count = re.subn(r"(?m)^\s*autostop\s*=.*$", line, config)
    return changed if count else re.sub(r"(?m)^\[host\].*$", lambda m: f"{m[0]}\n{line}", config, count=1)


def with_guests(config, count):
    """The configuration with its first `count` VMs only."""
    pieces = re.split(r"(?m)^(?=\[)", config)
    kept, seen = [], 0
    for piece in pieces:
        if piece.startswith("[vm"):
            seen += 1
            if seen > count:
                continue
        kept.append(piece)
    return "".join(kept)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", default="auto", choices=["auto", "qemu", "tcg", "kvm", "bochs"])
    parser.add_argument("--config", default=DEFAULT_CONFIG)
    parser.add_argument("--guests", type=int, help="only the first so many VMs of the configuration; in Bochs 3 of the default")
    parser.add_argument("--memory", type=int, default=768, help="of the machine, in MiB")
    parser.add_argument("--cpus", type=int)
    parser.add_argument("--timeout", type=float, help="seconds; none on a terminal, else 1800")
    parser.add_argument("--directory", help="for this run's image, logs and report; else build/runs/run-TARGET")
    parser.add_argument("--no-tty", action="store_true", help="as if there were no terminal")
    parser.add_argument("--image-only", metavar="FILE", help="write the boot image and stop")
    return parser.parse_args()


def choose_config(options, target, autostop):
    config = with_autostop(open(options.config, encoding="utf-8").read(), autostop)
    guests = options.guests or (BOCHS_GUESTS if target == "bochs" and options.is_default else None)
    return with_guests(config, guests) if guests else config


def watch(spec, options, interactive):
    """Runs the machine to its end. Returns (how it ended, the report or None)."""
    rows = shutil.get_terminal_size((80, 0)).lines if interactive else 0
    with machines.Machine(spec) as machine:
        recorder = demo.Recorder(machine)
        table = demo.Table(recorder, rows, spec.config.count("[vm "))
        if interactive:
            with Keyboard() as keyboard:
                try:
                    outcome = session.Watcher(machine, options.timeout, echo=True, keyboard=keyboard,
                                              each_turn=table.show).run()
                finally:
                    table.end()
        else:
            outcome = session.Watcher(machine, options.timeout or UNWATCHED_SECONDS, echo=True,
                                      each_turn=table.show).run()
        recorder.stop()
    return outcome, demo.write(recorder, outcome.text, spec.directory)


def main():
    options = parse_arguments()
    options.is_default = options.config == DEFAULT_CONFIG
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not options.no_tty
    files = machines.guest_files()
    if options.image_only:
        path = machines.pathlib.Path(options.image_only)
        config = choose_config(options, "qemu", not interactive)
        machines.make_image(path, {**files, "bellows/bellows.conf": config.encode()})
        print(f"{path}: a FAT volume to boot by UEFI; files lie in \\bellows")
        return 0

    target, reason = machines.pick(options.target)
    directory = machines.pathlib.Path(options.directory or machines.BUILD / "runs" / f"run-{target}")
    spec = machines.Spec(target, directory,
                         choose_config(options, target, not interactive), options.memory,
                         options.cpus or machines.default_cpus(target), files, disks=(SWAP,), monitor=True)
    print(f"run: {reason}; {spec.memory} MiB, {spec.cpus} CPU{'s' if spec.cpus > 1 else ''}")
    if interactive:
        print("run: this terminal is the hypervisor's console: type help there; "
              "poweroff ends it, as does Ctrl-A x")
    sys.stdout.flush()
    outcome, report = watch(spec, options, interactive)
    if interactive:
        print()
    elif outcome.detail:
        print(f"\n{outcome.detail}")
    if report:
        print(f"\n{report}\nrun: report: {spec.directory}/report.txt, report.svg")
    print(f"run: {outcome.end} after {outcome.seconds:.1f} s; log: {spec.directory}/serial.log")
    return 0 if outcome.end == "ok" or (interactive and outcome.end == "stopped") else 1


if __name__ == "__main__":
    sys.exit(main())
