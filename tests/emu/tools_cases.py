"""Cases of the guest tools in Debian guests: the driver follows its target, gives memory back when its guest is
driven to its limit, lets its pages be moved; is unloaded, suspended, hibernated, restarted, replaced by kexec under a
full balloon, and stays where the host has promised that memory to others; and stays out where there is no Bellows."""
import re
import subprocess
import time

import machine as machines
import session
from disk import Disk
from steps import said_by

# Every page is written to when it is freed, so that the host has one for each and what comes and goes can be counted.
ALL_TOUCHED = "init_on_free=1"
ROW = re.compile(r"^g1 +192\.0 +\d+\.\d +(\d+\.\d)", re.M)
TOLERANCE_MIB = 1.0
STRANGER_SECONDS = 300


class Consumed(session.Watcher):
    """Compares what g1 consumed, by three looks at memtop: before, with 81 MiB in the balloon, and after."""

    def problems(self):
        seen = [float(text) for text in ROW.findall(self.text)]
        if len(seen) != 3:
            return [f"{len(seen)} looks at memtop, not 3"]
        fell, rose = seen[0] - seen[1], seen[2] - seen[1]
        return [f"consumed memory {what} by {by:.1f} MiB, not by 81" for what, by in (("fell", fell), ("rose", rose))
                if abs(by - 81) > TOLERANCE_MIB]


class Repeating(session.Watcher):
    """Types a step's line again and again, until what the next step waits for is there: for what takes its time and
    does not say when it has happened."""
    SECONDS = 2.0

    def __init__(self, machine, timeout, script, repeated):
        super().__init__(machine, timeout, script)
        self.repeated, self.typed_at = repeated, 0.0

    def _type(self):
        super()._type()
        typed = next((line for wait, line in self.repeated.items()
                      if self.script and self.script[0][0].pattern == wait), None)
        if typed and not self.unsent and time.monotonic() - self.typed_at > self.SECONDS:
            self.typed_at = time.monotonic()
            self._send(typed)


def steps(prompt, *pairs):
    """(what to wait for, what to type then or None), each typed at a fresh prompt."""
    out = []
    for wait, line in pairs:
        out.append((wait, "\r" if line else None))
        if line:
            out.append((prompt, line + "\r"))
    return tuple(out)


def cases(host, vm, bare, workload, pvh, prompt, panic):
    def guest(does, extra="", **keys):
        return host(autostop="no") + vm("g1", f"tools={does}", "192M", extra=extra,
                                        **{"sched.mem.pshare.enable": "no", **keys})

    def case(name, config, script, **more):
        return dict(name=f"tools-{name}", config=config, forbid=(panic, "TOOLS FAIL", "WORKLOAD FAIL"),
                    **{"verdict": "stopped", "script": script, "timeout": 150, **more})

    follow = steps(
        prompt, (r"\[g1\] TOOLS loaded", "memtop"), (r"^g1 +192\.0", "balloon g1 81M"),
        (r"\[g1\] maximum", "balloon"), (r"g1 +81\.0 +81\.0 +81\.0 .* ok$", "memtop"),
        (r"^g1 +192\.0", "balloon g1 off"), (r"\[g1\] TOOLS size 0", "memtop"), (r"^g1 +192\.0", None),
        (r"\[g1\] TOOLS unloaded", "poweroff"))
    yield case("follow", guest("follow", ALL_TOUCHED), follow, expect=(r"balloon driver 1\.0", r"WORKLOAD ok .* wrong=0"),
               watcher=lambda machine, timeout, slow: Consumed(machine, timeout, follow))
    yield case("limit", guest("limit"), steps(
        prompt, (r"\[g1\] TOOLS loaded", "balloon g1 80M"), (r"\[g1\] TOOLS gave back", "balloon"),
        (r"backing off", None), (r"\[g1\] TOOLS size 0", "balloon"), (r"disabled", None),
        (r"\[g1\] TOOLS unloaded", "balloon"), (r"g1 +80\.0 +0\.0 .*no driver", "frames"),
        (r"all accounted for", None), (r"\[g1\] WORKLOAD ok .* wrong=0", "poweroff")),
        expect=(r"WORKLOAD ok profile=unique mib=100",))
    yield case("moved", guest("move"), steps(
        prompt, (r"\[g1\] TOOLS ready", "balloon g1 64M"), (r"\[g1\] TOOLS moved [1-9]", "balloon"),
        # Host and guest count the same, and the guest has touched nothing that is in the balloon.
        (r"g1 +64\.0 +64\.0 +64\.0 +\d+\.\d +0 .*\n(.*\n)+?.* balloon=16384$", None), (r"\[g1\] TOOLS verified", "balloon"),
        (r"g1 +64\.0 +64\.0 +64\.0 +\d+\.\d +0 ", "balloon g1 off"), (r"\[g1\] TOOLS unloaded", "frames"),
        (r"all accounted for", None), (r"\[g1\] WORKLOAD ok .*mib=100 .*wrong=0", "poweroff")), timeout=300)
    yield case("restarted", guest("again", "reboot=a"), steps(
        prompt, (r"\[g1\] TOOLS loaded", "balloon g1 80M"), (r"\[g1\] TOOLS size 81920", None),
        (r"g1: reset", None), (r"\[g1\] TOOLS size 81920", "frames"), (r"all accounted for", "poweroff")))
    filled = workload(mib=90, profile="unique", seed=3, ops=2000, wait=1)
    yield from leaving(guest, case, prompt, bare("g2", filled, "100M", pvh, autostart="no"))


