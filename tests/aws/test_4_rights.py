"""What no function may do is refused, and what it may do works: real calls with each deployed role's own keys."""

import io
import unittest
import zipfile

from botocore.exceptions import ClientError

from actions import ACTIONS, FUNCTIONS, Place
from stage import stage

RESOURCES = {"importer": "Importer", "token-refresh": "TokenRefresh", "watch": "Watch", "console": "Console", "oauth-callback": "OauthCallback"}
REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


class Rights(unittest.TestCase):
    """All functions times all actions."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        emulator, resources, outputs = cls.stage.emulator, cls.stage.resources, cls.stage.outputs
        root = emulator.client
        iam = root("iam")
        cls.keys = {function: cls.stage.keys_of(resource) for function, resource in RESOURCES.items()}
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("other.py", "")
        cls.place = Place(
            stack=cls.stage.name,
            bucket=outputs["ArchiveBucket"],
            table=outputs["TableName"],
            bus=outputs["EventBusName"],
            key=outputs["KeyArn"],
            group=outputs["ScheduleGroup"],
            schedule_role=iam.get_role(RoleName=resources["ScheduleRole"])["Role"]["Arn"],
            dead_letters=resources["MissedFirings"],
            event_queue=outputs["EventQueueUrl"],
            functions={name: resources[resource] for name, resource in RESOURCES.items()},
            importer_role=resources["ImporterRole"],
            log_group=resources["ImporterLog"],
            code=packed.getvalue(),
            sealed=root("kms").encrypt(KeyId=outputs["KeyArn"], Plaintext=b"x")["CiphertextBlob"],
        )
        secrets = root("secretsmanager")
        for kind in ("client", "grant", "access", "sign-in"):
            secrets.create_secret(Name=f"{cls.stage.name}/{kind}/probe", SecretString="x")
        root("s3").put_object(Bucket=cls.place.bucket, Key="probe/object", Body=b"x")

    @classmethod
    def tearDownClass(cls):
        root = cls.stage.emulator.client
        found = root("s3").list_objects_v2(Bucket=cls.place.bucket, Prefix="probe/").get("Contents", [])
        for entry in found:
            root("s3").delete_object(Bucket=cls.place.bucket, Key=entry["Key"])

    def is_refused(self, function, action):
        """Whether AWS says no; any other trouble is a defect of the test or of the stack."""
        if action.name.startswith("delete a "):
            kind = "client" if "client" in action.name else "grant"
            root = self.stage.emulator.client("secretsmanager")
            try:
                root.create_secret(Name=f"{self.stage.name}/{kind}/doomed", SecretString="x")
            except root.exceptions.ResourceExistsException:
                pass
            except root.exceptions.InvalidRequestException:
                root.restore_secret(SecretId=f"{self.stage.name}/{kind}/doomed")
        client = self.stage.emulator.client(action.service, *self.keys[function])
        try:
            action.does(client, self.place)
            return False
        except ClientError as error:
            if error.response["Error"]["Code"] in REFUSED:
                return True
            raise

    def test_the_archive_refuses_plain_http(self):
        self.assertIn(self.stage.without_tls, REFUSED)

    def test_the_matrix(self):
        self.assertGreaterEqual(len(ACTIONS), 25)
        for function in FUNCTIONS:
            for action in ACTIONS:
                with self.subTest(function=function, action=action.name):
                    self.assertEqual(self.is_refused(function, action), function not in action.may)

    def test_every_action_would_work_for_somebody(self):
        """A call that is refused to everybody because it is wrong would prove nothing: the root may do it."""
        harmless = {"read the whole table", "list the secrets", "make a secret of another kind", "write the secret of the sign-in", "make a secret for the sign-in", "start the console", "read a function's settings",
                    "read the events of others", "read logs", "open something with the key", "change the rules"}
        for action in ACTIONS:
            if not action.may and action.name in harmless:
                with self.subTest(action.name):
                    action.does(self.stage.emulator.client(action.service), self.place)


if __name__ == "__main__":
    unittest.main()
