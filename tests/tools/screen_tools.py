"""A program in a terminal that nobody sees: tmux. Waits for what is on the screen, types, looks."""
import os
import re
import subprocess
import time


class Terminal:
    """Use as a context manager: leaving it ends the program and its tmux, and no other."""

    def __init__(self, directory, command, columns=230, rows=20):
        self.socket = os.path.relpath(directory / "tmux")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                   f"LC_ALL=C.UTF-8 {command}; echo it ended with $?; exec sleep 600")

    def _tmux(self, *words):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                              env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout

    def screen(self):
        return self._tmux("capture-pane", "-p")

    def wait_for(self, pattern, seconds):
        end = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if re.search(pattern, screen, re.M):
                return screen
            if time.monotonic() > end:
                raise AssertionError(f"not on the screen within {seconds} s: {pattern}\n{screen}")
            time.sleep(0.1)

    def type(self, *keys):
        self._tmux("send-keys", *keys)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tmux("kill-server")
