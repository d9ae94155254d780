"""The one stage all scenarios play on: made once, on first use."""

import functools
import io
import json
import zipfile
from pathlib import Path

from botocore.exceptions import ClientError

from world import REGION, STACK, Deployment, Emulator, Simulator

DESK = "desk@harbour-homes.example"
YARD = "yard@harbour-homes.example"
BACKLOG = "backlog@harbour-homes.example"
# Entra takes https only; nothing is sent there.
PUBLIC_URL = "https://post.harbour-homes.example"


class Stage:
    """Emulator, simulator and the deployed stack."""

    def __init__(self):
        self.name = STACK
        self.emulator = Emulator()
        self.simulator = Simulator([DESK, YARD, BACKLOG])
        self.parameters = {
            "PublicUrl": PUBLIC_URL,
            "TrustedEndpoints": self.simulator.origin,
            "WatchSchedule": "rate(1 minute)",
            "TokenRefreshSchedule": "rate(1 minute)",
            "ImporterSeconds": "60",
        }
        self.deployment = Deployment(self.emulator, self.parameters)
        self.resources = self.deployment.resources()
        self.outputs = self.deployment.outputs
        self.without_tls = self.read_archive_without_tls()
        self.mend_what_the_emulator_misreads()

    def read_archive_without_tls(self):
        """The word with which the archive refuses its own importer over plain http, which the emulator speaks."""
        self.importer_keys = self.keys_of("Importer")
        try:
            self.emulator.client("s3", *self.importer_keys).list_objects_v2(Bucket=self.outputs["ArchiveBucket"])
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    def mend_what_the_emulator_misreads(self):
        """Two things that are right on AWS and cannot be so here; test_rules.py holds the template to both."""
        root = self.emulator.client
        # The policy that refuses plain http has been seen to refuse; from here on everything speaks http.
        root("s3").delete_bucket_policy(Bucket=self.outputs["ArchiveBucket"])
        # The emulator takes every schedule for one of the group `default` when it asks IAM.
        statement = {
            "Effect": "Allow",
            "Action": ["scheduler:GetSchedule", "scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"],
            "Resource": f"arn:aws:scheduler:{REGION}:000000000000:schedule/default/*",
        }
        for role in ("ConsoleRole", "WatchRole"):
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            root("iam").put_role_policy(RoleName=self.resources[role], PolicyName="emulator", PolicyDocument=policy)

    def keys_of(self, resource):
        """The keys Lambda gives to a function that runs under this one's role: told by a probe deployed for the question."""
        root = self.emulator.client
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("probe.py", (Path(__file__).parent / "probe.py").read_text())
        role = root("iam").get_role(RoleName=self.resources[f"{resource}Role"])["Role"]["Arn"]
        name = f"probe-{resource}"
        root("lambda").create_function(
            FunctionName=name, Runtime="python3.11", Handler="probe.handler", Role=role, Code={"ZipFile": packed.getvalue()}
        )
        answer = json.load(root("lambda").invoke(FunctionName=name)["Payload"])
        root("lambda").delete_function(FunctionName=name)
        if not answer["AWS_SESSION_TOKEN"]:
            raise AssertionError(f"the probe under the role of {resource} has no keys of a role")
        return answer["AWS_ACCESS_KEY_ID"], answer["AWS_SECRET_ACCESS_KEY"], answer["AWS_SESSION_TOKEN"]


@functools.cache
def stage():
    """The stage."""
    return Stage()
