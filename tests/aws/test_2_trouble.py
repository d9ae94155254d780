"""What goes wrong on the way: duplicate triggers, a process killed in the middle of a page. No secret gets into the logs."""

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

    def test_1_of_five_triggers_at_once_one_runs(self):
        count = self.stage.records("yard")
        for _ in range(5):
            self.stage.simulator.act("deliver", mailbox=YARD)
        # Slow enough that all five are there while one works.
        self.stage.simulator.act("set-latency", serviceMs=400, networkMs=0)
        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda _: self.stage.invoke("Importer", {"account": "yard", "trigger": "test"}), range(5)))
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
        self.stage.send("Importer", {"account": "desk", "trigger": "test"})
        wait_for("the run is in the middle of the page", lambda: len(self.stage.objects("desk")) >= before + 16, 120, every=0.05)
        killed = []
        for process, environment in descendants(self.stage.emulator.process.pid):
            if environment.get("AWS_LAMBDA_FUNCTION_NAME") == self.stage.outputs["ImporterFunction"]:
                os.kill(process, signal.SIGKILL)
                killed.append(process)
        self.assertTrue(killed, "there was an importer to kill")
        self.assertLess(self.stage.records("desk"), count + 60, "it was killed before its end")
        self.stage.simulator.act("set-latency", serviceMs=0, networkMs=0)
        # Nobody knows that it is dead: its lease has to run out.
        self.stage.wait_for_records("desk", count + 60, 400)
        self.assertEqual(self.stage.differences("desk", DESK, killed=True), [])

    def test_3_no_secret_and_no_token_is_in_the_logs(self):
        text = self.stage.logs()
        self.assertIn("invocation", text)
        for secret in self.stage.secrets():
            self.assertNotIn(secret, text)


if __name__ == "__main__":
    unittest.main()
