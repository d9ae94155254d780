"""A mail of 150 MB goes through the importer into S3: within 64 MB of memory above what it has without mail, and no file."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import artifacts
from alone import MAILBOX, SETTINGS, Scene
from lambda_host import forbid_files
from processes import LOGS
from world import BUILD

MEGABYTES = 150
# Resident memory above the same process before the mail.
LIMIT = 64


class LargeMail(unittest.TestCase):
    """The importer's own process, with the limit on what it may write set to nothing: what lies in /tmp would end it."""

    @classmethod
    def setUpClass(cls):
        functions = [(name, [BUILD / resource / "bootstrap"]) for resource, name in artifacts.functions().items()]
        LOGS.mkdir(parents=True, exist_ok=True)
        cls.scene = Scene(functions, LOGS / "large-mail.log")
        cls.addClassCleanup(cls.scene.close)

    def test_150_megabytes_stream_into_the_archive(self):
        importer = self.scene.start("importer", writes_files=False)
        self.addCleanup(importer.end)
        self.scene.run(importer, 0)
        self.scene.run(importer, 0)
        without = importer.peak()
        self.scene.simulator.act("deliver", mailbox=MAILBOX, size=MEGABYTES * 1_000_000)
        calls = self.scene.run(importer, 1)["aws"]
        above = importer.peak() - without
        print(f"{MEGABYTES} MB of mail: {above:.0f} MB above {without:.0f} MB", flush=True)
        self.assertLess(above, LIMIT)
        s3 = self.scene.emulator.client("s3")
        objects = s3.list_objects_v2(Bucket=SETTINGS["POSTROOM_BUCKET"])["Contents"]
        largest = max(objects, key=lambda one: one["Size"])
        truth = self.scene.simulator.ask("truth")
        self.assertEqual(largest["Size"], truth[0]["size"], "the whole mail")
        self.assertGreater(largest["Size"], MEGABYTES * 900_000)
        self.assertGreater(calls["s3 put"], 10, "in parts")

    def test_whoever_writes_a_file_ends(self):
        """The limit is a real one."""
        with tempfile.TemporaryDirectory() as directory:
            command = ["/bin/sh", "-c", "echo x > there"]
            done = subprocess.run(command, cwd=directory, preexec_fn=forbid_files, stderr=subprocess.DEVNULL, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual([path.stat().st_size for path in Path(directory).iterdir()], [0])


if __name__ == "__main__":
    unittest.main()
