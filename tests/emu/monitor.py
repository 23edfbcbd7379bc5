"""The second serial line of a machine, from a program's side: README, "The second serial line"."""
import json
import os
import select
import socket
import time

PIECE = 14               # Bochs drops what a FIFO of 16 bytes does not hold
PIECE_SECONDS = 0.03    # in which even a slow Bochs has read it


class Silence(Exception):
    pass


class Line:
    """Sends requests, reads answers. What is no JSON of Bellows' (the firmware's words) is passed over."""

    def __init__(self, machine):
        self.machine = machine
        self.held = b""
        if machine.spec.target == "bochs":
            self.reader = self.writer = machine.second
        else:
            self.socket = self._connect(machine.monitor_path())
            self.reader = self.writer = self.socket.fileno()

    def _connect(self, path):
        """QEMU makes its socket some time after its start."""
        while True:
            line = socket.socket(socket.AF_UNIX)
            try:
                line.connect(path)
                return line
            except OSError:
                line.close()
                if self.machine.has_ended():
                    raise
                time.sleep(0.1)

    def close(self):
        """For who else wants the line: QEMU serves one at a time."""
        self.socket.close()

    def send(self, data):
        data = data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n"
        for at in range(0, len(data), PIECE):
            os.write(self.writer, data[at:at + PIECE])
            if self.machine.spec.target == "bochs":
                time.sleep(PIECE_SECONDS)

    def _line(self, end):
        while b"\n" not in self.held:
            ready = select.select([self.reader], [], [], max(end - time.monotonic(), 0))[0]
            if not ready:
                return None
            data = os.read(self.reader, 65536)
            if not data:
                return None
            self.held += data
        line, self.held = self.held.split(b"\n", 1)
        return line

    def read(self, seconds):
        """The next object."""
        end = time.monotonic() + seconds
        while True:
            line = self._line(end)
            if line is None:
                raise Silence(f"no answer within {seconds} s")
            at = line.find(b'{"bellows"')
            if at >= 0:
                return json.loads(line[at:])

    def read_type(self, kinds, seconds):
        end = time.monotonic() + seconds
        while True:
            one = self.read(max(end - time.monotonic(), 0.1))
            if one["type"] in kinds:
                return one

    def hello(self, seconds):
        """Until the hypervisor answers: it may still have to boot."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(b"\n")
            try:
                return self.read_type(("hello",), 1)
            except Silence:
                continue
        raise Silence(f"no hello within {seconds} s")

    def request(self, data, kinds, seconds):
        """Send, and return the first answer of these kinds; what was lost on the way is sent again."""
        self.send(data)
        while True:
            one = self.read_type((*kinds, "error"), seconds)
            if "bytes were lost" in one.get("error", ""):
                self.hello(seconds)
                self.send(data)
            elif one["type"] in kinds:
                return one
            else:
                raise ValueError(one["error"])

    def command(self, text, seconds, number=1):
        """What the command printed."""
        one = self.request({"id": number, "command": text}, ("output", "done"), seconds)
        out = ""
        while one["type"] != "done":
            if one.get("id") != str(number):
                raise ValueError(f"an answer to something else: {one}")
            out += one["text"]
            one = self.read_type(("output", "done"), seconds)
        return out

    def sample(self, seconds):
        """The next whole sample: (the host, its VMs)."""
        end = time.monotonic() + seconds
        host, vms = None, []
        while True:
            one = self.read(max(end - time.monotonic(), 0.1))
            if one["type"] == "host":
                host, vms = one, []
            elif one["type"] == "vm" and host and one["seq"] == host["seq"]:
                vms.append(one)
            elif one["type"] == "end" and host and one["seq"] == host["seq"] and one["vms"] == len(vms):
                return host, vms
