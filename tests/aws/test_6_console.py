"""An administrator who knows only a browser: a real Chromium through the HTTP API, from the sign-in to a mail that was read."""

import json
import os
import ssl
import subprocess
import unittest
import urllib.request
from urllib.parse import urlparse

from domain import Domain
from processes import AWS, LOGS, ROOT, wait_for
from stage import OFFICE, stage

CONSOLE = "c0750000-0000-4000-8000-00000000c0de"
SECRET = "the-secret-of-the-console-app"
OPERATOR = "ada@harbour-homes.example"
VIEWER = "ben@harbour-homes.example"
STRANGER = "cat@harbour-homes.example"
# Seconds that a browser's whole story may take: two schedules of a minute are in it.
STORY = 420


class Console(unittest.TestCase):
    """The stack under a domain of its own, with the simulated Microsoft as issuer. In the order of the names."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        cls.before = dict(cls.stage.parameters)
        microsoft = cls.stage.simulator
        cls.issuer = microsoft.told["tokenUrl"].removesuffix("/oauth2/v2.0/token") + "/v2.0"
        api = urlparse(cls.stage.outputs["ApiEndpoint"]).netloc.split(".")[0]
        cls.domain = Domain(cls.stage.emulator.port, api)
        for address in (OPERATOR, VIEWER, STRANGER):
            microsoft.act("add-user", user={"address": address})
        microsoft.act("register-app", clientId=CONSOLE, secret=SECRET)
        microsoft.act("register-redirect-uri", clientId=CONSOLE, redirectUri=f"{cls.domain.origin}/sign-in/callback")
        microsoft.act("register-redirect-uri", clientId=microsoft.told["clientId"], redirectUri=f"{cls.domain.origin}/OAuth2Callback")
        microsoft.act("assign-app-roles", clientId=CONSOLE, user=OPERATOR, roles=["Postroom.Operator"])
        microsoft.act("assign-app-roles", clientId=CONSOLE, user=VIEWER, roles=["Postroom.Viewer"])
        for mailbox, count in ((OPERATOR, 4), (OFFICE, 3)):
            microsoft.act("fill", mailbox=mailbox, count=count, days=3)
        # What other scenarios left in the vault is not this one's.
        cls.others = frozenset(secret["Name"] for secret in cls.stage.emulator.client("secretsmanager").list_secrets()["SecretList"])

    @classmethod
    def tearDownClass(cls):
        # The others reach the API under its own name. What is not said again would stay as it is.
        cls.stage.parameters = cls.before | {"PublicUrl": "", "SignInIssuer": "", "SignInClientId": ""}
        cls.stage.deployment.deploy(cls.stage.parameters, "sam-deploy-without-domain")
        cls.domain.close()

    def browser(self, act, seconds=STORY):
        """Lets a Chromium do something; answers what it saw."""
        told = {"act": act, "origin": self.domain.origin, "operator": OPERATOR, "viewer": VIEWER, "stranger": STRANGER, "office": OFFICE}
        environment = os.environ | {"POSTROOM_STORY": json.dumps(told | {"microsoft": self.stage.simulator.told})}
        with open(LOGS / f"browser-{act}.log", "wb") as log:
            done = subprocess.run(
                [ROOT / "scripts/browser", "on-aws.mjs"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, timeout=seconds, check=False
            )
        said = done.stdout.decode()
        if done.returncode == 0 and not said.strip():
            self.skipTest("there is no browser here (in CI that is a failure)")
        if done.returncode != 0 or not said.strip():
            self.fail(f"{act}: {said}{(LOGS / f'browser-{act}.log').read_text()[-3000:]}")
        return json.loads(said.strip().splitlines()[-1])

    def versions(self, kind):
        """Of every secret of a kind, the version that counts."""
        vault = self.stage.emulator.client("secretsmanager")
        found = {}
        for secret in vault.list_secrets()["SecretList"]:
            if secret["Name"].startswith(f"{self.stage.name}/{kind}/") and secret["Name"] not in self.others:
                labels = vault.describe_secret(SecretId=secret["Name"])["VersionIdsToStages"]
                found[secret["Name"]] = next(version for version, stages in labels.items() if "AWSCURRENT" in stages)
        return found

    def test_1_before_it_is_set_up_the_pages_say_how(self):
        self.stage.parameters["PublicUrl"] = self.domain.origin
        self.stage.deployment.deploy(self.stage.parameters, "sam-deploy-domain")
        seen = self.browser("closed", 120)
        self.assertEqual(seen["status"], 401)
        self.assertIn("SignInIssuer", seen["text"])
        self.assertIn(f"{self.domain.origin}/sign-in/callback", seen["text"])

    def test_2_the_way_back_has_one_spelling(self):
        self.stage.parameters |= {"SignInIssuer": self.issuer, "SignInClientId": CONSOLE}
        self.stage.deployment.deploy(self.stage.parameters, "sam-deploy-sign-in")
        vault = self.stage.emulator.client("secretsmanager")
        vault.create_secret(Name=f"{self.stage.name}/sign-in/console", SecretString=SECRET)
        seen = self.browser("spellings", 120)
        for path, status in (("/OAuth2Callback", 400), ("/oauth2callback", 404), ("/OAuth2Callback/", 404)):
            self.assertEqual(seen[path]["status"], status, path)
        self.assertIn(f"{self.domain.origin}/OAuth2Callback", seen["/oauth2callback"]["text"])

    def test_2_the_way_back_is_called_and_what_is_met_there_is_told(self):
        request = urllib.request.Request(
            f"{self.domain.origin}/api/v1/redirect-uri/check", b"", {"Authorization": f"Bearer {self.stage.api.key}"}, method="POST"
        )
        known = ssl.create_default_context(cafile=str(AWS / "domain.pem"))
        with urllib.request.urlopen(request, timeout=60, context=known) as answer:
            told = json.load(answer)
        self.assertEqual(told["redirect_uri"], f"{self.domain.origin}/OAuth2Callback")
        # The importer went there, though it is inside, and met a certificate that only this test knows.
        self.assertIn("certificate", told["steps"][0]["detail"], told)

    def test_3_an_operator_sets_up_everything_in_a_browser(self):
        # Due after half a minute, so that the timer has something to do.
        self.stage.simulator.act("set-token-lifetime", seconds=330)
        seen = self.browser("operator")
        self.assertEqual(seen["me"], f"{OPERATOR} (operator)")
        self.assertEqual(seen["who"], OPERATOR)
        self.assertTrue(seen["path"].startswith("/authorizations/"), "a clean address, without the code")
        self.assertEqual(set(seen["imported"]), {"mine", "office"})
        self.assertIn("/message.eml", seen["message"])
        self.assertIn("Story", seen["message"])
        self.assertEqual(set(seen["cookies"]), {"__Host-postroom-session"} | {name for name in seen["cookies"] if name.startswith("__Host-postroom-signin-")})

    def test_4_the_grant_rotates_on_the_timer(self):
        before = self.versions("grant")
        self.assertEqual(len(before), 1)
        wait_for("a new version of the grant", lambda: self.versions("grant") != before, 240, 5)

    def test_5_a_viewer_looks_and_a_stranger_does_not_get_in(self):
        seen = self.browser("viewer", 240)
        self.assertEqual(seen["buttons"], 0)
        self.assertEqual(seen["form"], 403)
        self.assertEqual(seen["posted"], 403)
        self.assertEqual(seen["stranger"], "Not signed in")
        self.assertEqual(seen["after"], 401, "signed out")

    def test_6_no_secret_is_in_the_logs(self):
        logs = self.stage.logs()
        for secret in [SECRET, *self.stage.secrets()]:
            self.assertNotIn(secret, logs)


if __name__ == "__main__":
    unittest.main()
