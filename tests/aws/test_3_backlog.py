"""A backlog that no single run can take: runs end in time, saved, and watch starts the next."""

import os
import unittest

from processes import NotInTime
from stage import BACKLOG, stage

# Development may take fewer; `make test` takes all.
MAILS = int(os.environ.get("AWS_TEST_BACKLOG", "5000"))
SECONDS = 900


class Backlog(unittest.TestCase):
    """One account, many mails, little time per run."""

    def test_a_backlog_is_taken_by_several_runs(self):
        s = stage()
        s.make_credential()
        # A function that lives 45 s ends its run after 30: too soon for 5,000 mails, also on a fast machine.
        s.emulator.client("lambda").update_function_configuration(FunctionName=s.outputs["ImporterFunction"], Timeout=45)
        try:
            s.simulator.act("fill", mailbox=BACKLOG, count=MAILS, days=60)
            # Its own schedule is an hour away: after the first run, only watch starts any.
            s.make_account("backlog", BACKLOG, every="1h")
            s.api.good("POST", "/api/v1/accounts/backlog/import")
            try:
                s.wait_for_records("backlog", MAILS, SECONDS, every=10)
            except NotInTime:
                self.fail(f"{s.records('backlog')} of {MAILS} mails after {SECONDS} s; runs: {s.runs_as_text('backlog')[-3000:]}")
        finally:
            s.emulator.client("lambda").update_function_configuration(
                FunctionName=s.outputs["ImporterFunction"], Timeout=int(s.parameters["ImporterSeconds"])
            )
        self.assertEqual(s.differences("backlog", BACKLOG), [])
        runs = s.runs_as_text("backlog")
        began = runs.count('"trigger":"watch"')
        print(f"{MAILS} mails in {began} runs started by watch")
        if MAILS >= 5000:
            self.assertGreater(began, 1)


if __name__ == "__main__":
    unittest.main()