def leaving(guest, case, prompt, neighbour):
    """The driver goes, or its guest does, for a while or for another kernel. `neighbour` is promised what is in g1's
    balloon, until a key is pressed."""
    yield case("held", guest("held") + neighbour, steps(
        prompt, (r"\[g1\] TOOLS loaded", "balloon g1 80M"), (r"\[g1\] TOOLS size 81920", "start g2"),
        # In either order.
        (r"\[g1\] TOOLS refused\n(.*\n)*.*\[g2\] WORKLOAD waiting|\[g2\] WORKLOAD waiting\n(.*\n)*.*\[g1\] TOOLS refused",
         "console g2"), (r"-- g2: its last output", None)) + ((r"", "x\x1d"),) + steps(
        prompt, (said_by("g2", r"WORKLOAD ok"), None), (r"\[g1\] TOOLS unloaded", "balloon"),
        (r"g1 +80\.0 +0\.0 .*no driver", None), (r"\[g1\] WORKLOAD ok profile=unique mib=100 .* wrong=0", "frames"),
        (r"all accounted for", "poweroff")), memory=256, timeout=300, expect=(
            r"not suspended: the hypervisor keeps \d+ MiB of the balloon", r"of it promised to others +[1-9]"))
    asleep, awake = r"g1 +80\.0 +0\.0 .* no driver", r"TOOLS resumed"
    sleep = steps(
        prompt, (r"\[g1\] TOOLS loaded", "balloon g1 80M"), (r"\[g1\] TOOLS suspending", None), (asleep, "console g1"),
        (r"-- g1: its last output", None), (awake, None), (r"TOOLS size 81920", None)) + ((r"", "\x1d"),) + steps(
        prompt, (r"detached from g1", "balloon"), (r"g1 +80\.0 +80\.0 .* ok$", "balloon g1 off"),
        (r"\[g1\] TOOLS unloaded", "poweroff"))
    repeated = {asleep: "balloon\r", awake: "x"}
    yield case("suspended", guest("suspend"), sleep, timeout=300, expect=(r"WORKLOAD ok .* wrong=0",),
               watcher=lambda machine, timeout, slow: Repeating(machine, timeout, sleep, repeated))
    # Of what was in the balloon the next kernel uses all, and takes none of it back by that.
    yield case("kexec", guest("kexec", initrd=r"\bellows\kexec.img"), steps(
        prompt, (r"\[g1\] TOOLS loaded", "balloon g1 48M"), (r"\[g1\] TOOLS size 49152", None),
        (r"\[g1\] WORKLOAD ok profile=unique mib=100 .* wrong=0", "balloon"),
        (r"g1 +48\.0 +\d+\.\d +\d+\.\d +\d+\.\d +0 ", None), (r"\[g1\] TOOLS size 49152", None),
        (r"\[g1\] TOOLS kexeced", "frames"), (r"all accounted for", "poweroff")),
        timeout=300, long_on=("bochs",), files={"bellows/kexec.img": machines.BUILD / "guests/kexec.img"})
    # The image was written with the balloon empty, and may be woken up where there is none.
    yield case("hibernated", guest("hibernate", initrd=r"\bellows\hibernate.img", disk="g1"), steps(
        prompt, (r"\[g1\] TOOLS loaded", "balloon g1 80M"), (r"\[g1\] TOOLS size 81920", None),
        (r"g1: powered off", "start g1 bellows.tools=wake"), (r"\[g1\] TOOLS awake", "balloon g1 80M"),
        (r"\[g1\] TOOLS size 81920", "balloon"), (r"g1 +80\.0 +80\.0 .* ok$", "balloon g1 off"),
        (r"\[g1\] WORKLOAD ok .* wrong=0", None), (r"\[g1\] TOOLS unloaded", "frames"),
        (r"all accounted for", "poweroff")), timeout=300,
        long_on=("bochs",), files={"bellows/hibernate.img": machines.BUILD / "guests/hibernate.img"},
        disks=(Disk(name="g1", mib=140, partitions=(("g1", "disk", 128),)),))


def run_stranger(directory):
    """The same kernel and initial RAM disk with no Bellows below: ("passed", "") or ("failed", what to show)."""
    directory.mkdir(parents=True, exist_ok=True)
    guests = machines.BUILD / "guests"
    command = [*machines.DIE_WITH_US, "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max,-la57",
               "-m", "256", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
               "-kernel", guests / "vmlinuz", "-initrd", guests / "initrd.img",
               "-append", "console=ttyS0 quiet cryptomgr.notests bellows.tools=stranger"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=STRANGER_SECONDS, check=False)
        text = done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode(errors="replace") + "\nno end"
    (directory / "serial.log").write_text(text)
    wanted = (r"bellows_balloon: this is no virtual machine of Bellows; staying out",
              r"bellows-guest: this is no virtual machine of Bellows", r"TOOLS stayed out")
    missing = [f"PROBLEM: not seen: {pattern}" for pattern in wanted if not re.search(pattern, text)]
    return ("failed", "\n".join([text, *missing])) if missing or "TOOLS FAIL" in text else ("passed", "")
