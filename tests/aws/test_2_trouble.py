"""What goes wrong on the way: duplicate triggers, a process killed in the middle of a page, events nobody should send."""

import json
import os
import signal
import unittest
from concurrent.futures import ThreadPoolExecutor

from processes import descendants, wait_for
from stage import DESK, YARD, stage


class Trouble(unittest.TestCase):
    """On the accounts that are there; makes its own if it runs alone."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        cls.stage.settle()

    def setUp(self):
        self.importer = self.stage.outputs["ImporterFunction"]

    def start(self, event):
        """One invocation of the importer, waited for: (error type or None, answer)."""
        answer = self.stage.emulator.client("lambda").invoke(FunctionName=self.importer, Payload=json.dumps(event))
        told = json.load(answer["Payload"])
        return (told.get("errorType") if answer.get("FunctionError") else None), told

    def test_1_of_five_triggers_at_once_one_runs(self):
        count = self.stage.records("yard")
        for _ in range(5):
            self.stage.simulator.act("deliver", mailbox=YARD)
        # Slow enough that all five are there while one works.
        self.stage.simulator.act("set-latency", serviceMs=400, networkMs=0)
        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(self.start, [{"account": "yard", "trigger": "test"}] * 5))
        self.stage.simulator.act("set-latency", serviceMs=0, networkMs=0)
        self.assertEqual([error for error, _ in answers], [None] * 5)
        outcomes = sorted(told["outcome"] for _, told in answers)
        # The schedule may have been faster than all of them.
        self.assertIn(outcomes, (["busy"] * 4 + ["done"], ["busy"] * 5))
        self.stage.wait_for_records("yard", count + 5, 200)
        self.assertEqual(self.stage.differences("yard", YARD), [])

    def test_2_a_process_killed_in_the_middle_of_a_page_harms_nothing(self):
        count = self.stage.records("desk")
        before = len(self.stage.objects("desk"))
        self.stage.simulator.act("set-latency", serviceMs=250, networkMs=0)
        self.stage.simulator.act("fill", mailbox=DESK, count=60, days=1)
        self.stage.emulator.client("lambda").invoke(
            FunctionName=self.importer, InvocationType="Event", Payload=json.dumps({"account": "desk", "trigger": "test"})
        )
        wait_for("the run is in the middle of the page", lambda: len(self.stage.objects("desk")) >= before + 16, 120, every=0.05)
        killed = []
        for process, environment in descendants(self.stage.emulator.process.pid):
            if environment.get("AWS_LAMBDA_FUNCTION_NAME") == self.importer:
                os.kill(process, signal.SIGKILL)
                killed.append(process)
        self.assertTrue(killed, "there was an importer to kill")
        self.assertLess(self.stage.records("desk"), count + 60, "it was killed before its end")
        self.stage.simulator.act("set-latency", serviceMs=0, networkMs=0)
        # Nobody knows that it is dead: its lease has to run out.
        self.stage.wait_for_records("desk", count + 60, 400)
        self.assertEqual(self.stage.differences("desk", DESK, orphans=True), [])

    def test_3_events_that_nobody_should_send(self):
        for event, error, word in (
            ({"hello": "world"}, "Defect", "cannot be read"),
            ({"account": 7, "trigger": "test"}, "Defect", "cannot be read"),
            ({"account": "nobody", "trigger": "schedule"}, None, None),
        ):
            with self.subTest(event=event):
                found, told = self.start(event)
                self.assertEqual(found, error)
                if word:
                    self.assertIn(word, told["errorMessage"])
                else:
                    self.assertEqual(told["outcome"], "no_account")

    def test_4_a_right_that_is_missing_is_said_so(self):
        iam, role = self.stage.emulator.client("iam"), self.stage.resources["ImporterRole"]
        policy = iam.get_role_policy(RoleName=role, PolicyName="importer")["PolicyDocument"]
        policy = policy if isinstance(policy, dict) else json.loads(policy)
        without = {**policy, "Statement": [s for s in policy["Statement"] if s["Sid"] != "Records"]}
        iam.put_role_policy(RoleName=role, PolicyName="importer", PolicyDocument=json.dumps(without))
        try:
            error, told = self.start({"account": "yard", "trigger": "test"})
        finally:
            iam.put_role_policy(RoleName=role, PolicyName="importer", PolicyDocument=json.dumps(policy))
        self.assertEqual(error, "Operator", told)
        self.assertRegex(told["errorMessage"], "(?i)denied|refuse|not authorized|right")
        self.assertEqual(self.start({"account": "yard", "trigger": "test"})[0], None)

    def test_5_no_secret_and_no_token_is_in_the_logs(self):
        text = self.stage.logs()
        self.assertIn("invocation", text)
        for secret in self.stage.secrets():
            self.assertNotIn(secret, text)


if __name__ == "__main__":
    unittest.main()
