"""Runs the conformance suites of the ports over the AWS adapters, against an emulator of their own."""

import os
import subprocess
import sys

from cfn import ROOT
from world import Emulator


def main():
    emulator = Emulator()
    environment = {**os.environ, "POSTROOM_TEST_AWS": emulator.url}
    cargo = os.environ.get("CARGO", "cargo")
    # With --workspace it is the program that `make test` built.
    command = [cargo, "test", "--locked", "--workspace", "--test", "aws_conformance"]
    return subprocess.run(command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
