"""The functions as processes of their own, without a stack: for what must be measured from close by. Lambda is lambda_host.py,
AWS is the emulator behind front.py, Microsoft is the simulator. The real console sets the account up."""

import json

from front import Front
from lambda_host import Sandbox
from processes import stop
from world import ROOT_KEYS, Emulator, Simulator

MAILBOX = "desk@harbour-homes.example"
HOST = "post.contoso.example"
ARN = "arn:aws:kms:us-east-1:000000000000:key/bench"
SETTINGS = {
    "POSTROOM_STACK": "bench",
    "POSTROOM_TABLE": "bench-table",
    "POSTROOM_BUCKET": "bench-bucket",
    "POSTROOM_EVENT_BUS": "bench-bus",
    "POSTROOM_TOKEN_REFRESH": "bench-token-refresh",
    "POSTROOM_IMPORTER": "arn:aws:lambda:us-east-1:000000000000:function:bench-importer",
    "POSTROOM_KMS_KEY": ARN,
    "POSTROOM_SCHEDULE_GROUP": "bench-group",
    "POSTROOM_SCHEDULE_ROLE": "arn:aws:iam::000000000000:role/bench",
    "POSTROOM_SCHEDULE_DLQ": "arn:aws:sqs:us-east-1:000000000000:bench-missed",
    "POSTROOM_PUBLIC_URL": "https://post.contoso.example",
    "POSTROOM_PATIENCE_SECONDS": "10",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "bench",
    "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    **ROOT_KEYS,
}


def web_event(method, path, body, key):
    """A request as an HTTP API hands it on."""
    headers = {"host": HOST, "content-type": "application/json", "accept": "application/json"}
    headers |= {"authorization": f"Bearer {key}"} if key else {}
    return {
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": headers, "isBase64Encoded": False,
        "body": json.dumps(body) if body is not None else None,
        "requestContext": {
            "accountId": "000000000000", "apiId": "bench", "domainName": HOST, "domainPrefix": "post", "requestId": "bench", "routeKey": "$default",
            "stage": "$default", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 1767225600000,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"},
        },
    }


class Scene:
    """Emulator, simulator, what the functions stand on, and the functions."""

    def __init__(self, functions, log):
        self.functions, self.log = dict(functions), log
        # Rights are the tests' matter; here every call counts, and none is refused.
        self.emulator = Emulator(f"ministack-{log.stem}")
        self.simulator = Simulator([MAILBOX], f"simulator-{log.stem}")
        client = self.emulator.client
        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        client("dynamodb").create_table(
            TableName=SETTINGS["POSTROOM_TABLE"], BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "partition", "KeyType": "HASH"}, {"AttributeName": "sort", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("partition", "sort")],
        )
        client("s3").create_bucket(Bucket=SETTINGS["POSTROOM_BUCKET"])
        client("events").create_event_bus(Name=SETTINGS["POSTROOM_EVENT_BUS"])
        client("scheduler").create_schedule_group(Name=SETTINGS["POSTROOM_SCHEDULE_GROUP"])
        self.front = Front(upstream=self.emulator.port, invoke=self.ask_for_token)
        self.environment = {
            **SETTINGS, "AWS_ENDPOINT_URL": self.front.url, "POSTROOM_KMS_KEY": key, "POSTROOM_TRUST_ENDPOINTS": self.simulator.origin,
            "POSTROOM_LOG": "warn",
        }
        self.asked = {}
        self.refresh = self.start("token-refresh")
        self.set_up()

    def start(self, name, **more):
        return Sandbox(self.functions[name], self.environment, self.log, **more)

    def ask_for_token(self, event):
        return self.refresh.call(event)[0]

    def set_up(self):
        console = self.start("console")
        key = console.call({"make_key": {"name": "bench", "scope": "operator", "days": 1}})[0]["key"]
        told = self.simulator.told
        for path, body in (
            ("/api/v1/credentials", {
                "id": "contoso", "description": "bench", "grant_type": "client_credentials", "token_url": told["tokenUrl"], "client_id": told["clientId"],
                "client_secret": told["clientSecret"], "scope": told["scope"], "graph_url": told["graphUrl"],
            }),
            ("/api/v1/accounts", {
                "id": "desk", "mailbox": MAILBOX, "credential": "contoso", "folders": ["inbox"], "start": "everything", "every": "5m",
            }),
        ):
            answer = console.call(web_event("POST", path, body, key))[0]
            if answer["statusCode"] >= 300:
                raise RuntimeError(f"POST {path}: {answer}")
        console.end()

    def count(self):
        """Calls to AWS and requests to Microsoft since the last time."""
        before, self.asked = self.asked, self.simulator.ask("stats")["byKind"]
        microsoft = {kind: count - before.get(kind, 0) for kind, count in self.asked.items() if count > before.get(kind, 0)}
        return self.front.take(), microsoft

    def run(self, importer, wanted):
        """A run of the account that imports so many: what it took and what it called."""
        self.count()
        told, wall, cpu = importer.call({"account": "desk", "trigger": "bench"})
        if told["outcome"] != "done" or told["imported"] != wanted:
            raise RuntimeError(f"the run did something else: {told}")
        aws, microsoft = self.count()
        return {"wall": wall, "cpu": cpu, "aws": dict(sorted(aws.items())), "microsoft": microsoft}

    def close(self):
        """Ends what it started."""
        self.refresh.end()
        self.front.close()
        stop(self.simulator.process)
        stop(self.emulator.process)
