"""Cases of the balloon: memory goes to another VM and comes back, and the rest of the guest's stays as it is."""

# Page sharing is off where consumed memory is looked at, for it would find pages to give up meanwhile.
UNSHARED = {"sched.mem.pshare.enable": "no"}
# memtop's CNSM of a VM of 64 MiB that uses all of them, of which so many are in its balloon: within 1 MiB.
ALL_CONSUMED, WITHOUT_20, WITHOUT_6 = r"64\.0", r"(43\.\d|44\.\d|45\.0)", r"(57\.\d|58\.\d|59\.0)"


def consumed(prompt, what):
    """Steps that look at g1 in memtop."""
    return (prompt, "memtop\r"), (rf"g1 +64\.0 +{what} ", "\r")


def reached(pages):
    return rf"\[g1\] BALLOON size={pages} of target={pages} large=\d+ interrupts=1"


def cases(host, bare, pvh, well, prompt, panic):
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
    # A driver that lies in all ways.
    yield dict(
        name="balloon-liar", forbid=(panic, "LIAR FAIL"), expect=(r"WORKLOAD ok profile=balloon-liar",),
        config=host() + bare("bad", "balloon-liar", "32M", pvh) + bare("good", well, "32M", pvh))
