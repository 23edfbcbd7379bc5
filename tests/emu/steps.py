"""Steps of scripts (session.Watcher) that many cases take: a line at the prompt, a key for a guest.

While the console is attached to a guest, its lines stand there without its name before them; and a guest may have
said all that it has to say before the key that leaves the console arrives."""
import re

ENDED = r"WORKLOAD (ok|FAIL) .*\n"


def typed(prompt, line):
    """Steps that type a line at the prompt, in pieces that a serial line's FIFO holds."""
    pieces = [line[at:at + 12] for at in range(0, len(line), 12)]
    return tuple(zip((prompt, *(re.escape(piece) for piece in pieces)), (*pieces, "\r")))


def press(prompt, name, until=""):
    """Steps that press a key in a guest's console and leave that: at once, or when `until` has been seen, there or of the
    hypervisor. What is seen there first is the guest's last output, perhaps of a run before; and no other guest's."""
    attached = rf"-- {name}: its last output"
    keys = ((attached, "x"), (until, "\x1d")) if until else ((attached, "x\x1d"),)
    return (*typed(prompt, f"console {name}"), *keys, (rf"detached from {name}", "\r"))


def said_by(name, what):
    """What matches a guest's words, whether or not the console was attached to it."""
    return rf"(?:^|\[{name}\] ){what}"
