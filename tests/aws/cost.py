"""What Postroom costs on AWS: prices in one table, calls in another, and the formula between them; `python cost.py` prints
docs/cost.md. test_cost.py keeps the page true, test_9_counts.py the calls."""

from dataclasses import dataclass

import cfn

HOURS = 730
MINUTES = HOURS * 60
MB_OF = {"Importer": 512, "Watch": 128, "TokenRefresh": 128}


@dataclass(frozen=True)
class Price:
    """US dollars for one of something, in us-east-1 (x86), without any free tier."""

    dollars: float
    unit: str
    source: str
    read: bool = False


_PAGE = "aws.amazon.com/lambda/pricing, a stored copy without a date, read November 2026"
_SECOND = "secondary pages, November 2026"

PRICES = {
    "lambda gb-second": Price(0.0000166667, "GB-second of a function", _PAGE, read=True),
    "lambda request": Price(0.20e-6, "invocation", _PAGE, read=True),
    "table write": Price(0.625e-6, "write unit (1 KB; twice in a transaction)", _SECOND),
    "table read": Price(0.125e-6, "read unit (4 KB, consistent)", _SECOND),
    "table month": Price(0.25 + 0.20, "GB-month of the table, with point-in-time recovery", _SECOND),
    "object write": Price(0.005e-3, "PUT, or part of an upload", _SECOND),
    "object month": Price(0.023, "GB-month of the archive", _SECOND),
    "event": Price(1.00e-6, "event on the bus (up to 64 KB)", _SECOND),
    "queue request": Price(0.50e-6, "request to a FIFO queue", _SECOND),
    "firing": Price(1.00e-6, "firing of a schedule", _SECOND),
    "secret month": Price(0.40, "secret and month", _SECOND),
    "secret request": Price(0.05 / 10_000, "request to Secrets Manager", _SECOND),
    "key month": Price(1.00, "key and month (more with each yearly rotation)", _SECOND),
    "key request": Price(0.03 / 10_000, "request to KMS", _SECOND),
    "log gb": Price(0.50, "GB of logs taken in", _SECOND),
    "metric month": Price(0.30, "metric of our own and month", _SECOND),
    "alarm month": Price(0.10, "alarm and month", _SECOND),
    "dashboard month": Price(3.00, "dashboard and month", _SECOND),
}


@dataclass(frozen=True)
class Run:
    """What one idle run calls; counted with the real importer in test_9_counts.py."""

    graph: int = 1
    updates: int = 2
    reads: int = 0
    secrets: int = 0
    # Write units of one update: the account's item has between one and two KB.
    units: int = 2
    # Of ours; Lambda's own three lines come on top.
    log_bytes: int = 1000


WARM = Run()
# A new sandbox: the warming read, the credential, the access token.
COLD = Run(reads=2, secrets=1)


@dataclass(frozen=True)
class Mail:
    """What one message writes, besides its run; counted with the real importer in test_9_counts.py."""

    graph: int = 1
    objects: int = 2
    events: int = 1
    # Rows of message, event and fingerprint: their KB as written, twice in a transaction.
    write_units: float = 9.0


MAIL = Mail()
# Lambda's own lines of an invocation.
PLATFORM_LOG = 400
# Assumed, since Microsoft's latency decides: billed seconds. Loopback needs a tenth of them.
SECONDS = {"warm": 0.25, "cold": 0.40, "mail": 0.04, "Watch": 0.10, "TokenRefresh": 0.10}


def cost(what, count=1.0):
    return PRICES[what].dollars * count


def running(function, seconds):
    return cost("lambda gb-second", seconds * MB_OF[function] / 1024) + cost("lambda request")


def logs(size):
    return cost("log gb", (size + PLATFORM_LOG) / 1e9)


def idle(minutes, run, seconds):
    """A mailbox for a month at one run every so many minutes, when nothing comes: dollars by kind."""
    runs = MINUTES / minutes
    return {
        "function": runs * running("Importer", seconds),
        "table": runs * (cost("table write", run.updates * run.units) + cost("table read", run.reads)),
        "schedule": runs * cost("firing"),
        "logs": runs * logs(run.log_bytes),
        "secrets": runs * (cost("secret request", run.secrets) + cost("key request", run.secrets)),
    }


def million(attachments):
    """A million messages with so many attachments each: dollars by kind."""
    count = 1e6
    return {
        "objects": count * cost("object write", MAIL.objects + attachments),
        "table": count * cost("table write", MAIL.write_units),
        "events": count * cost("event", MAIL.events),
        # One into the queue; received and deleted in tens.
        "example queue": count * cost("queue request", 1.2),
        "function": count * cost("lambda gb-second", SECONDS["mail"] * MB_OF["Importer"] / 1024),
    }


