"""What runs of the importer cost: idle and with 100 messages; time, CPU, memory, calls to AWS and to Microsoft.

The real functions set the account up and import, against the emulator and the simulated Microsoft. Python's function polls
the same mailbox.
"""

import statistics

from alone import MAILBOX, Scene
from lambda_host import Sandbox
from processes import LOGS

MAILS = 100
IDLE = 5


def idle(scene, sandbox):
    runs = [scene.run(sandbox, 0) for _ in range(IDLE)]
    return {**runs[-1], "wall": statistics.median(r["wall"] for r in runs), "cpu": statistics.median(r["cpu"] for r in runs)}


def python(scene, beside):
    """Its first event brings secret, token and one page; the next ones the page alone."""
    client, told = scene.emulator.client("secretsmanager"), scene.simulator.told
    client.create_secret(Name="beside/client", SecretString=told["clientSecret"])
    tenant = told["tokenUrl"].removeprefix(told["origin"]).split("/")[1]
    event = {
        "client": told["clientId"], "secret": "beside/client", "tenant": tenant, "login": told["origin"],
        "url": f"{told['graphUrl']}/users/{MAILBOX}/mailFolders/inbox/messages/delta?$top=200",
    }
    sandbox = Sandbox(beside, scene.environment, scene.log)
    rows = []
    for _ in range(1 + IDLE):
        scene.count()
        _, wall, cpu = sandbox.call(event)
        aws, microsoft = scene.count()
        rows.append({"wall": wall, "cpu": cpu, "aws": dict(aws), "microsoft": microsoft})
    again = {**rows[-1], "wall": statistics.median(r["wall"] for r in rows[1:]), "cpu": statistics.median(r["cpu"] for r in rows[1:])}
    peak = sandbox.peak()
    sandbox.end()
    return {**rows[0], "peak": peak}, {**again, "peak": peak}


def measure(functions, beside):
    """Rows by name."""
    LOGS.mkdir(parents=True, exist_ok=True)
    scene = Scene(functions, LOGS / "bench.log")
    # The first run begins the folder and brings the token; what is measured afterwards is a warm sandbox.
    importer = scene.start("importer")
    first = scene.run(importer, 0)
    rows = {"first run of a sandbox, nothing new": {**first, "peak": importer.peak()}}
    rows["idle run"] = {**idle(scene, importer), "peak": importer.peak()}
    scene.simulator.act("fill", mailbox=MAILBOX, count=MAILS, days=5)
    rows[f"run with {MAILS} messages"] = {**scene.run(importer, MAILS), "peak": importer.peak()}
    importer.end()
    page, again = python(scene, beside)
    rows["Python: first event, one page"] = page
    rows["Python: the same page again"] = again
    scene.close()
    return rows
