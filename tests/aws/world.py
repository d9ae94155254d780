"""The world of the tests: MiniStack with IAM enforced, the simulated Microsoft, and the stack as SAM deploys it.

MiniStack is bound to loopback here (BIND_HOST); by itself it would listen on all addresses. The key `test` is its root.
"""

import functools
import json
import subprocess
import threading
import urllib.request

import boto3
from botocore.config import Config

from processes import AWS, LOGS, TARGET, answers, clean_environment, free_port, run, start, wait_for

REGION = "us-east-1"
STACK = "postroom-test"
ROOT_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
BUILD = AWS / "sam"


class Emulator:
    """MiniStack; several may run at a time, under names of their own."""

    def __init__(self, name="ministack"):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        scratch = AWS / "scratch" / name
        scratch.mkdir(parents=True, exist_ok=True)
        environment = clean_environment(
            GATEWAY_PORT=str(self.port),
            BIND_HOST="127.0.0.1",
            AUTH="true",
            # Functions that are processes take it from here; without it they would look for AWS itself.
            AWS_ENDPOINT_URL=self.url,
            # Listeners of its own on all addresses.
            IOT_MTLS_ENABLED="0",
            SFTP_ENABLED="0",
            MINISTACK_REGION=REGION,
            S3_DATA_DIR=str(scratch / "s3"),
            STATE_DIR=str(scratch / "state"),
            TMPDIR=str(scratch),
        )
        self.process = start(name, [AWS / "emulator/bin/ministack"], environment)
        wait_for("MiniStack answers", lambda: answers(f"{self.url}/_ministack/health"), 60)

    @functools.cache
    def client(self, service, key="test", secret="test", token=None):
        """A client under some keys, the root's by default. It retries nothing: a refusal is an answer."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=900, s3={"addressing_style": "path"}),
        )

    def environment(self):
        """For the AWS tools."""
        return clean_environment(
            AWS_ENDPOINT_URL=self.url,
            AWS_DEFAULT_REGION=REGION,
            AWS_REGION=REGION,
            SAM_CLI_TELEMETRY="0",
            SAM_CLI_TELEMETRY_TIMEOUT="1",
            AWS_EC2_METADATA_DISABLED="true",
            **ROOT_KEYS,
        )


class Simulator:
    """The simulated Microsoft, as a program of its own."""

    def __init__(self, mailboxes, name="simulator"):
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        command = [TARGET / "debug/simulator", "--listen", f"127.0.0.1:{self.port}", "--json", "--messages", "0"]
        for address in mailboxes:
            command += ["--mailbox", address]
        self.process = start(name, command, clean_environment(), stdout=subprocess.PIPE)
        # One JSON value, then nothing more; read to its end so that the pipe never fills.
        lines, told = [], threading.Event()

        def read():
            for line in self.process.stdout:
                lines.append(line)
                try:
                    self.told = json.loads(b"".join(lines))
                    told.set()
                except ValueError:
                    continue

        threading.Thread(target=read, daemon=True).start()
        if not told.wait(30):
            raise RuntimeError(f"the simulator said nothing (see {LOGS}/{name}.log)")

    def ask(self, what):
        with urllib.request.urlopen(f"{self.origin}/_control/{what}", timeout=30) as answer:
            return json.load(answer)

    def requests(self, kind):
        """How many requests of a kind came so far."""
        return self.ask("stats")["byKind"].get(kind, 0)

    def act(self, name, **body):
        request = urllib.request.Request(
            f"{self.origin}/_control/{name}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None


class Deployment:
    """The stack, deployed by the real SAM CLI."""

    def __init__(self, emulator, parameters):
        self.emulator = emulator
        emulator.client("s3").create_bucket(Bucket="sam-artifacts")
        self.deploy(parameters)

    def deploy(self, parameters, name="sam-deploy"):
        command = [
            AWS / "build/bin/sam", "deploy", "--template-file", BUILD / "template.yaml", "--stack-name", STACK, "--s3-bucket", "sam-artifacts",
            "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-progressbar", "--region", REGION, "--config-file", AWS / "none.toml",
            "--parameter-overrides", *[f'{key}="{value}"' for key, value in parameters.items()],
        ]
        (AWS / "none.toml").write_text("version = 0.1\n")
        run(name, command, self.emulator.environment(), 300)
        self.parameters = parameters
        stack = self.emulator.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        arrived = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}
        if wrong := {key: arrived.get(key) for key, value in parameters.items() if arrived.get(key) != value}:
            raise AssertionError(f"parameters arrived as {wrong}")
        self.outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}

    def resources(self):
        """Logical name -> physical id."""
        pages = self.emulator.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
        return {r["LogicalResourceId"]: r["PhysicalResourceId"] for page in pages for r in page["StackResourceSummaries"]}
