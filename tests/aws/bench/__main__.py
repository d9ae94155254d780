"""Measures and prints tables in Markdown. Nothing here is a test: nothing fails because a machine is slow."""

import argparse
import json
import sys
from pathlib import Path

import artifacts
from processes import AWS, LOGS
from world import BUILD

from . import runs, start


def milliseconds(seconds):
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def table(head, rows):
    print(f"| {' | '.join(head)} |")
    print("|" + "---|" * len(head))
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def of_start(rows):
    beside = next(row for row in rows if row["name"] == "python")
    told = []
    for row in rows:
        ours = row["name"] != "python"
        elsewhere = None if not ours or row["seen"] is None else sorted(row["seen"] - {"127.0.0.1"})
        told.append([
            row["name"] if ours else "Python with boto3 and msal",
            f"{row['zip']:.1f}" if ours else "-",
            milliseconds(row["cpu"]), milliseconds(row["wall"]), f"{row['peak']:.0f}",
            milliseconds(row.get("handshake")), milliseconds(row["slow"]), milliseconds(row.get("slow_tls")),
            f"1/{beside['cpu'] / row['cpu']:.0f}" if ours else "1",
            "not looked" if ours and elsewhere is None else ", ".join(elsewhere or []) or "none",
        ])
    table([
        "function", "zip MB", "CPU ms", "wall ms", "peak MB", "first TLS handshake, CPU ms", f"wall ms at {start.PERCENT} %", "with TLS",
        "CPU, Python = 1", "connects besides AWS",
    ], told)


def of_runs(rows):
    def counted(calls):
        return ", ".join(f"{count} {name}" for name, count in calls.items()) or "none"

    table(
        ["run", "wall ms", "CPU ms", "peak MB", "requests to Microsoft", "calls to AWS"],
        [
            [name, milliseconds(row["wall"]), milliseconds(row["cpu"]), f"{row['peak']:.0f}", counted(row["microsoft"]), f"{sum(row['aws'].values())}: {counted(row['aws'])}"]
            for name, row in rows.items()
        ],
    )


def main():
    parser = argparse.ArgumentParser(prog="make bench-lambda")
    parser.add_argument("--build", type=Path, default=BUILD, help="where SAM built the functions")
    parser.add_argument("--only", choices=["start", "runs"])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    functions = [(name, [asked.build / resource / "bootstrap"]) for resource, name in artifacts.functions().items()]
    missing = [str(command[0]) for _, command in functions if not command[0].exists()]
    if missing:
        sys.exit(f"not built: {', '.join(missing)}")
    beside = [AWS / "beside/bin/python", Path(__file__).parent / "beside.py"]
    LOGS.mkdir(parents=True, exist_ok=True)
    for name, measure, tell in (
        ("start", lambda: start.measure(functions, beside, AWS / "scratch/bench", LOGS / "bench-start.log"), of_start),
        ("runs", lambda: runs.measure(functions, beside), of_runs),
    ):
        if asked.only in (None, name):
            found = measure()
            print(json.dumps(found, default=sorted)) if asked.json else tell(found)


if __name__ == "__main__":
    main()
