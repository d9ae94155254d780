"""The calls that cost.py counts with are those the real importer makes: idle, in a new sandbox, and for a hundred messages."""

import collections
import math
import unittest

import artifacts
import cost
from alone import MAILBOX, SETTINGS, Scene
from processes import LOGS
from world import BUILD

MAILS = 100


def size(value):
    """The bytes of a DynamoDB value, as AWS counts them."""
    (kind, inner), = value.items()
    if kind == "N":
        return len(inner.lstrip("-").replace(".", "")) // 2 + 2
    if kind == "M":
        return 3 + sum(len(name.encode()) + size(part) + 1 for name, part in inner.items())
    if kind == "L":
        return 3 + sum(size(part) + 1 for part in inner)
    return len(inner.encode()) if kind == "S" else len(inner) if kind == "B" else 1


class Counts(unittest.TestCase):
    """In the order of their names: each goes on where the one before ended."""

    @classmethod
    def setUpClass(cls):
        LOGS.mkdir(parents=True, exist_ok=True)
        cls.log = LOGS / "counts.log"
        functions = [(name, [BUILD / resource / "bootstrap"]) for resource, name in artifacts.functions().items()]
        cls.scene = Scene(functions, cls.log)
        cls.scene.environment["POSTROOM_LOG"] = "info"
        cls.addClassCleanup(cls.scene.close)
        cls.importer = cls.scene.start("importer")
        cls.scene.run(cls.importer, 0)

    @classmethod
    def tearDownClass(cls):
        cls.importer.end()

    def rows(self):
        """Write units of every item, by kind."""
        units = collections.defaultdict(list)
        pages = self.scene.emulator.client("dynamodb").get_paginator("scan").paginate(TableName=SETTINGS["POSTROOM_TABLE"])
        for item in (item for page in pages for item in page["Items"]):
            units[item["partition"]["S"].split("#")[0]].append(math.ceil(sum(len(name) + size(value) for name, value in item.items()) / 1024))
        return units

    def assert_run(self, made, run):
        reads = {"dynamodb GetItem": run.reads, "secretsmanager GetSecretValue": run.secrets}
        wanted = {"dynamodb UpdateItem": run.updates} | {call: count for call, count in reads.items() if count}
        self.assertEqual(made["aws"], dict(sorted(wanted.items())))
        self.assertEqual(made["microsoft"], {"delta": run.graph})

    def test_1_an_idle_run(self):
        before = self.log.stat().st_size
        self.assert_run(self.scene.run(self.importer, 0), cost.WARM)
        self.assertLess(self.log.stat().st_size - before, cost.WARM.log_bytes * 1.2)
        self.assertEqual(self.rows()["accounts"], [cost.WARM.units])

    def test_2_the_first_run_of_a_new_sandbox(self):
        new = self.scene.start("importer")
        self.addCleanup(new.end)
        warmed = self.scene.front.take()
        self.assertEqual(warmed, {"dynamodb GetItem": 1})
        # The warming read is one of its two.
        made = self.scene.run(new, 0)
        made["aws"]["dynamodb GetItem"] += warmed["dynamodb GetItem"] - 1
        self.assert_run(made, cost.COLD)

    def test_3_a_hundred_messages(self):
        self.scene.simulator.act("fill", mailbox=MAILBOX, count=MAILS, days=5)
        made = self.scene.run(self.importer, MAILS)
        # A mail that looks cut off is fetched once more to make sure.
        fetched = made["microsoft"]["value"]
        self.assertLessEqual(fetched, MAILS * 1.1)
        self.assertEqual(made["microsoft"], {"delta": 1, "value": fetched})
        objects = self.scene.emulator.client("s3").get_paginator("list_objects_v2").paginate(Bucket=SETTINGS["POSTROOM_BUCKET"])
        attachments = sum("/attachments/" in one["Key"] for page in objects for one in page["Contents"])
        self.assertGreater(attachments, 0)
        self.assertEqual(made["aws"]["s3 put"], cost.MAIL.objects * fetched + attachments)
        rows = self.rows()
        for kind in ("messages", "events", "received"):
            self.assertEqual(len(rows[kind]), MAILS, kind)
        units = 2 * sum(sum(rows[kind]) for kind in ("messages", "events", "received")) / MAILS
        self.assertLess(abs(units - cost.MAIL.write_units), 1, f"{units} write units a message")
        # Groups of messages share the calls of a run.
        self.assertLess(made["aws"]["dynamodb TransactWriteItems"], MAILS / 10)
        self.assertLessEqual(made["aws"]["events PutEvents"], MAILS / 10 + 2)


if __name__ == "__main__":
    unittest.main()
