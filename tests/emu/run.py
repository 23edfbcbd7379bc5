#!/usr/bin/env python3
"""make run: boot the hypervisor with the example configuration, on the best machine there is.

On a terminal the user gets the hypervisor's console; without one the hypervisor is told to power off
when all guests have ended, and the exit status is its verdict: 0 only if every guest verified all of
its memory.
"""
import argparse
import os
import re
import sys
import termios
import tty

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import machine as machines
import session

ESCAPE = 0x01  # Ctrl-A, then x


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
    parser.add_argument("--config", default=machines.ROOT / "boot/bellows.conf")
    parser.add_argument("--guests", type=int, help="only the first so many VMs of the configuration")
    parser.add_argument("--memory", type=int, default=768, help="of the machine, in MiB")
    parser.add_argument("--cpus", type=int)
    parser.add_argument("--timeout", type=float, help="seconds; none on a terminal, else 600")
    parser.add_argument("--no-tty", action="store_true", help="as if there were no terminal")
    parser.add_argument("--image-only", metavar="FILE", help="write the boot image and stop")
    return parser.parse_args()


def main():
    options = parse_arguments()
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not options.no_tty
    config = with_autostop(open(options.config, encoding="utf-8").read(), not interactive)
    if options.guests:
        config = with_guests(config, options.guests)
    files = machines.guest_files()
    if options.image_only:
        path = machines.pathlib.Path(options.image_only)
        machines.make_image(path, {**files, "bellows/bellows.conf": config.encode()})
        print(f"{path}: a FAT volume to boot by UEFI; files lie in \\bellows")
        return 0

    target, reason = machines.pick(options.target)
    spec = machines.Spec(target, machines.BUILD / "runs" / f"run-{target}", config, options.memory,
                         options.cpus or machines.default_cpus(target), files)
    print(f"run: {reason}; {spec.memory} MiB, {spec.cpus} CPU{'s' if spec.cpus > 1 else ''}")
    if interactive:
        print("run: this terminal is the hypervisor's console: type help there; "
              "poweroff ends it, as does Ctrl-A x")
        sys.stdout.flush()
        with machines.Machine(spec) as machine, Keyboard() as keyboard:
            outcome = session.Watcher(machine, options.timeout, echo=True, keyboard=keyboard).run()
        print()
    else:
        sys.stdout.flush()
        with machines.Machine(spec) as machine:
            outcome = session.Watcher(machine, options.timeout or 600, echo=True).run()
        if outcome.detail:
            print(f"\n{outcome.detail}")
    print(f"run: {outcome.end} after {outcome.seconds:.1f} s; log: {spec.directory}/serial.log")
    return 0 if outcome.end == "ok" or (interactive and outcome.end == "stopped") else 1


if __name__ == "__main__":
    sys.exit(main())
