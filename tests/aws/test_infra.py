"""The scripts of infra/ are shell that parses, and the one that registers the app asks `az` for what it should and no more."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import tree_sitter_powershell
from tree_sitter import Language, Parser

from cfn import ROOT

REGISTER = ROOT / "infra/entra/app-registration.sh"
REDIRECT = "https://post.contoso.example/OAuth2Callback"
# Answers as `az` does, and writes down what it was asked for.
AZ = r"""#!/bin/sh
echo "$*" >>"$ASKED"
case "$1 $2 $3" in
"ad app list") case "$*" in *Taken*) echo 44444444-0000-0000-0000-000000000000 ;; esac ;;
"ad app create") echo 11111111-0000-0000-0000-000000000000 ;;
"ad sp create") echo 22222222-0000-0000-0000-000000000000 ;;
"ad sp show") case "$*" in *Mail.* | *offline_access*) echo "id-of-$(echo "$*" | sed "s/.*value=='\([^']*\)'.*/\1/")" ;; esac ;;
"account show --query") echo 33333333-0000-0000-0000-000000000000 ;;
esac
"""


def register(*words):
    """Runs the script with a stand-in for `az`: (exit code, what it said, what `az` was asked for)."""
    with tempfile.TemporaryDirectory() as directory:
        az = Path(directory) / "az"
        az.write_text(AZ)
        az.chmod(0o755)
        asked = Path(directory) / "asked"
        environment = {"PATH": f"{directory}:{os.environ['PATH']}", "ASKED": str(asked), "POSTROOM_WAIT": "0"}
        done = subprocess.run([REGISTER, *words], env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr, asked.read_text().splitlines() if asked.exists() else []


def added(asked):
    return [line.split("--api-permissions ")[1].split()[0] for line in asked if "permission add" in line]


POWERSHELL = Parser(Language(tree_sitter_powershell.language()))


def mistakes(text):
    """Where this PowerShell does not parse: lines, from 1."""
    found, open_nodes = [], [POWERSHELL.parse(text.encode()).root_node]
    while open_nodes:
        node = open_nodes.pop()
        if node.is_error or node.is_missing:
            found.append(node.start_point[0] + 1)
        open_nodes += node.children
    return sorted(found)


class Infra(unittest.TestCase):
    """Nothing here reaches Entra."""

    def test_shell_scripts_parse(self):
        scripts = sorted((ROOT / "infra").rglob("*.sh"))
        self.assertIn(REGISTER, scripts)
        for script in scripts:
            with self.subTest(script.name):
                subprocess.run(["sh", "-n", script], check=True, timeout=60)
                if shutil.which("shellcheck"):
                    subprocess.run(["shellcheck", script], check=True, timeout=60)

    def test_powershell_parses(self):
        texts = {path.name: path.read_text() for path in sorted((ROOT / "infra").rglob("*.ps1"))}
        self.assertIn("limit.ps1", texts)
        for page in sorted((ROOT / "docs").glob("*.md")):
            blocks = re.findall(r"^```powershell\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
            texts |= {f"{page.name}, block {at}": block for at, block in enumerate(blocks, 1)}
        self.assertTrue([name for name in texts if name.startswith("limit-mailboxes.md")])
        for name, text in texts.items():
            with self.subTest(name):
                self.assertEqual(mistakes(text), [])
        # A brace or a parenthesis too few is seen.
        for name in ("limit.ps1", "access-policy.ps1"):
            for sign in "})":
                with self.subTest(name, without=sign):
                    before, _, after = texts[name].rpartition(sign)
                    self.assertTrue(mistakes(before + after))

    def test_an_app_of_its_own_is_not_consented_by_the_way(self):
        code, said, asked = register("Postroom", REDIRECT, "application")
        self.assertEqual(code, 0, said)
        self.assertEqual(added(asked), ["id-of-Mail.ReadWrite=Role"])
        self.assertFalse([line for line in asked if "admin-consent" in line])
        self.assertIn("every mailbox", said)
        create, = (line for line in asked if "app create" in line)
        self.assertIn(f"--web-redirect-uris {REDIRECT}", create)
        self.assertIn("AzureADMyOrg", create)
        _, _, asked = register("Postroom", REDIRECT, "application", "Mail.Read", "--consent")
        self.assertEqual(added(asked), ["id-of-Mail.Read=Role"])
        self.assertTrue(asked[-2].startswith("ad app permission admin-consent"), asked)

    def test_somebody_who_signs_in_gets_delegated_scopes(self):
        code, said, asked = register("Postroom", REDIRECT, "delegated", "Mail.Read")
        self.assertEqual(code, 0, said)
        self.assertEqual(added(asked), ["id-of-Mail.Read=Scope", "id-of-Mail.Read.Shared=Scope", "id-of-offline_access=Scope"])

    def test_rights_from_exchange_ask_for_nothing_in_entra(self):
        code, said, asked = register("Postroom", REDIRECT, "exchange", "--consent")
        self.assertEqual((code, added(asked)), (0, []), said)
        self.assertFalse([line for line in asked if "admin-consent" in line], "an unscoped consent would defeat the scope")
        self.assertIn("-ObjectId 22222222-", said)

    def test_what_cannot_work_is_refused_before_anything_is_made(self):
        for words in (
            ("Postroom", "https://post.contoso.example/oauth2callback", "delegated"),
            ("Postroom", "http://post.contoso.example/OAuth2Callback", "delegated"),
            ("Postroom", REDIRECT, "everything"),
            ("Postroom", REDIRECT, "delegated", "Mail.Send"),
            ("Post'room", REDIRECT, "delegated"),
        ):
            with self.subTest(words):
                code, _, asked = register(*words)
                self.assertEqual((code, asked), (2, []))

    def test_no_second_app_of_a_name(self):
        code, said, asked = register("Taken", REDIRECT, "delegated")
        self.assertEqual((code, len(asked)), (1, 1), asked)
        self.assertIn("44444444-", said)


if __name__ == "__main__":
    unittest.main()
