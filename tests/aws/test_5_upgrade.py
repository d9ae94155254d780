"""An upgrade in the middle of an import loses nothing; a stack that is deleted leaves data and key behind."""

import threading
import unittest

from processes import wait_for
from stage import DESK, stage


class Upgrade(unittest.TestCase):
    """The last test: the stack is gone afterwards."""

    @classmethod
    def setUpClass(cls):
        cls.stage = stage()
        cls.stage.settle()

    def test_1_a_deployment_in_the_middle_of_an_import_harms_nothing(self):
        s = self.stage
        count, before = s.records("desk"), len(s.objects("desk"))
        # Slow enough that a deployment fits into the import.
        s.simulator.act("set-latency", serviceMs=2000, networkMs=0)
        s.simulator.act("fill", mailbox=DESK, count=80, days=1)
        s.send("Importer", {"account": "desk", "trigger": "test"})
        wait_for("the run is in its middle", lambda: len(s.objects("desk")) > before, 120, every=0.05)
        deployed = threading.Event()

        def end_slowness():
            deployed.wait(300)
            s.simulator.act("set-latency", serviceMs=0, networkMs=0)

        waiting = threading.Thread(target=end_slowness)
        waiting.start()
        try:
            s.deployment.deploy({**s.parameters, "LogDays": "7", "ImporterSeconds": "90"}, "sam-deploy-again")
            still = s.records("desk") < count + 80
        finally:
            deployed.set()
            waiting.join()
        self.assertTrue(still, "the import was not over when the deployment was")
        configuration = s.emulator.client("lambda").get_function_configuration(FunctionName=s.outputs["ImporterFunction"])
        self.assertEqual(configuration["Timeout"], 90, "the changed parameter arrived")
        s.wait_for_records("desk", count + 80, 400)
        self.assertEqual(s.differences("desk", DESK, killed=True), [])

    def test_2_a_deleted_stack_leaves_data_and_key(self):
        s, root = self.stage, self.stage.emulator.client
        s.keep_logs()
        kept, table, key = s.objects("desk"), s.outputs["TableName"], s.outputs["KeyArn"]
        # Whoever means it switches the protection off first (docs/aws.md); the table stays all the same.
        root("cloudformation").delete_stack(StackName=s.name)

        def gone():
            try:
                status = root("cloudformation").describe_stacks(StackName=s.name)["Stacks"][0]["StackStatus"]
            except root("cloudformation").exceptions.ClientError:
                return "DELETE_COMPLETE"
            return status if status.startswith("DELETE_") and status != "DELETE_IN_PROGRESS" else None

        self.assertEqual(wait_for("the stack is deleted", gone, 120), "DELETE_COMPLETE")
        self.assertEqual(s.objects("desk"), kept)
        self.assertTrue(root("dynamodb").query(
            TableName=table, KeyConditionExpression="#p = :p", ExpressionAttributeNames={"#p": "partition"}, ExpressionAttributeValues={":p": {"S": "accounts"}}
        )["Items"])
        self.assertTrue(root("kms").describe_key(KeyId=key)["KeyMetadata"]["Enabled"])
        names = [function["FunctionName"] for function in root("lambda").list_functions()["Functions"]]
        self.assertNotIn(s.outputs["ImporterFunction"], names)


if __name__ == "__main__":
    unittest.main()
