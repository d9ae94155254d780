"""The actions of the negative matrix: what each would do, and which functions may do it. All others are refused.

The table is written from the promises of the design, not from the template: it must not be wrong together with it.
"""

import json
import uuid
from dataclasses import dataclass
from typing import Callable

FUNCTIONS = ["oauth-callback", "token-refresh", "importer", "console", "watch"]


@dataclass
class Action:
    """One call: `does(client of the service, place)`."""

    name: str
    service: str
    does: Callable
    may: set


@dataclass
class Place:
    """What the actions are tried on."""

    stack: str
    bucket: str
    table: str
    bus: str
    key: str
    group: str
    schedule_role: str
    dead_letters: str
    event_queue: str
    functions: dict  # name -> physical name
    importer_role: str
    log_group: str
    code: bytes
    sealed: bytes


def new(kind):
    return lambda c, p: c.create_secret(Name=f"{p.stack}/{kind}/{uuid.uuid4().hex}", SecretString="x", KmsKeyId=p.key)


def read(kind):
    return lambda c, p: c.get_secret_value(SecretId=f"{p.stack}/{kind}/probe")


def write(kind):
    return lambda c, p: c.put_secret_value(
        SecretId=f"{p.stack}/{kind}/probe", SecretString="x", ClientRequestToken=str(uuid.uuid4()), VersionStages=["AWSPENDING"]
    )


def delete(kind):
    return lambda c, p: c.delete_secret(SecretId=f"{p.stack}/{kind}/doomed", RecoveryWindowInDays=7)


def start(function):
    return lambda c, p: c.invoke(FunctionName=p.functions[function], InvocationType="DryRun")


def row():
    return {"partition": {"S": "probe"}, "sort": {"S": uuid.uuid4().hex}}


def schedule(c, p):
    name = "probe-" + uuid.uuid4().hex
    target = {
        "Arn": f"arn:aws:lambda:us-east-1:000000000000:function:{p.functions['importer']}",
        "RoleArn": p.schedule_role,
        "Input": json.dumps({"account": name, "trigger": "schedule"}),
    }
    # So far off that it never fires.
    c.create_schedule(Name=name, GroupName=p.group, ScheduleExpression="rate(30 days)", FlexibleTimeWindow={"Mode": "OFF"}, Target=target)
    c.delete_schedule(Name=name, GroupName=p.group)


def event(c, p):
    answer = c.put_events(Entries=[{"EventBusName": p.bus, "Source": "probe", "DetailType": "probe", "Detail": "{}"}])
    if answer["FailedEntryCount"]:
        raise AssertionError(answer)


ALL = set(FUNCTIONS)
ACTIONS = [
    Action("read a client secret", "secretsmanager", read("client"), {"token-refresh"}),
    Action("read a refresh token", "secretsmanager", read("grant"), {"token-refresh"}),
    Action("read an access token", "secretsmanager", read("access"), {"token-refresh", "importer"}),
    Action("read the secret of the sign-in", "secretsmanager", read("sign-in"), {"console"}),
    Action("write the secret of the sign-in", "secretsmanager", write("sign-in"), set()),
    Action("make a secret for the sign-in", "secretsmanager", new("sign-in"), set()),
    Action("write a client secret", "secretsmanager", write("client"), {"console"}),
    Action("write a refresh token", "secretsmanager", write("grant"), {"token-refresh"}),
    Action("write an access token", "secretsmanager", write("access"), {"token-refresh"}),
    Action("make a client secret", "secretsmanager", new("client"), {"console"}),
    Action("make a refresh token", "secretsmanager", new("grant"), {"token-refresh"}),
    Action("make a secret of another kind", "secretsmanager", new("other"), set()),
    Action("delete a client secret", "secretsmanager", delete("client"), {"console"}),
    Action("delete a refresh token", "secretsmanager", delete("grant"), {"console"}),
    Action("list the secrets", "secretsmanager", lambda c, p: c.list_secrets(), set()),
    Action("write into the archive", "s3", lambda c, p: c.put_object(Bucket=p.bucket, Key=f"probe/{uuid.uuid4().hex}", Body=b"x"), {"importer"}),
    Action("read the archive", "s3", lambda c, p: c.get_object(Bucket=p.bucket, Key="probe/object"), {"importer"}),
    Action("list the archive", "s3", lambda c, p: c.list_objects_v2(Bucket=p.bucket, MaxKeys=1), {"importer"}),
    Action("remove from the archive", "s3", lambda c, p: c.delete_object(Bucket=p.bucket, Key="probe/none"), {"importer"}),
    Action("remove a version for good", "s3", lambda c, p: c.delete_object(Bucket=p.bucket, Key="probe/none", VersionId="null"), set()),
    Action("open the archive to others", "s3", lambda c, p: c.delete_bucket_policy(Bucket=p.bucket), set()),
    Action("read a row", "dynamodb", lambda c, p: c.get_item(TableName=p.table, Key=row()), ALL),
    Action("write a row", "dynamodb", lambda c, p: c.put_item(TableName=p.table, Item=row()), ALL - {"watch"}),
    Action("read the whole table", "dynamodb", lambda c, p: c.scan(TableName=p.table, Limit=1), set()),
    Action("delete the table", "dynamodb", lambda c, p: c.delete_table(TableName=p.table), set()),
    Action("send an event", "events", event, {"importer"}),
    Action("change the rules", "events", lambda c, p: c.put_rule(Name="probe", EventBusName=p.bus, EventPattern="{\"source\": [\"x\"]}"), set()),
    Action("start the importer", "lambda", start("importer"), {"watch", "console"}),
    Action("ask token-refresh", "lambda", start("token-refresh"), {"oauth-callback", "importer", "console"}),
    Action("start the console", "lambda", start("console"), set()),
    Action("change a function's code", "lambda", lambda c, p: c.update_function_code(FunctionName=p.functions["watch"], ZipFile=p.code), set()),
    Action("read a function's settings", "lambda", lambda c, p: c.get_function_configuration(FunctionName=p.functions["watch"]), set()),
    Action("write a schedule", "scheduler", schedule, {"console", "watch"}),
    Action("list the schedules", "scheduler", lambda c, p: c.list_schedules(GroupName=p.group), {"watch"}),
    Action("remove all schedules", "scheduler", lambda c, p: c.delete_schedule_group(Name=p.group), set()),
    Action("open something with the key", "kms", lambda c, p: c.decrypt(CiphertextBlob=p.sealed, KeyId=p.key), set()),
    Action("do away with the key", "kms", lambda c, p: c.schedule_key_deletion(KeyId=p.key), set()),
    Action("read the events of others", "sqs", lambda c, p: c.receive_message(QueueUrl=p.event_queue), set()),
    Action("widen a role", "iam", lambda c, p: c.put_role_policy(RoleName=p.importer_role, PolicyName="more", PolicyDocument="{}"), set()),
    Action("become the scheduler", "sts", lambda c, p: c.assume_role(RoleArn=p.schedule_role, RoleSessionName="probe"), set()),
    Action("read logs", "logs", lambda c, p: c.filter_log_events(logGroupName=p.log_group), set()),
]
