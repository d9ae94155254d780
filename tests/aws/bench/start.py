"""From the start of the process to the first poll of the Runtime API: zip size, CPU, wall, memory, where it looks for."""

import io
import os
import signal
import statistics
import subprocess
import zipfile
from pathlib import Path

from alone import SETTINGS
from front import Front, authority
from lambda_host import Sandbox, quota

TIMES = 20
# The share of one CPU that a function of 128 MB has.
PERCENT = 7


def zipped(path):
    """Size of the zip that is uploaded, in MB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "bootstrap")
    return len(packed.getvalue()) / 1e6


def started(command, environment, log, group=None):
    """Medians over some starts: seconds of wall and CPU, peak memory in MB."""
    wall, cpu, peak = [], [], []
    # The first start pages the file in.
    Sandbox(command, environment, log).end()
    for _ in range(TIMES if group is None else TIMES // 2):
        sandbox = Sandbox(command, environment, log, group)
        peak.append(sandbox.peak())
        cpu.append(sandbox.end())
        wall.append(sandbox.ready)
    return tuple(statistics.median(values) for values in (wall, cpu, peak))


def looked_for(command, environment, log):
    """Every address the process connects to until its first poll, as strace sees it; None where there is no strace."""
    trace = Path(f"{log}.connects")
    try:
        subprocess.run(["strace", "-V"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        sandbox = Sandbox(["strace", "-f", "-e", "trace=connect", "-o", trace, *command], environment, log)
    except (OSError, subprocess.CalledProcessError, RuntimeError):
        return None
    # strace ends with what it watches.
    for child in Path(f"/proc/{sandbox.process.pid}/task/{sandbox.process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    sandbox.end()
    found = set()
    for line in trace.read_text().splitlines():
        if "connect(" in line and "sin_addr" in line:
            found.add(line.split('inet_addr("')[1].split('"')[0])
    return found


def measure(functions, beside, scratch, log):
    """A row per function and one for Python's: dictionaries."""
    ca, tls = authority(scratch)
    plain, sealed = Front(), Front(tls=tls)
    rows = []
    with quota(PERCENT) as group:
        for name, command in [*functions, ("python", beside)]:
            # Python's clients are made without a call, so there is no handshake to tell apart.
            without = {**SETTINGS, "AWS_ENDPOINT_URL": plain.url}
            row = {"name": name, "zip": zipped(command[0]) if name != "python" else None}
            row["wall"], row["cpu"], row["peak"] = started(command, without, log)
            row["slow"] = started(command, without, log, group)[0] if group else None
            if name != "python":
                over = {**SETTINGS, "AWS_ENDPOINT_URL": sealed.url, "POSTROOM_CA_FILE": str(ca)}
                _, cpu, row["peak"] = started(command, over, log)
                row["handshake"] = cpu - row["cpu"]
                row["slow_tls"] = started(command, over, log, group)[0] if group else None
                row["seen"] = looked_for(command, without, log)
            rows.append(row)
    plain.close()
    sealed.close()
    return rows
