"""What the alarms watch is really told: by the functions' own processes, in the lines CloudWatch reads."""

import json
import unittest

import artifacts
import cfn
from alone import SETTINGS, Scene
from lambda_host import Sandbox
from processes import LOGS, wait_for
from rules.alarms import alarms, dimensions_of
from world import BUILD

# Told only where somebody signed in: the test in functions/src/token_refresh.rs stands for it.
NOT_HERE = {"CredentialDaysLeft"}


def told(log):
    """Every (metric, dimension -> value) that stands in a log as CloudWatch reads it, with the values told."""
    found = []
    for line in log.read_text().splitlines():
        try:
            fields = json.loads(line)
        except ValueError:
            continue
        for directive in fields.get("_aws", {}).get("CloudWatchMetrics", []):
            for names in directive["Dimensions"]:
                for metric in directive["Metrics"]:
                    found.append((directive["Namespace"], metric["Name"], {name: fields[name] for name in names}, fields[metric["Name"]]))
    return found


class Told(unittest.TestCase):
    """One look of each function, and one failure of each type that alarms."""

    @classmethod
    def setUpClass(cls):
        LOGS.mkdir(parents=True, exist_ok=True)
        cls.log = LOGS / "told.log"
        cls.log.unlink(missing_ok=True)
        cls.functions = {name: [BUILD / resource / "bootstrap"] for resource, name in artifacts.functions().items()}
        cls.scene = Scene(cls.functions.items(), cls.log)
        cls.addClassCleanup(cls.scene.close)

    def fails(self, name, event, **settings):
        sandbox = Sandbox(self.functions[name], {**self.scene.environment, **settings}, self.log)
        self.addCleanup(sandbox.end)
        with self.assertRaises(RuntimeError) as failed:
            sandbox.call(event)
        return str(failed.exception)

    def test_every_metric_that_alarms_watch_is_told_under_its_name(self):
        for name, event in (("importer", {"account": "desk", "trigger": "test"}), ("watch", {}), ("token-refresh", {"ask": "renew"})):
            sandbox = self.scene.start(name)
            self.addCleanup(sandbox.end)
            sandbox.call(event)
        self.assertIn("Defect", self.fails("importer", {"no": "such event"}))
        self.assertIn("Operator", self.fails("importer", {"account": "desk", "trigger": "test"}, POSTROOM_TABLE="gone"))
        self.assertIn("Transient", self.fails("watch", {}, AWS_ENDPOINT_URL="http://127.0.0.1:9"))
        watched = [
            (alarm["Namespace"], alarm["MetricName"], {name: SETTINGS["POSTROOM_STACK"] if name == "Stack" else value for name, value in dimensions_of(alarm).items()})
            for alarm in alarms(cfn.template()).values()
            if alarm["Namespace"] == cfn.metrics()["namespace"] and alarm["MetricName"] not in NOT_HERE
        ]
        self.assertGreater(len(watched), 10)

        def missing():
            there = [one[:3] for one in told(self.log)]
            return [one for one in watched if one not in there]

        wait_for(f"lines with {missing()}", lambda: not missing(), 10)

    def test_silence_is_told_as_a_number(self):
        sandbox = self.scene.start("watch")
        self.addCleanup(sandbox.end)
        sandbox.call({})
        wait_for("a number of silent accounts", lambda: [v for _, name, _, v in told(self.log) if name == "SilentAccounts"], 10)
        self.assertTrue(all(isinstance(value, int) for _, _, _, value in told(self.log)))


if __name__ == "__main__":
    unittest.main()
