"""Compares what the simulated Microsoft has with what Postroom kept: bytes, records, events; each mail once."""

import hashlib
import json
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor


class Events:
    """Everything that came out of the example queue, per account, in the order it came.

    A FIFO queue drops a body that it had within five minutes. The emulator's does not when EventBridge is the sender, so
    it is done here, and counted.
    """

    def __init__(self, emulator, queue):
        self.sqs, self.queue = emulator.client("sqs"), queue
        self.of = defaultdict(list)
        self.again = Counter()
        self.bodies = set()

    def drain(self):
        while True:
            found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=0).get("Messages", [])
            if not found:
                return self.of
            for message in found:
                event = json.loads(message["Body"])
                if message["Body"] in self.bodies:
                    self.again[event["account"]] += 1
                    continue
                self.bodies.add(message["Body"])
                self.of[event["account"]].append(event)
            self.sqs.delete_message_batch(
                QueueUrl=self.queue, Entries=[{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(found)]
            )


def objects(emulator, bucket, account):
    pages = emulator.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{account}/")
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def mails(emulator, bucket, account):
    """Key of every archived MIME -> SHA-256 of its bytes."""
    # account / message / attempt / message.eml; deeper ones are mails that were attached to mails.
    keys = [key for key in objects(emulator, bucket, account) if key.count("/") == 3 and key.endswith("/message.eml")]
    s3 = emulator.client("s3")

    def digest(key):
        return key, hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest()

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(digest, keys))


def differences(stage, account, mailbox, killed=False):
    """What does not agree, in words; empty if every mail of the inbox was imported once, byte for byte.

    `killed`: a killed run may have left attempts that no record names, and have sent events without noting it: the next
    run sends those again, the same to the byte.
    """
    problems = []
    truth = Counter(m["sha256"] for m in stage.simulator.ask(f"truth?mailbox={mailbox}") if not m["deleted"] and m["folder"] == "inbox")
    kept = mails(stage.emulator, stage.outputs["ArchiveBucket"], account)
    events = stage.events.drain()[account]
    records = stage.api.all("/api/v1/messages", account=account)

    named = Counter(kept.get(f"{event['archive']['path']}/message.eml", "no object") for event in events)
    if named != truth:
        problems.append(f"events name {sum(named.values())} mails, Microsoft has {sum(truth.values())}; too many {named - truth}, missing {truth - named}")
    for event in events:
        if kept.get(f"{event['archive']['path']}/message.eml") != event["archive"]["sha256"]:
            problems.append(f"event {event['sequence']}: the archive has other bytes than it says")
    # A mail whose last part has no end is fetched once more, in case the wire was at fault; both attempts stay for a day.
    twice = Counter(event["archive"]["sha256"] for event in events if event["fidelity"] == "incomplete")
    if not killed and Counter(kept.values()) != truth + twice:
        problems.append(f"the archive has {len(kept)} mails, Microsoft {sum(truth.values())}, of which {sum(twice.values())} have no end")
    sequences = [event["sequence"] for event in events]
    if sequences != list(range(1, len(events) + 1)):
        problems.append(f"events came as {sequences[:50]}")
    if len({event["id"] for event in events}) != len(events):
        problems.append("an event came twice")
    if not killed and stage.events.again[account]:
        problems.append(f"{stage.events.again[account]} events were sent twice")
    recorded = Counter(record["key"] for record in records)
    if recorded != Counter(event["message"] for event in events):
        problems.append(f"{len(records)} records, {len(events)} events")
    return problems
