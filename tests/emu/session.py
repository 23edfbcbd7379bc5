"""One run of a machine, watched: what it prints, what is typed to it, and how it ended.

The hypervisor's own lines decide, and no guest's: those stand behind "[name] ", whatever they say.
"BELLOWS VERDICT ok" or "failed" is its last word before it powers off; "BELLOWS PANIC" ends a run at
once (after its backtrace had time to come out).
"""
import dataclasses
import re
import sys
import time

# A line's beginning that is not a guest's. What stood on the line is erased before a guest's line is
# written there; without the escape sequences that looks like "bellows> vm[g1] text".
OWN = r"^(?!(?:bellows> [^\n]*)?\[[\w.-]+\] )[^\n]*?"
VERDICT = re.compile(OWN + r"BELLOWS VERDICT (ok|failed)", re.M)
PANIC = re.compile(OWN + r"BELLOWS PANIC", re.M)
# A Linux guest that gave up: it says no more, and no test wants one.
GUEST_PANIC = re.compile(r"Kernel panic - not syncing")
# The loader's last words when it cannot or must not start the hypervisor; the firmware goes on after.
REFUSED = re.compile(OWN + r"Bellows was not started", re.M)
BACK_IN_FIRMWARE = re.compile(OWN + r"Bellows was not started(.|\n)*(BdsDxe: |Shell)", re.M)
ESCAPES = re.compile(r"\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9])|[\r\x00]")
SCREEN = re.compile(rb"\x1b\[(2J|=3h|[0-9;]*[Hm])")
BEGUN = re.compile(rb"\x1b(\[[0-9;?=]*)?$")
FIRMWARE_DONE = "BdsDxe: starting"
PIECE = 14               # a serial line's FIFO holds 16 bytes, and Bochs drops what comes beyond
PANIC_SECONDS = 2.0      # for the rest of a panic's report
POWER_OFF_SECONDS = 60.0
WAIT_TIMES = 4           # longer than its allowance of CPU time may a machine take by the clock: others run too
FIRMWARE_SECONDS = 60


@dataclasses.dataclass
class Outcome:
    """`end` is ok, failed, panic, guest-panic, refused (by the loader, and the firmware went on), timeout, stopped
    (the machine ended with no verdict), crashed (the emulator itself did) or until (what the caller waited for)."""
    end: str
    text: str
    seconds: float
    detail: str = ""       # registers and such, where the end was not orderly
    powered_off: bool = False


class Watcher:
    """Follows one machine to its end, for `timeout` seconds of CPU time that its emulator takes. `script`: (regex to
    wait for, then a line to type, None, or what to do with the machine) in order; or instead of a regex a function
    that all text so far is handed to, for what may come before the script gets there."""

    def __init__(self, machine, timeout, script=(), until=None, echo=False, keyboard=None, each_turn=None):
        self.machine = machine
        self.timeout = timeout
        self.script = [(wait if callable(wait) else re.compile(wait, re.M), line) for wait, line in script]
        self.until = re.compile(until, re.M) if until else None
        self.echo = echo
        self.keyboard = keyboard     # a terminal to pass on, or None
        self.each_turn = each_turn   # called all the time, or None
        self.unsent = ""             # of a line, until its beginning has come back
        self.sent = ""
        self.sent_at = 0             # where in the text it may come back
        self.text = ""
        self.seen = 0                # how far the script has consumed the text
        self.held = b""
        self.start = time.monotonic()

    def _take(self, timeout):
        also = (self.keyboard.fileno(),) if self.keyboard else ()
        data = self.machine.read(timeout, also)
        if self.keyboard:
            self.keyboard.pass_on(self.machine)
        if data:
            # An escape sequence may come in two pieces: keep its beginning for the next time.
            data = self.held + data
            begun = BEGUN.search(data)
            self.held = data[begun.start():] if begun else b""
            data = data[:begun.start()] if begun else data
            self.text += ESCAPES.sub("", data.decode("utf-8", errors="replace"))
            if self.echo:
                self._show(data)
        return data

    def _show(self, data):
        # The firmware clears the screen again and again; what stood there may be wanted.
        if not self.keyboard or FIRMWARE_DONE not in self.text:
            data = SCREEN.sub(b"", data)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def _send(self, line):
        """Send a piece of it; the rest goes when what was sent has been read, and so come back."""
        if not self.unsent:
            self.sent, self.sent_at = "", len(self.text)
        self.unsent = line[PIECE:]
        self.sent += line[:PIECE]
        self.machine.write(line[:PIECE].encode())

    def _type(self):
        while self.unsent and self.sent in self.text[self.sent_at:]:
            self._send(self.unsent)
        while self.script and not self.unsent:
            wait = self.script[0][0]
            found = wait(self.text) if callable(wait) else wait.search(self.text, self.seen)
            if not found:
                return
            self.seen = len(self.text) if callable(wait) else found.end()
            line = self.script.pop(0)[1]
            if callable(line):
                line(self.machine)
            elif line is not None:
                self._send(line)

    def _drain(self, seconds, enough=None):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (enough and enough.search(self.text)):
            if not self._take(0.2) and self.machine.has_ended():
                return True
        return self.machine.has_ended()

    def _back_in_firmware(self):
        """Did the loader return? It waits for a key, or some seconds."""
        for _ in range(FIRMWARE_SECONDS):
            self.machine.write(b" ")
            self._drain(1.0, BACK_IN_FIRMWARE)
            if BACK_IN_FIRMWARE.search(self.text) or self.machine.has_ended():
                break
        return BACK_IN_FIRMWARE.search(self.text)

    def _is_late(self):
        return self.timeout and (self.machine.cpu_seconds() > self.timeout or
                                 time.monotonic() - self.start > self.timeout * WAIT_TIMES)

    def _outcome(self, end, detail=""):
        return Outcome(end, self.text, time.monotonic() - self.start, detail, self.machine.has_ended())

    def problems(self):
        """What a watcher that does more than this one found wrong, as lines."""
        return []

    def run(self):
        while True:
            data = self._take(0.5)
            self._type()
            if self.each_turn:
                self.each_turn()
            if PANIC.search(self.text):
                self._drain(PANIC_SECONDS)
                return self._outcome("panic")
            if GUEST_PANIC.search(self.text) and not self.keyboard:
                self._drain(PANIC_SECONDS)
                return self._outcome("guest-panic")
            verdict = VERDICT.search(self.text)
            if verdict:
                self._drain(POWER_OFF_SECONDS)
                return self._outcome(verdict[1])
            if REFUSED.search(self.text):
                return self._outcome("refused" if self._back_in_firmware() else "timeout")
            if self.until and not self.script and self.until.search(self.text, self.seen):
                return self._outcome("until")
            if not data and self.machine.has_ended():
                killed = self.machine.killed_by()
                if killed:
                    return self._outcome("crashed", f"the emulator died of {killed}\n{self.machine.describe()}")
                return self._outcome("stopped", self.machine.describe())
            if self.keyboard and self.keyboard.wants_out:
                return self._outcome("stopped")
            if self._is_late():
                waiting = f"still waiting for {self.script[0][0]}\n" if self.script else ""
                return self._outcome("timeout", waiting + self.machine.describe())
