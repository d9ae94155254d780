"""What nobody should send, and what is missing: one clear line in the log, the right error type, nothing tried again and again."""

import os
import signal
import unittest

from processes import descendants, wait_for
from stage import SHED, stage

CODE = "a-code-that-nobody-may-see"


class BadInput(unittest.TestCase):
    """With the deployed functions. What a test breaks, it mends."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        cls.stage.settle()

    def fails(self, resource, event, error, word):
        """The invocation fails with this type, and one line of the function's log says why."""
        before = self.stage.errors(resource)
        found, told = self.stage.invoke(resource, event)
        self.assertEqual(found, error, told)
        self.assertRegex(told["errorMessage"], word)
        lines = self.new_errors(resource, before)
        self.assertEqual(len(lines), 1, lines)
        self.assertEqual((lines[0]["error_type"], lines[0]["message"]), (error, told["errorMessage"]))
        return told

    def ends_well(self, resource, event):
        before = self.stage.errors(resource)
        found, told = self.stage.invoke(resource, event)
        self.assertIsNone(found, told)
        self.assertEqual(self.new_errors(resource, before), [])
        return told

    def forget_sandboxes(self, resource):
        """Ends the warm processes of a function: the next invocation starts in a new one."""
        name = self.stage.resources[resource]
        for process, environment in descendants(self.stage.emulator.process.pid):
            if environment.get("AWS_LAMBDA_FUNCTION_NAME") == name:
                os.kill(process, signal.SIGKILL)

    def new_errors(self, resource, before):
        return [line for line in self.stage.errors(resource) if line not in before]

    def test_1_malformed_events(self):
        for event in ({}, [], "desk", None, {"account": "desk"}, {"account": 7, "trigger": "test"}, {"account": "desk", "trigger": "test", "more": 1}):
            with self.subTest("importer", event=event):
                self.fails("Importer", event, "Defect", "cannot be read")
        for event in ({}, [], {"ask": "anything"}, {"ask": "access_token"}, {"ask": "redeem", "code": CODE}):
            with self.subTest("token-refresh", event=event):
                self.fails("TokenRefresh", event, "Defect", "cannot be read")
        for resource in ("Console", "OauthCallback"):
            for event in ({}, [], {"make_key": {"name": "x", "scope": "root", "days": 1}}):
                with self.subTest(resource, event=event):
                    self.fails(resource, event, "Defect", "cannot be read")
        self.assertNotIn(CODE, self.stage.logs())

    def test_2_an_event_that_failed_is_not_tried_again(self):
        """Lambda would try an asynchronous one three times: the template says once, and where it is told."""
        self.stage.dead_letters("FailedInvocations")
        before = self.stage.errors("Importer")
        self.stage.send("Importer", {"marked": "once"})
        letters = []

        def arrived():
            letters.extend(self.stage.dead_letters("FailedInvocations"))
            return letters

        wait_for("the event is in the queue of failed invocations", arrived, 60)
        self.assertEqual(len(letters), 1, letters)
        self.assertIn("marked", letters[0])
        self.assertIn("Defect", letters[0])
        self.assertEqual(len(self.new_errors("Importer", before)), 1)

    def test_3_an_account_that_nobody_knows_or_that_is_gone(self):
        api = self.stage.api
        self.stage.make_account("shed", SHED, every="1h")
        group = self.stage.outputs["ScheduleGroup"]
        scheduler = self.stage.emulator.client("scheduler")
        names = lambda: {s["Name"] for s in scheduler.list_schedules(GroupName=group)["Schedules"]}
        self.assertIn("shed", names())
        self.assertEqual(api.call("DELETE", "/api/v1/accounts/shed")[0], 422, "it must be said which one is meant")
        api.good("DELETE", "/api/v1/accounts/shed", confirm="shed")
        self.assertNotIn("shed", names())
        for account in ("nobody", "shed"):
            for trigger in ("schedule", "reconcile"):
                with self.subTest(account=account, trigger=trigger):
                    told = self.ends_well("Importer", {"account": account, "trigger": trigger})
                    self.assertEqual(told["outcome"], "no_account")

    def test_4_a_secret_that_is_missing(self):
        """A token that is gone is asked for again; without the client secret an admin must act, and nothing is asked again and again."""
        s = self.stage
        vault = s.emulator.client("secretsmanager")
        before = set(s.vault())
        s.make_credential("lost")
        s.api.good("POST", "/api/v1/credentials/lost/token")
        s.make_account("barn", SHED, every="1h", credential="lost")
        run = {"account": "barn", "trigger": "test"}
        try:
            mine = {name.split("/")[1]: name for name in set(s.vault()) - before}
            self.assertEqual(set(mine), {"client", "access"})
            vault.delete_secret(SecretId=mine["access"], ForceDeleteWithoutRecovery=True)
            asked = s.simulator.requests("token")
            self.assertEqual(self.ends_well("Importer", run)["outcome"], "done")
            self.assertEqual(s.simulator.requests("token"), asked + 1)

            for name in mine.values():
                vault.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
            self.forget_sandboxes("Importer")
            for _ in range(3):
                told = self.ends_well("Importer", run)
                self.assertEqual((told["outcome"], told["state"]), ("failed", "needs_admin"))
            self.assertRegex(s.api.good("GET", "/api/v1/accounts/barn")["last_run"]["problem"], "client secret")
            self.assertEqual(s.simulator.requests("token"), asked + 1, "Microsoft is not asked without a secret")
        finally:
            s.api.good("DELETE", "/api/v1/accounts/barn", confirm="barn")

    def test_5_a_right_that_is_missing(self):
        s = self.stage
        run = {"account": "loft", "trigger": "test"}
        s.make_account("loft", SHED, every="1h")
        try:
            for sid, action in (("Records", "dynamodb:UpdateItem"), ("Objects", "s3:PutObject"), ("ReadAccessTokens", "secretsmanager:GetSecretValue")):
                with self.subTest(sid):
                    # Something to archive; and a sandbox that has read nothing yet.
                    s.simulator.act("deliver", mailbox=SHED)
                    self.forget_sandboxes("Importer")
                    with s.without_right("Importer", "importer", sid):
                        self.fails("Importer", run, "Operator", action)
            self.assertEqual(self.ends_well("Importer", run)["outcome"], "done")
            self.assertEqual(s.records("loft"), 3)
        finally:
            s.api.good("DELETE", "/api/v1/accounts/loft", confirm="loft")

    def test_6_a_table_of_another_version(self):
        s = self.stage
        with s.rewritten("accounts", "yard", "settings", {"M": {"format": {"N": "99"}}}):
            self.fails("Importer", {"account": "yard", "trigger": "test"}, "Operator", "newer version")
            self.fails("Watch", {}, "Operator", "newer version")
            self.ends_well("Importer", {"account": "desk", "trigger": "test"})
        self.ends_well("Watch", {})
        self.ends_well("Importer", {"account": "yard", "trigger": "test"})


if __name__ == "__main__":
    unittest.main()
