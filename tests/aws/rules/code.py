"""Rules that hold template, table and the code in functions/ together: binaries, settings, calls."""

import functools
import re

import botocore.session
from botocore import xform_name

from cfn import ROOT, text

SERVICES = ["dynamodb", "secretsmanager", "scheduler", "events", "lambda", "s3", "sqs", "kms", "sts"]
SETTING = re.compile(r'"(POSTROOM_[A-Z_]+)"')


def sources():
    """The code of the functions, without what stands in test modules."""
    found = {}
    for path in sorted((ROOT / "functions/src").rglob("*.rs")):
        found[str(path.relative_to(ROOT))] = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
    return found


@functools.cache
def operations():
    """The name of every operation of the services we speak to, as the SDK for Rust spells it."""
    session = botocore.session.get_session()
    return {
        xform_name(operation)
        for service in SERVICES
        for operation in session.get_service_model(service).operation_names
    }


def calls(code):
    """Every call of the SDK in a text: `.get_item()`. Builders take their parts afterwards, so the brackets are empty."""
    return set(re.findall(r"\.\s*([a-z_]+)\(\)", code)) & operations()


def binaries_agree(template, rights):
    problems = []
    found = {path.stem for path in (ROOT / "functions/src/bin").glob("*.rs")}
    if found != rights["functions"].keys():
        problems.append(f"the code has the binaries {sorted(found)}, the table {sorted(rights['functions'])}")
    built = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            metadata = resource.get("Metadata", {})
            if metadata.get("BuildMethod") != "rust-cargolambda":
                problems.append(f"{name}: not built by cargo-lambda")
            built[metadata.get("BuildProperties", {}).get("Binary")] = name
    wanted = {name: function["resource"] for name, function in rights["functions"].items()}
    if built != wanted:
        problems.append(f"the template builds {built}, the table says {wanted}")
    shared = template["Globals"]["Function"]
    if shared.get("Runtime") != "provided.al2023" or shared.get("CodeUri") != "." or shared.get("Architectures") != [{"Ref": "Architecture"}]:
        problems.append("the functions must be built at the top, over one target directory, for provided.al2023 and the architecture that was asked for")
    return problems


def settings_agree(template, rights):
    """Variables in the template, in the table and in the code are the same ones, and none carries a secret."""
    problems = []
    for name, function in rights["functions"].items():
        variables = template["Resources"][function["resource"]]["Properties"]["Environment"]["Variables"]
        wanted = {f"POSTROOM_{setting}" for setting in function["settings"]}
        problems += [f"{name}: is given {extra}; the table does not say so" for extra in sorted(variables.keys() - wanted)]
        problems += [f"{name}: is not given {missing}" for missing in sorted(wanted - variables.keys())]
        for variable, value in variables.items():
            if "resolve:" in str(value):
                problems.append(f"{name}: {variable} carries a secret")
    for name, parameter in template["Parameters"].items():
        if parameter.get("NoEcho") or re.search("secret|password", name, re.IGNORECASE):
            problems.append(f"{name}: no secret comes in by a parameter")
    listed = {f"POSTROOM_{setting}" for function in rights["functions"].values() for setting in function["settings"]}
    read = {name for code in sources().values() for name in SETTING.findall(code)}
    config = [ROOT / "shared/src/config.rs", *sorted((ROOT / "shared/src/config").glob("*.rs"))]
    common = {name for path in config for name in SETTING.findall(path.read_text())}
    problems += [f"the code reads {name}; no function is given it" for name in sorted(read - listed)]
    problems += [f"{name} is given and nobody reads it" for name in sorted(listed - read - common)]
    return problems


def calls_agree(_template, rights):
    problems = []
    made = {}
    for path, code in sources().items():
        for call in calls(code):
            made.setdefault(call, path)
    problems += [f"{made[call]} calls {call}; the table of rights does not know it" for call in sorted(made.keys() - rights["calls"].keys())]
    problems += [f"{call} is in the table of rights and nobody calls it" for call in sorted(rights["calls"].keys() - made.keys())]
    needed = {right for call in made for right in rights["calls"].get(call, [])} | set(rights["blobs"]) | rights["platform"].keys()
    granted = {action for function in rights["functions"].values() for actions in function["may"].values() for action in actions}
    problems += [f"{right} is granted and no call needs it" for right in sorted(granted - needed)]
    problems += [f"{right} is needed by a call and granted to nobody" for right in sorted(needed - granted)]
    return problems


def settings_name_what_they_say(template, rights):
    """A variable that names another resource than its name says would be found in production only."""
    meant = {
        "STACK": "AWS::StackName",
        "TABLE": "Table",
        "BUCKET": "Archive",
        "KMS_KEY": "Key.Arn",
        "EVENT_BUS": "Events",
        "SCHEDULE_GROUP": "Schedules",
        "SCHEDULE_ROLE": "ScheduleRole.Arn",
        "SCHEDULE_DLQ": "MissedFirings.Arn",
        "IMPORTER": "Importer.Arn",
        "TOKEN_REFRESH": "TokenRefresh.Arn",
    }
    return [
        f"{name}: POSTROOM_{setting} names {text(value)}, not {meant[setting]}"
        for name, function in rights["functions"].items()
        for variable, value in template["Resources"][function["resource"]]["Properties"]["Environment"]["Variables"].items()
        if (setting := variable.removeprefix("POSTROOM_")) in meant and text(value) != meant[setting]
    ]


RULES = [binaries_agree, settings_agree, settings_name_what_they_say, calls_agree]
