"""No stored secret: the app proves itself by a token that AWS makes for the role of token-refresh, and the importer imports."""

import unittest

from api import Answer
from stage import stage
from sts import Sts
from world import REGION

CABIN = "cabin@harbour-homes.example"
AUDIENCE = "api://AzureADTokenExchange"
FIRING = 200


class NoSecret(unittest.TestCase):
    """The tests build on each other, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        cls.api = cls.stage.api
        cls.sts = Sts(cls.stage.outputs["FederatedSubject"], REGION)
        cls.addClassCleanup(cls.sts.close)
        # An app of its own, that knows no secret of anybody's.
        cls.client_id = "aaaaaaaa-0000-4000-8000-00000000feed"
        act = cls.stage.simulator.act
        act("register-app", clientId=cls.client_id, secret="never told to Postroom", roles=["Mail.ReadWrite"])
        act("add-mailbox", address=CABIN)
        act("fill", mailbox=CABIN, count=7, days=3)
        # On AWS the SDK finds STS by itself; here one variable says where it stands.
        functions, name = cls.stage.emulator.client("lambda"), cls.stage.resources["TokenRefresh"]
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        cls.variables = variables
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, "AWS_ENDPOINT_URL_STS": cls.sts.url}}
        )
        cls.addClassCleanup(functions.update_function_configuration, FunctionName=name, Environment={"Variables": variables})

    def ask(self):
        """The answer to a request for a token: (status, what was told)."""
        return self.api.call("POST", "/api/v1/credentials/keyless/token")

    def test_1_a_credential_is_made_without_any_secret(self):
        before = set(self.stage.vault())
        microsoft = self.stage.simulator.told
        made = self.api.good("POST", "/api/v1/credentials", {
            "id": "keyless", "description": "No secret", "grant_type": "client_credentials", "federated": "aws",
            "token_url": microsoft["tokenUrl"], "client_id": self.client_id,
            "scope": microsoft.get("scope", f"{microsoft['origin']}/.default"), "graph_url": microsoft["graphUrl"],
        })
        self.assertEqual(made["authentication"], {"kind": "federated_aws"})
        self.assertEqual(set(self.stage.vault()), before, "nothing was stored")

    def test_2_aws_is_asked_in_the_words_of_its_api_and_entra_compares_every_letter(self):
        self.sts.enabled = False
        status, told = self.ask()
        self.assertEqual(status, 409, told)
        self.assertIn("enable-outbound-web-identity-federation", told["detail"])
        self.sts.enabled = True
        status, told = self.ask()
        self.assertEqual((status, told["codes"]), (409, [700211]), told)
        asked = self.sts.asked[-1]
        self.assertEqual(
            {name: asked[name] for name in ("Action", "Audience.member.1", "SigningAlgorithm", "DurationSeconds")},
            {"Action": "GetWebIdentityToken", "Audience.member.1": AUDIENCE, "SigningAlgorithm": "RS256", "DurationSeconds": "300"},
        )
        trusts = {"clientId": self.client_id, "issuer": self.sts.url, "audience": AUDIENCE}
        self.stage.simulator.act("add-federated", subject=self.sts.role_arn.upper(), **trusts)
        self.assertEqual(self.ask()[1]["codes"], [7002138], "the case of letters counts")
        self.stage.simulator.act("add-federated", subject=self.sts.role_arn, **trusts)
        self.assertIn("Mail.ReadWrite", self.api.good("POST", "/api/v1/credentials/keyless/token")["roles"])

    def test_3_its_account_is_imported_and_nothing_but_the_access_token_is_kept(self):
        self.stage.make_account("cabin", CABIN, credential="keyless")
        self.stage.wait_for_records("cabin", 7, FIRING)
        self.assertEqual(self.stage.differences("cabin", CABIN), [])
        self.assertNotIn("never told to Postroom", self.stage.secrets())

    def test_4_what_the_app_reaches_is_tried_by_the_importer_and_told(self):
        reach = "/api/v1/credentials/keyless/reach"
        self.api.good("PUT", reach, {"must_read": [CABIN], "must_not_read": ["desk@harbour-homes.example"]})
        found = self.api.good("POST", reach)["reach"]["found"]
        self.assertEqual((found["everywhere"], found["as_meant"]), ("yes", False), found)
        checked = self.api.good("POST", "/api/v1/accounts/cabin/check")
        self.assertTrue(checked["ok"], checked)
        events = [row["record"] for row in self.stage.rows("events#postroom")]
        self.assertEqual([event["type"] for event in events if event["credential"] == "keyless"], ["credential.reach"])
        # Where Postroom itself is reached, and nothing else at its host.
        told = self.api.good("POST", "/api/v1/redirect-uri/check")
        self.assertEqual((told["ok"], "localhost" in told["steps"][0]["detail"]), (False, True), told)
        self.assertTrue(told["redirect_uri"].endswith("/OAuth2Callback"), told)
        problem, told = self.stage.invoke("Importer", {"ask": "redirect", "redirect_uri": "https://post.contoso.example/api/v1/health"})
        self.assertIsNone(problem, told)
        self.assertIn("no redirect URI", told["Err"]["refused"])
        # As `watch` asks it once an hour: a day has not passed, so nothing is tried again.
        problem, told = self.stage.invoke("Importer", {"ask": "look"})
        self.assertIsNone(problem, told)
        self.assertEqual(told["tried"], 0, told)

    def test_5_it_goes_again(self):
        self.api.good("DELETE", "/api/v1/accounts/cabin?confirm=cabin")
        with self.assertRaises(Answer):
            self.api.good("GET", "/api/v1/accounts/cabin")


if __name__ == "__main__":
    unittest.main()
