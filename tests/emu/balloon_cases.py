"""Cases of the balloon: memory goes to another VM and comes back, and the rest of the guest's stays as it is."""

from steps import ENDED, press

# Page sharing is off where consumed memory is looked at, for it would find pages to give up meanwhile.
UNSHARED = {"sched.mem.pshare.enable": "no"}
# memtop's CNSM of a VM of 64 MiB that uses all of them, of which so many are in its balloon: within 1 MiB.
ALL_CONSUMED, WITHOUT_20, WITHOUT_6 = r"64\.0", r"(43\.\d|44\.\d|45\.0)", r"(57\.\d|58\.\d|59\.0)"


def consumed(prompt, what):
    """Steps that look at g1 in memtop."""
    return (prompt, "memtop\r"), (rf"g1 +64\.0 +\d+\.\d +{what} ", "\r")


def reached(pages):
    return rf"\[g1\] BALLOON size={pages} of target={pages} large=\d+ interrupts=1"


def cases(host, bare, workload, pvh, well, prompt, panic):
    """The cases, as arguments of cases.Case; the parts that all cases are made of are handed in."""
    bad = (panic, "BALLOON FAIL")
    yield dict(
        name="balloon", verdict="stopped", forbid=bad, expect=(r"\[n1\] WORKLOAD ok", "^powering off"),
        config=host(autostop="no") + bare("g1", "balloon", "64M", pvh, **UNSHARED) + bare("n1", well, "32M", pvh),
        # By the driver's hello it has written to all pages.
        script=((r"g1: balloon driver", "\r"), *consumed(prompt, ALL_CONSUMED), (prompt, "balloon g1 20M\r"),
                (reached(5120), "\r"), (prompt, "balloon\r"), (r"g1 +20\.0 +20\.0 +20\.0 +41\.\d .* ok", "\r"),
                *consumed(prompt, WITHOUT_20), (prompt, "balloon g1 63M\r"),
                (r"takes 41\.\d MiB at most: sched\.mem\.maxmemctl", None), (reached(10649), "\r"),
                (prompt, "balloon\r"), (r"at maximum \(sched\.mem\.maxmemctl\)", "\r"),
                (prompt, "balloon g1 6M\r"), (reached(1536), "\r"), *consumed(prompt, WITHOUT_6),
                (prompt, "reset g1\r"), (r"g1: reset", None), (reached(1536), "\r"),
                (prompt, "balloon g1 off\r"), (r"\[g1\] WORKLOAD ok profile=balloon", "\r"),
                (prompt, "frames\r"), (r"all accounted for", None), (prompt, "poweroff\r")))
    yield dict(
        name="balloon-makes-room", verdict="stopped", forbid=bad, expect=("^powering off",),
        config=host(autostop="no") + bare("g1", "balloon", "450M", pvh) +
        bare("g2", well, "400M", pvh, autostart="no"),
        script=((r"\[g1\] BELLOWS-GUEST up", "\r"), (prompt, "start g2\r"), (r"g2 was not started: it needs", "\r"),
                (prompt, "balloon g1 200M\r"), (reached(51200), "\r"), (prompt, "start g2\r"),
                (r"g2: started", None), (r"\[g2\] WORKLOAD ok", "\r"), (prompt, "balloon g1 off\r"),
                (r"\[g1\] WORKLOAD ok profile=balloon", "\r"), (prompt, "poweroff\r")))
    # What one VM gave up and another was promised comes back only when that one has ended, whatever is asked for.
    filled = workload(mib=120, profile="unique", seed=3, ops=2000, wait=1)
    yield dict(
        name="balloon-keeps-promises", verdict="stopped", memory=256, forbid=bad, expect=("^powering off",),
        config=host(autostop="no") + bare("g1", "balloon", "180M", pvh) +
        bare("g2", filled, "130M", pvh, autostart="no"),
        script=((r"g1: balloon driver", "\r"), (prompt, "balloon g1 100M\r"), (reached(25600), "\r"),
                (prompt, "start g2\r"), (r"g2: started", "\r"), (prompt, "balloon g1 off\r"),
                (r"g1: its balloon cannot fall below \d+\.\d MiB now", None), (r"\[g2\] WORKLOAD waiting", "\r"),
                (prompt, "balloon\r"), (r"g1 .* held, its memory is promised to others", "\r"),
                *press(prompt, "g2", ENDED), (r"\[g1\] WORKLOAD ok profile=balloon", "\r"), (prompt, "poweroff\r")))
    # And who simply uses what he gave away is out of memory, as nothing of his can be compressed; the other finds
    # what he was promised.
    yield dict(
        name="balloon-broken-faith", verdict="failed", memory=256, forbid=bad,
        config=host(**{"Mem.MemZipEnable": 0}) + bare("g1", "balloon-taker", "180M", pvh) + bare("g2", filled, "130M", pvh, autostart="no"),
        script=((r"g1: balloon driver", "\r"), (prompt, "balloon g1 100M\r"), (r"BALLOON waiting", "\r"),
                (prompt, "start g2\r"), (r"\[g2\] WORKLOAD waiting", "\r"),
                *press(prompt, "g1", r"g1: stopped: the host has no free memory for it"), *press(prompt, "g2")),
        expect=(r"^g1 .*verdict stopped: the host has no free memory for it", r"^g2 .*verdict ok"))
    # What an administrator must tell apart. Each driver is idle for longer than it may be.
    yield dict(
        name="balloon-statuses", verdict="stopped", forbid=bad, expect=("^powering off",),
        config=host(autostop="no") + "".join(bare(name, f"balloon-{name}", "64M", pvh)
                                             for name in ("mute", "slow", "disabled")) + bare("none", "spin"),
        script=((r"slow: balloon driver", "\r"), (prompt, "balloon slow 8M\r"),
                (r"(?:\[slow\] BALLOON idle for long(?:.|\n)*?){2}", "\r"), (prompt, "balloon\r"),
                (r"mute .* not responding for \d\d+ s", None), (r"slow .* too slow for \d\d+ s", None),
                (r"disabled .* disabled in the guest", None), (r"none .* no driver", "\r"),
                (prompt, "poweroff\r")))
    # A driver that lies in all ways.
    yield dict(
        name="balloon-liar", forbid=(panic, "LIAR FAIL"), expect=(r"WORKLOAD ok profile=balloon-liar",),
        config=host() + bare("bad", "balloon-liar", "32M", pvh) + bare("good", well, "32M", pvh))
