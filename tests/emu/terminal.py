"""make run as a person at a terminal, and as a script without one, has it: what it says, what it exits with."""
import os
import pty
import re
import select
import subprocess
import sys
import time


BOOT_SECONDS = 300
ANSWER_SECONDS = 120
COMMAND = (sys.executable, "tests/emu/run.py", "--target", "tcg")
BAD = r"""[host]
[vm g1]
memory = 16M
kernel = \bellows\bare.img
cmdline = bellows.bare=triple
"""


class Problem(Exception):
    pass


class Person:
    """A terminal, what is on it, and keys for it."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text, self.seen = "", 0

    def wait_for(self, pattern, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.compile(pattern, re.M).search(self.text, self.seen)
            if found:
                self.seen = found.end()
                return
            if select.select([self.master], [], [], 0.5)[0]:
                try:
                    data = os.read(self.master, 65536)
                except OSError:  # the other end has gone
                    break
                self.text += re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]|[\r\x00]", "", data.decode(errors="replace"))
        raise Problem(f"not on the terminal within {seconds} s: {pattern}")

    def type(self, text):
        os.write(self.master, text.encode())

    def status(self):
        """What it exited with, once it has."""
        self.wait_for(r"^run: .*log: ", ANSWER_SECONDS)
        return self.process.wait(ANSWER_SECONDS)

    def leave(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def at_a_terminal(end_it):
    """Its console is there, and answers; `end_it` ends it, with status 0."""
    person = Person(COMMAND)
    try:
        person.wait_for(r"^run: QEMU TCG, .*MiB", ANSWER_SECONDS)
        person.wait_for(r"type help there", ANSWER_SECONDS)
        person.wait_for(r"^bellows> ", BOOT_SECONDS)
        person.type("help\r")
        person.wait_for(r"^ +memtop +", ANSWER_SECONDS)
        end_it(person)
        status = person.status()
        return [] if status == 0 else [f"exit status {status} at a terminal"]
    except Problem as problem:
        return [person.text[-3000:], str(problem)]
    finally:
        person.leave()


def power_off(person):
    person.type("\r")
    person.wait_for(r"^bellows> ", ANSWER_SECONDS)
    person.type("poweroff\r")


def without_a_terminal(config):
    """The exit status is not 0 where a guest ended badly, and the last lines say which."""
    done = subprocess.run([*COMMAND, "--config", config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=BOOT_SECONDS, check=False)
    text = done.stdout.decode(errors="replace").replace("\r", "")
    problems = []
    if done.returncode != 1:
        problems.append(f"exit status {done.returncode}, not 1, for a guest that ended badly")
    if not re.search(r"^g1 .*verdict stopped: .*triple fault(.|\n)*^BELLOWS VERDICT failed(.|\n)*^run: failed", text,
                     re.M):
        problems.append(text[-3000:] + "\nno summary that says so")
    return problems


def run(directory):
    """("passed", "") or ("failed", what to show)."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "bad.conf"
    config.write_text(BAD)
    problems = without_a_terminal(config)
    problems += at_a_terminal(power_off)
    problems += at_a_terminal(lambda person: person.type("\x01x"))
    return ("failed", "\n".join(problems)) if problems else ("passed", "")
