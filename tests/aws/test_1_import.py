"""Set up through the API; schedules import; new mail comes with the next firing; a token that is over is renewed."""

import unittest

from processes import wait_for
from stage import DESK, YARD, stage

FIRING = 200

class Import(unittest.TestCase):
    """The way of an administrator, then Postroom by itself. The tests build on each other, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        cls.api = cls.stage.api

    def test_1_nobody_without_a_key(self):
        anybody = self.stage.api_with(None)
        viewer = self.stage.api_with(self.stage.make_key("viewer"))
        for path in ("/api/v1/accounts", "/api/v1/credentials", "/api/v1/health", "/api/v1/messages", "/api/v1/nothing"):
            self.assertEqual(anybody.call("GET", path)[0], 401, path)
        self.assertEqual(self.stage.api_with("pr_" + "0" * 64).call("GET", "/api/v1/accounts")[0], 401)
        self.assertEqual(viewer.call("GET", "/api/v1/accounts")[0], 200)
        self.assertEqual(viewer.call("POST", "/api/v1/accounts", {"id": "x", "mailbox": DESK, "credential": "x"})[0], 403)
        self.assertEqual(anybody.call("GET", "/healthz")[0], 200)

    def test_2_credential_and_accounts_are_made(self):
        self.stage.make_credential()
        told = self.api.good("POST", "/api/v1/credentials/contoso/token")
        self.assertIn("Mail.ReadWrite", told["roles"])
        names = [s["Name"] for s in self.stage.emulator.client("secretsmanager").list_secrets()["SecretList"]]
        kinds = {name.split("/")[1] for name in names if name.startswith(self.stage.name + "/")}
        self.assertEqual(kinds, {"client", "access"}, "an app of its own has no refresh token")
        self.stage.simulator.act("fill", mailbox=DESK, count=40, days=20)
        self.stage.simulator.act("fill", mailbox=YARD, count=25, days=20)
        self.stage.make_account("desk", DESK)
        self.stage.make_account("yard", YARD)
        group = self.stage.outputs["ScheduleGroup"]
        found = self.stage.emulator.client("scheduler").list_schedules(GroupName=group)["Schedules"]
        self.assertEqual({s["Name"] for s in found}, {"desk", "yard"})

    def test_3_their_schedules_import_every_mail_once(self):
        for account, mailbox, count in (("desk", DESK, 40), ("yard", YARD, 25)):
            self.stage.wait_for_records(account, count, FIRING)
            self.assertEqual(self.stage.differences(account, mailbox), [])
        self.assertIn('"trigger":"schedule"', self.stage.runs_as_text("desk"))

    def test_4_new_mail_comes_with_the_next_firing(self):
        for _ in range(3):
            self.stage.simulator.act("deliver", mailbox=DESK)
        self.stage.wait_for_records("desk", 43, FIRING)
        self.assertEqual(self.stage.differences("desk", DESK), [])

    def test_5_a_token_that_is_over_is_renewed_and_the_version_before_is_kept(self):
        secrets = self.stage.emulator.client("secretsmanager")
        name = next(s["Name"] for s in secrets.list_secrets()["SecretList"] if s["Name"].startswith(f"{self.stage.name}/access/"))

        def stages():
            versions = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
            return {label: version for version, labels in versions.items() for label in labels}

        before = stages()
        self.stage.simulator.act("revoke-tokens")
        self.stage.simulator.act("deliver", mailbox=DESK)
        self.stage.wait_for_records("desk", 44, FIRING)
        after = stages()
        self.assertNotEqual(after["AWSCURRENT"], before["AWSCURRENT"])
        # The importers of two accounts may both have found it over.
        self.assertIn("AWSPREVIOUS", after)
        self.assertTrue(secrets.get_secret_value(SecretId=name, VersionId=before["AWSCURRENT"])["SecretString"])
        self.assertNotIn("AWSPENDING", after)
        self.assertEqual(self.stage.differences("desk", DESK), [])

    def test_6_nothing_was_left_in_a_dead_letter_queue(self):
        for queue in ("MissedFirings", "FailedInvocations", "UndeliveredEvents"):
            self.assertEqual(self.stage.dead_letters(queue), [], queue)

if __name__ == "__main__":

    unittest.main()