def standing():
    """A stack for a month, whatever is in it: dollars by kind, and a credential of its own line."""
    template, table = cfn.template(), cfn.metrics()
    alarms = sum(r["Type"] == "AWS::CloudWatch::Alarm" for r in template["Resources"].values())
    timers = MINUTES / 1 + MINUTES / 5
    return {
        "key": cost("key month"),
        # DynamoDB, S3 and the queues ask at most every five minutes for each role.
        "requests to the key, at most": cost("key request", 5 * 3 * 12 * HOURS),
        f"metrics ({len(table['metrics'])})": cost("metric month", len(table["metrics"])),
        f"alarms ({alarms})": cost("alarm month", alarms),
        "dashboard": cost("dashboard month"),
        "`watch`, every minute": MINUTES * (running("Watch", SECONDS["Watch"]) + cost("table read", 1) + logs(650)),
        "`token-refresh`, every 5 minutes": MINUTES / 5 * (running("TokenRefresh", SECONDS["TokenRefresh"]) + cost("table read", 2) + logs(650)),
        "the importer's look at credentials, every hour": HOURS * (running("Importer", SECONDS["warm"]) + cost("table read", 4) + logs(650)),
        "timers": timers * cost("firing"),
    }


def dollars(value):
    return f"{value:.2f}" if value >= 0.995 else f"{value:.3f}"


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def page():
    """docs/cost.md."""
    idles = [(1, "warm", WARM), (5, "warm", WARM), (15, "cold", COLD)]
    kinds = list(idle(1, WARM, 1))
    of_idle = []
    for minutes, state, run in idles:
        parts = idle(minutes, run, SECONDS[state])
        of_idle.append([f"every {minutes} min" if minutes > 1 else "every minute", state, f"**{dollars(sum(parts.values()))}**", *(dollars(parts[kind]) for kind in kinds)])
    mails = [0, 0.5, 1, 2]
    of_mail = [[str(a), f"**{dollars(sum(million(a).values()))}**", *(dollars(value) for value in million(a).values())] for a in mails]
    stands = standing()
    prices = [[p.unit, f"{p.dollars:.10f}".rstrip("0").rstrip("."), p.source, "read from the vendor" if p.read else "*unverified*"] for p in PRICES.values()]
    return f"""# What it costs on AWS

Written by `tests/aws/cost.py`; a test fails when it is stale. US dollars, us-east-1, list prices without any free tier (most small
installations stay within several of those). The calls are counted by the tests with the real functions; seconds are assumed, since Microsoft's
latency decides. **Check the prices before you rely on them**: only two could be read on a page of the vendor.

## A mailbox for a month, when nothing comes

{table(["a run", "sandbox", "$ a month", *kinds], of_idle)}

An idle run is {WARM.graph} request to Microsoft and {WARM.updates} calls to the table: no token, no secret. Lambda says nowhere how long it keeps a sandbox; at 15 minutes each run is
taken for the first of a new one, which reads the credential and the access token. Assumed are {SECONDS['warm']} s a run in a warm and {SECONDS['cold']} s in a new sandbox, at {MB_OF['Importer']} MB.

## A million messages

{table(["attachments each", "$", *million(0)], of_mail)}

A message is {MAIL.objects} objects and one for each attachment (a large one in parts of its own), {MAIL.events} event and three rows: {MAIL.write_units:g} write units. Whoever does without the example queue saves its column.
Keeping them: {dollars(PRICES['object month'].dollars)} $ a month for each GB of the archive, {dollars(PRICES['table month'].dollars)} for each GB of the table (about 3 GB a million).

## A stack for a month

{table(["what", "$ a month"], [[kind, dollars(value)] for kind, value in stands.items()] + [["**together**", f"**{dollars(sum(stands.values()))}**"]])}

And for each credential {dollars(cost("secret month", 2))} to {dollars(cost("secret month", 3))}: client secret, access token, and a refresh token where somebody signs in. A mailbox has no secret of its own. A key in
KMS that signs for credentials (`SigningKeyArn`) is a key more a month, like the stack's own, and a request to it for each access token.

Alarms and dashboard are the larger part. Who watches another way takes them out of the template.

## Prices

{table(["one", "$", "source", ""], prices)}

## Not in it

Data that goes out (mail comes in free), the HTTP API and its functions (cents), reads of the archive, logs kept for long, taxes, and what listens to the events.
"""


if __name__ == "__main__":
    print(page(), end="")
