"""Programs the tests start: on free loopback ports, logs kept, ended by their own id when the tests end."""

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from cfn import ROOT

TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
AWS = TARGET / "aws"
LOGS = AWS / "logs"


# Whoever ends the tests ends what they started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class NotInTime(Exception):
    """Something did not happen within the time it was given."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def clean_environment(**more):
    """What a program needs of ours, and no setting of whoever runs the tests: functions inherit it from the emulator."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "CARGO_HOME", "RUSTUP_HOME", "SSL_CERT_FILE") if name in os.environ}
    return kept | more


def start(name, command, environment, **more):
    """Starts a program in a process group of its own, and ends the group with the tests."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with open(LOGS / f"{name}.log", "wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=log,
            stdout=more.get("stdout", log),
            start_new_session=True,
        )
    atexit.register(stop, process)
    return process


def stop(process):
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(10)
                break
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break


def wait_for(what, found, seconds, every=0.5):
    """The first answer that is not false; `what` is what was waited for, in words."""
    end = time.monotonic() + seconds
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() > end:
            raise NotInTime(f"{what}: not within {seconds} s (logs are in {LOGS})")
        time.sleep(every)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def run(name, command, environment, seconds, cwd=ROOT):
    """Runs a program to its end; its output is in the log, and in the error if it fails."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{name}.log"
    with open(path, "wb") as log:
        done = subprocess.run(
            [str(part) for part in command], env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=seconds, check=False
        )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{path.read_text()[-4000:]}")


def descendants(parent):
    """Every process below one of ours: (id, its environment)."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
            except OSError:
                continue
    found, open_ = [], [parent]
    while open_:
        for child in children.get(open_.pop(), []):
            open_.append(child)
            try:
                pairs = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            found.append((child, dict(pair.decode(errors="replace").split("=", 1) for pair in pairs if b"=" in pair)))
    return found
