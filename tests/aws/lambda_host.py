"""The Runtime API on loopback, for one process: what Lambda is to a bootstrap, with a clock at the first poll.

A bootstrap polls `/next` for an event and posts what came of it. Time and CPU are the kernel's own: CPU of a process that
ended is what `wait4` says, of a living one the sum over its threads' `schedstat`.
"""

import contextlib
import json
import os
import queue
import resource
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu")


class Server(ThreadingHTTPServer):
    """A server whose callers are ended in the middle of a connection."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        """Nobody is there any more who could be answered."""


class Answering(BaseHTTPRequestHandler):
    """Keeps connections, and sends an answer in one piece: two would wait 40 ms for each other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass


class RuntimeApi:
    """One sandbox's Runtime API."""

    def __init__(self):
        self.events, self.answers = queue.Queue(), queue.Queue()
        self.polled, self.polled_at = threading.Event(), None
        host = self

        class Handler(Answering):
            def do_GET(self):
                host.polled_at = host.polled_at or time.monotonic()
                host.polled.set()
                number, event, seconds = host.events.get()
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", f"bench-{number}")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + seconds) * 1000)))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:bench")
                self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = read_chunks(self.rfile)
                host.answers.put((time.monotonic(), self.path.rsplit("/", 1)[1], body))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def read_chunks(stream):
    parts = []
    while True:
        size = int(stream.readline().split(b";")[0], 16)
        parts.append(stream.read(size))
        stream.readline()
        if size == 0:
            return b"".join(parts)


class Sandbox:
    """A bootstrap at work."""

    def __init__(self, command, environment, log, group=None, writes_files=True):
        self.runtime = RuntimeApi()
        self.numbers = 0
        self.once = threading.Lock()
        with open(log, "ab") as out, of_group(group):
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                [str(part) for part in command],
                env={**environment, "AWS_LAMBDA_RUNTIME_API": self.runtime.address},
                stdin=subprocess.DEVNULL, stdout=out if writes_files else subprocess.PIPE, stderr=subprocess.STDOUT,
                preexec_fn=None if writes_files else forbid_files,
            )
        if not writes_files:
            threading.Thread(target=keep, args=(self.process.stdout, log), daemon=True).start()
        if not self.runtime.polled.wait(120):
            self.end()
            raise RuntimeError(f"{command}: no first poll within 120 s; see {log}")
        self.ready = self.runtime.polled_at - self.began

    def peak(self):
        """The most resident memory so far, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def cpu(self):
        """CPU seconds of its living threads."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def call(self, event, seconds=300):
        """Hands it an event: (what it answered, seconds it took, seconds of CPU)."""
        with self.once:
            self.numbers += 1
            before, began = self.cpu(), time.monotonic()
            self.runtime.events.put((self.numbers, event, seconds))
            at, kind, body = self.runtime.answers.get(timeout=seconds)
            if kind != "response":
                raise RuntimeError(f"the invocation failed: {body.decode(errors='replace')[:2000]}")
            return json.loads(body), at - began, self.cpu() - before

    def end(self):
        """Ends it: seconds of CPU in all."""
        if self.process.returncode is None:
            # Not by `send_signal`: that one looks first, and takes the end of a process that is over already, with what it used.
            os.kill(self.process.pid, signal.SIGKILL)
            _, _, used = os.wait4(self.process.pid, 0)
            self.process.returncode = -signal.SIGKILL
            self.runtime.close()
            return used.ru_utime + used.ru_stime
        return None


def forbid_files():
    """A byte written into any file, wherever it is, is the end of the process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def keep(pipe, log):
    with pipe, open(log, "ab") as out:
        for line in pipe:
            out.write(line)
            out.flush()


@contextlib.contextmanager
def of_group(group):
    """A process that is started here is born into a control group."""
    if group is None:
        yield
        return
    # A child is born where the thread is that starts it; nothing is run between the two.
    own = str(threading.get_native_id())
    (group / "tasks").write_text(own)
    try:
        yield
    finally:
        (QUOTA / "tasks").write_text(own)


@contextlib.contextmanager
def quota(percent):
    """A control group with so much of one CPU; None where it cannot be made."""
    group = QUOTA / f"postroom-bench-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text(str(percent * 1000))
    except OSError:
        yield None
        return
    try:
        yield group
    finally:
        # It is gone when the last of its processes is.
        for _ in range(50):
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)
