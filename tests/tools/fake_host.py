"""A second serial line without a hypervisor: it answers, tells samples whose numbers are known, hangs up, and
speaks nonsense in between, as firmware and lost bytes do."""
import json
import os
import socket
import threading

NOISE = b'\x1b[2JBdsDxe: starting Boot0001\r\n{"bellows":1,"type":"vm","na\n{"bellows":1}\n[1,2]\n\xff\xfe\n'
MIB = 1 << 20


def lines(seq, time_ms, state="high", swap_in=0, balloon_mib=0):
    """One sample: alpha swaps in so many pages until then, beta has a balloon."""
    yield dict(type="host", seq=seq, time_ms=time_ms, dropped=0, state=state, memory_bytes=768 * MIB,
               free_bytes=96 * MIB, min_free_bytes=46 * MIB, promised_bytes=200 * MIB, overhead_bytes=3 * MIB,
               hypervisor_bytes=16 * MIB)
    yield dict(type="vm", seq=seq, name="alpha", state="running", memory_bytes=256 * MIB, granted_bytes=128 * MIB,
               consumed_bytes=100 * MIB, swapped_in=swap_in, waited_ns=seq * 250000000, swap_in_p99_us=512,
               health="oops", finding="sustained swapping", finding_s=75)
    yield dict(type="vm", seq=seq, name="beta", state="running", memory_bytes=512 * MIB, granted_bytes=64 * MIB,
               consumed_bytes=50 * MIB, balloon_bytes=balloon_mib * MIB, health="good", finding="", finding_s=0)
    yield dict(type="end", seq=seq, vms=2)


def text(*samples):
    """Samples as they are on the line, with nonsense around them."""
    out = NOISE
    for sample in samples:
        for one in sample:
            out += json.dumps({"bellows": 1, **one}).encode() + b"\r\n"
        out += NOISE
    return out


def recording(path):
    """Three seconds of a host: alpha reads 256 pages, 1 MiB, in each."""
    path.write_bytes(text(*(lines(seq, 1000 * seq, "soft", 256 * seq, 10 * seq) for seq in (1, 2, 3))))


class FakeHost(threading.Thread):
    """Listens on a socket; tells ten samples a second to who has subscribed."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = str(path)
        self.quit = threading.Event()
        self.hang_up = threading.Event()
        self.asked = []          # requests that were understood
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(1)
        self.server.settimeout(0.1)
        self.seq = 0

    def run(self):
        while not self.quit.is_set():
            try:
                peer, _ = self.server.accept()
            except OSError:
                continue
            try:
                self._serve(peer)
            except OSError:
                pass
            self.hang_up.clear()
            peer.close()

    def _serve(self, peer):
        peer.settimeout(0.1)
        held, subscribed = b"", False
        while not self.quit.is_set() and not self.hang_up.is_set():
            try:
                data = peer.recv(4096)
                if not data:
                    return
                held += data
            except TimeoutError:
                pass
            while b"\n" in held:
                line, held = held.split(b"\n", 1)
                if line:
                    self.asked.append(json.loads(line))
                # The first request is not understood: bytes were lost.
                kind = "hello" if not line else "ok" if len(self.asked) > 1 else "error"
                subscribed = subscribed or kind == "ok"
                peer.sendall(NOISE + b'{"bellows":1,"type":"%s"}\n' % kind.encode())
            if subscribed:
                self.seq += 1
                peer.sendall(text(lines(self.seq, 100 * self.seq, "hard", 256 * self.seq, 20)))

    def end(self):
        self.quit.set()
        self.join()
        self.server.close()
        os.unlink(self.path)
