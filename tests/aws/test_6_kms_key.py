"""A key that KMS keeps proves the app: made by the script of infra/, named to the stack by a parameter, used by token-refresh alone."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from botocore.exceptions import ClientError
from cryptography import x509

from cfn import ROOT
from stage import stage

SHOP = "shop@harbour-homes.example"
FIRING = 200
# `aws` as far as the script needs it, against the emulator.
AWS = '''#!{python}
import base64, sys, boto3
words = sys.argv[1:]
given = dict(zip(words[2::2], words[3::2]))
kms = boto3.client("kms", endpoint_url="{endpoint}", region_name="{region}", aws_access_key_id="test", aws_secret_access_key="test")
if words[:2] == ["kms", "create-key"]:
    made = kms.create_key(KeySpec=given["--key-spec"], KeyUsage=given["--key-usage"], Description=given["--description"])
    print(made["KeyMetadata"]["Arn"])
elif words[:2] == ["kms", "get-public-key"]:
    print(base64.b64encode(kms.get_public_key(KeyId=given["--key-id"])["PublicKey"]).decode())
else:
    sys.exit("unknown: " + " ".join(words))
'''
AZ = '#!/bin/sh\necho "$*" >>"$ASKED"\n'


class KmsKey(unittest.TestCase):
    """The tests build on each other, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        cls.api = cls.stage.api
        cls.client_id = "aaaaaaaa-0000-4000-8000-0000000000c5"
        act = cls.stage.simulator.act
        act("register-app", clientId=cls.client_id, secret="never told to Postroom either", roles=["Mail.ReadWrite"])
        act("add-mailbox", address=SHOP)
        act("fill", mailbox=SHOP, count=5, days=2)
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.directory = Path(directory.name)

    def script(self, *words):
        """Runs the script: (exit code, what it said)."""
        kms = self.stage.emulator.client("kms").meta
        for name, text in (("aws", AWS.format(python=sys.executable, endpoint=kms.endpoint_url, region=kms.region_name)), ("az", AZ)):
            (self.directory / name).write_text(text)
            (self.directory / name).chmod(0o755)
        environment = {"PATH": f"{self.directory}:{os.environ['PATH']}", "ASKED": str(self.directory / "asked")}
        done = subprocess.run([ROOT / "infra/entra/kms-key.sh", *words], env=environment, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def ask(self):
        return self.api.call("POST", "/api/v1/credentials/kms/token")

    def test_1_the_script_makes_key_and_certificate_and_registers_it(self):
        file = self.directory / "certificate.pem"
        code, said = self.script(self.client_id, str(file))
        self.assertEqual(code, 0, said)
        type(self).key = next(line.split()[1] for line in said.splitlines() if line.startswith("Key: "))
        self.assertIn(f"SigningKeyArn={self.key}", said)
        self.assertIn(f"ad app credential reset --id {self.client_id} --append --cert @{file}", (self.directory / "asked").read_text())
        type(self).pem = file.read_text()
        self.assertNotIn("PRIVATE KEY", self.pem)
        self.assertEqual(x509.load_pem_x509_certificate(self.pem.encode()).version, x509.Version.v3)
        code, said = self.script(self.client_id, str(file))
        self.assertEqual((code, "already" in said), (2, True), said)
        # A new certificate for the same key, as for renewal.
        keys = len(self.stage.emulator.client("kms").list_keys()["Keys"])
        again = self.directory / "again.pem"
        code, said = self.script(self.client_id, str(again), "30", self.key)
        self.assertEqual((code, f"SigningKeyArn={self.key}" in said), (0, True), said)
        self.assertEqual(len(self.stage.emulator.client("kms").list_keys()["Keys"]), keys)
        first, second = (x509.load_pem_x509_certificate(text.encode()) for text in (self.pem, again.read_text()))
        self.assertEqual(first.public_key(), second.public_key())

    def test_2_a_credential_of_a_key_that_the_stack_was_not_given_says_where_to_name_it(self):
        before = set(self.stage.vault())
        microsoft = self.stage.simulator.told
        made = self.api.good("POST", "/api/v1/credentials", {
            "id": "kms", "description": "A key that never leaves KMS", "grant_type": "client_credentials",
            "certificate": self.pem, "kms_key": self.key, "token_url": microsoft["tokenUrl"], "client_id": self.client_id,
            "scope": microsoft.get("scope", f"{microsoft['origin']}/.default"), "graph_url": microsoft["graphUrl"],
        })
        self.assertEqual((made["authentication"]["kind"], made["authentication"]["key"]), ("kms_key", self.key))
        self.assertEqual(set(self.stage.vault()), before, "nothing was stored")
        status, told = self.ask()
        self.assertEqual(status, 409, told)
        self.assertIn("SigningKeyArn", told["detail"])

    def test_3_with_the_parameter_it_signs_and_entra_must_know_the_certificate(self):
        self.stage.parameters["SigningKeyArn"] = self.key
        self.stage.deployment.deploy(self.stage.parameters, "sam-deploy-signing")
        status, told = self.ask()
        self.assertEqual((status, told["codes"]), (409, [700027]), told)
        self.stage.simulator.act("add-certificate", clientId=self.client_id, pem=self.pem)
        self.assertIn("Mail.ReadWrite", self.api.good("POST", "/api/v1/credentials/kms/token")["roles"])

    def test_4_no_other_function_signs_and_no_other_key(self):
        def sign(function, key):
            client = self.stage.emulator.client("kms", *self.stage.keys_of(function))
            return client.sign(KeyId=key, Message=b"x", MessageType="RAW", SigningAlgorithm="RSASSA_PSS_SHA_256")["Signature"]

        self.assertEqual(len(sign("TokenRefresh", self.key)), 256)
        other = self.stage.emulator.client("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        for function, key in [("TokenRefresh", other), *((name, self.key) for name in ("Importer", "Console", "Watch", "OauthCallback"))]:
            with self.subTest(function), self.assertRaises(ClientError) as refused:
                sign(function, key)
            self.assertIn("AccessDenied", refused.exception.response["Error"]["Code"])

    def test_5_its_account_is_imported(self):
        self.stage.make_account("shop", SHOP, credential="kms")
        self.stage.wait_for_records("shop", 5, FIRING)
        self.assertEqual(self.stage.differences("shop", SHOP), [])
        self.assertNotIn("never told to Postroom either", self.stage.secrets())

    def test_6_a_key_that_is_disabled_is_said_to_be(self):
        kms = self.stage.emulator.client("kms")
        kms.disable_key(KeyId=self.key)
        status, told = self.ask()
        self.assertEqual(status, 409, told)
        self.assertIn("disabled", told["detail"])
        kms.enable_key(KeyId=self.key)
        self.api.good("POST", "/api/v1/credentials/kms/token")
        self.api.good("DELETE", "/api/v1/accounts/shop?confirm=shop")


if __name__ == "__main__":
    unittest.main()
