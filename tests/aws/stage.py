"""The one stage all scenarios play on: emulator, simulator and the deployed stack, made once, on first use."""

import atexit
import contextlib
import functools
import io
import json
import time
import zipfile
from pathlib import Path

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

import books
from api import Api
from processes import LOGS, wait_for
from world import REGION, STACK, Deployment, Emulator, Simulator

DESK = "desk@harbour-homes.example"
YARD = "yard@harbour-homes.example"
BACKLOG = "backlog@harbour-homes.example"
SHED = "shed@harbour-homes.example"
OFFICE = "office@harbour-homes.example"


class Stage:
    """What the scenarios act on and look at."""

    def __init__(self):
        self.name = STACK
        self.emulator = Emulator()
        self.simulator = Simulator([DESK, YARD, BACKLOG, SHED, OFFICE])
        self.parameters = {
            "TrustedEndpoints": self.simulator.origin,
            "WatchSchedule": "rate(1 minute)",
            "TokenRefreshSchedule": "rate(1 minute)",
            "ImporterSeconds": "60",
        }
        self.deployment = Deployment(self.emulator, self.parameters)
        self.outputs = self.deployment.outputs
        # Postroom asks for https, and the emulator's API has none: its address is trusted, once it is known.
        self.parameters["TrustedEndpoints"] += "," + self.outputs["ApiEndpoint"]
        self.deployment.deploy(self.parameters, "sam-deploy-trusting")
        self.resources = self.deployment.resources()
        self.without_tls = self.read_archive_without_tls()
        self.mend_what_the_emulator_misreads()
        self.events = books.Events(self.emulator, self.outputs["EventQueueUrl"])
        self.told = []
        self.api = self.api_with(self.make_key("operator"))

    # ---------------------------------------------------------------- the emulator

    def read_archive_without_tls(self):
        """The word with which the archive refuses its own importer over plain http, which the emulator speaks."""
        try:
            self.emulator.client("s3", *self.keys_of("Importer")).list_objects_v2(Bucket=self.outputs["ArchiveBucket"])
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

    # ---------------------------------------------------------------- what an administrator does

    def make_key(self, scope):
        """A key of the API, made by whoever may invoke the console directly."""
        asked = {"make_key": {"name": f"test {scope}", "scope": scope, "days": 1}}
        answer = self.emulator.client("lambda").invoke(FunctionName=self.outputs["ConsoleFunction"], Payload=json.dumps(asked))
        told = json.load(answer["Payload"])
        if answer.get("FunctionError"):
            raise AssertionError(f"no key was made: {told}")
        self.told.append(told["key"])
        return told["key"]

    def api_with(self, key):
        return Api(self.emulator.port, self.outputs["ApiEndpoint"], key)

    @functools.cache
    def make_credential(self, name="contoso"):
        microsoft = self.simulator.told
        self.api.good("POST", "/api/v1/credentials", {
            "id": name,
            "description": "Contoso, application permissions",
            "grant_type": "client_credentials",
            "token_url": microsoft["tokenUrl"],
            "client_id": microsoft["clientId"],
            "client_secret": microsoft["clientSecret"],
            "scope": f"{microsoft['origin']}/.default" if "scope" not in microsoft else microsoft["scope"],
            "graph_url": microsoft["graphUrl"],
        })

    def make_account(self, account, mailbox, every="1m", credential="contoso"):
        self.api.good("POST", "/api/v1/accounts", {
            "id": account, "mailbox": mailbox, "credential": credential, "folders": ["inbox"], "start": "everything", "every": every,
        })

    def settle(self):
        """The credential and the accounts `desk` and `yard` are there and imported, whichever tests ran before."""
        self.simulator.act("set-latency", serviceMs=0, networkMs=0)
        self.make_credential()
        there = {account["id"] for account in self.api.all("/api/v1/accounts")}
        for account, mailbox in (("desk", DESK), ("yard", YARD)):
            if account not in there:
                self.simulator.act("fill", mailbox=mailbox, count=10, days=5)
                self.make_account(account, mailbox)
                self.wait_for_records(account, 10, 200)

    # ---------------------------------------------------------------- what an administrator should not do

    def invoke(self, resource, event):
        """One invocation, waited for: (error type or None, answer)."""
        answer = self.emulator.client("lambda").invoke(FunctionName=self.resources[resource], Payload=json.dumps(event))
        told = json.load(answer["Payload"])
        return (told.get("errorType") if answer.get("FunctionError") else None), told

    def send(self, resource, event):
        """One invocation that nobody waits for."""
        self.emulator.client("lambda").invoke(FunctionName=self.resources[resource], InvocationType="Event", Payload=json.dumps(event))

    @contextlib.contextmanager
    def without_right(self, resource, policy_name, sid):
        """A statement of a role's policy is taken away for a while, and the sandboxes that knew it with it."""
        iam, role = self.emulator.client("iam"), self.resources[f"{resource}Role"]
        policy = iam.get_role_policy(RoleName=role, PolicyName=policy_name)["PolicyDocument"]
        policy = policy if isinstance(policy, dict) else json.loads(policy)
        rest = [s for s in policy["Statement"] if s["Sid"] != sid]
        if len(rest) == len(policy["Statement"]):
            raise AssertionError(f"{resource} has no statement {sid}")
        iam.put_role_policy(RoleName=role, PolicyName=policy_name, PolicyDocument=json.dumps({**policy, "Statement": rest}))
        try:
            yield
        finally:
            iam.put_role_policy(RoleName=role, PolicyName=policy_name, PolicyDocument=json.dumps(policy))

    @contextlib.contextmanager
    def rewritten(self, partition, sort, attribute, value):
        """One attribute of one row is something else for a while."""
        table = self.emulator.client("dynamodb")
        key = {"partition": {"S": partition}, "sort": {"S": sort}}

        def write(value):
            table.update_item(
                TableName=self.outputs["TableName"],
                Key=key,
                UpdateExpression="SET #a = :v",
                ConditionExpression="attribute_exists(#a)",
                ExpressionAttributeNames={"#a": attribute},
                ExpressionAttributeValues={":v": value},
            )

        before = table.get_item(TableName=self.outputs["TableName"], Key=key)["Item"][attribute]
        write(value)
        try:
            yield
        finally:
            write(before)

    # ---------------------------------------------------------------- what can be seen

    def rows(self, partition):
        table = self.emulator.client("dynamodb")
        pages = table.get_paginator("query").paginate(
            TableName=self.outputs["TableName"],
            KeyConditionExpression="#p = :p",
            ExpressionAttributeNames={"#p": "partition"},
            ExpressionAttributeValues={":p": {"S": partition}},
        )
        plain = TypeDeserializer().deserialize
        return [{name: plain(value) for name, value in item.items()} for page in pages for item in page["Items"]]

    def runs_as_text(self, account):
        """The reports of an account's runs, as they are kept."""
        return json.dumps(self.rows(f"runs#{account}"), separators=(",", ":"), default=str).replace('\\"', '"')

    def records(self, account):
        return len(self.api.all("/api/v1/messages", account=account))

    def wait_for_records(self, account, count, seconds, every=2):
        """Records first, then their events: a run sends those after its last commit."""
        wait_for(f"{count} records of `{account}`", lambda: self.records(account) >= count, seconds, every)
        wait_for(f"{count} events of `{account}`", lambda: len(self.events.drain()[account]) >= count, 60, 1)

    def objects(self, account):
        return books.objects(self.emulator, self.outputs["ArchiveBucket"], account)

    def differences(self, account, mailbox, killed=False):
        return books.differences(self, account, mailbox, killed)

    def dead_letters(self, queue):
        """What lies in a dead-letter queue, taken out of it."""
        sqs, url, bodies = self.emulator.client("sqs"), self.resources[queue], []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def log_lines(self, group):
        pages = self.emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def logs(self):
        """Everything the functions logged."""
        groups = self.emulator.client("logs").describe_log_groups()["logGroups"]
        return "\n".join(line for group in groups for line in self.log_lines(group["logGroupName"]))

    def keep_logs(self):
        """What the functions logged outlives the stack and the emulator."""
        with open(LOGS / "functions.log", "a", encoding="utf-8") as log:
            log.write(self.logs())

    def errors(self, resource):
        """The lines a function logged as errors. Each names its invocation, so that no two are alike."""
        lines = [json.loads(line) for line in self.log_lines(self.resources[f"{resource}Log"]) if line.startswith("{")]
        return [line for line in lines if line.get("level") == "ERROR"]

    def vault(self):
        """The names of the secrets."""
        pages = self.emulator.client("secretsmanager").get_paginator("list_secrets").paginate()
        return [secret["Name"] for page in pages for secret in page["SecretList"]]

    def secrets(self):
        """Every secret there is: what the vault holds, and the keys that were told once."""
        vault = self.emulator.client("secretsmanager")
        found = [vault.get_secret_value(SecretId=name)["SecretString"] for name in self.vault()]
        return [secret for secret in found if len(secret) > 8] + self.told


@functools.cache
def stage():
    """The stage."""
    began = time.monotonic()
    (LOGS / "functions.log").unlink(missing_ok=True)
    made = Stage()
    # Runs before the emulator is ended.
    atexit.register(made.keep_logs)
    print(f"the stack stands after {time.monotonic() - began:.0f} s", flush=True)
    return made
