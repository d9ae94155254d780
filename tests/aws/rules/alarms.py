"""Rules about alarms and dashboard: they watch what is really told, everything that should alarm does, somebody hears it.

What the functions tell stands in functions/src/metrics.rs; a test there keeps tests/aws/metrics.json true.
"""

import json
import re

from cfn import ROOT, metrics, text

from .roles import of_type

TOPIC = [{"Ref": "AlarmTopic"}]
OUR_STACK = {"Ref": "AWS::StackName"}
# Metrics of AWS itself that are watched: (namespace, name) -> the dimension, the kind of resource it names, and how.
OF_AWS = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ("QueueName", "AWS::SQS::Queue", "{}.QueueName"),
    ("AWS/Lambda", "Throttles"): ("FunctionName", "AWS::Serverless::Function", "{}"),
    ("AWS/ApiGateway", "5xx"): ("ApiId", "AWS::ApiGatewayV2::Api", "{}"),
    ("AWS/ApiGateway", "4xx"): ("ApiId", "AWS::ApiGatewayV2::Api", "{}"),
    ("AWS/ApiGateway", "Count"): ("ApiId", "AWS::ApiGatewayV2::Api", "{}"),
}
# Types of failure that nobody mends by waiting, and the one that must not go on. The others are states of accounts.
TYPES = {"Operator", "Defect", "Transient"}


def alarms(template):
    return {name: alarm["Properties"] for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items()}


def is_told(template, namespace, name, dimensions):
    """Why nobody ever tells this metric; nothing if somebody does. `dimensions`: name -> text of its value."""
    table = metrics()
    if namespace == table["namespace"]:
        entry = next((entry for entry in table["metrics"] if entry["name"] == name), None)
        if entry is None:
            return f"no function tells {name}"
        if set(dimensions) != set(entry["dimensions"]):
            return f"{name} is told by {entry['dimensions']}, not by {sorted(dimensions)}"
        if dimensions["Stack"] not in ("AWS::StackName", "${AWS::StackName}"):
            return f"{name} is told by the stack's name, not by {dimensions['Stack']}"
        if dimensions.get("ErrorType", table["error_types"][0]) not in table["error_types"]:
            return f"no failure has the type {dimensions['ErrorType']}"
        return None
    if (namespace, name) not in OF_AWS:
        return f"{namespace} {name} is not among the metrics of AWS that we know"
    dimension, kind, form = OF_AWS[namespace, name]
    if set(dimensions) != {dimension}:
        return f"AWS tells {name} by {dimension}, not by {sorted(dimensions)}"
    value = re.sub(r"^\$\{(.*)\}$", r"\1", dimensions[dimension])
    if value not in {form.format(resource) for resource in of_type(template, kind)}:
        return f"{name}: {value} names no {kind}"
    return None


def dimensions_of(alarm):
    return {dimension["Name"]: text(dimension["Value"]) for dimension in alarm.get("Dimensions", [])}


def alarms_watch_what_is_told(template, _rights):
    problems = []
    for name, alarm in alarms(template).items():
        why = is_told(template, alarm.get("Namespace"), alarm.get("MetricName"), dimensions_of(alarm))
        if why:
            problems.append(f"{name}: {why}")
        if "Unit" in alarm:
            problems.append(f"{name}: a unit that is not the metric's makes it see nothing; leave it away")
    return problems


def what_should_alarm_does(template, _rights):
    table = metrics()
    seen = [(alarm["Namespace"], alarm["MetricName"], dimensions_of(alarm)) for alarm in alarms(template).values()]
    ours = {name for namespace, name, _ in seen if namespace == table["namespace"]}
    wanted = {entry["name"] for entry in table["metrics"] if entry["alarms"]}
    problems = [f"{name}: should alarm, and no alarm watches it" for name in sorted(wanted - ours)]
    problems += [f"{name}: an alarm watches it; the table says it does not" for name in sorted(ours - wanted)]
    types = {dimensions["ErrorType"] for _, name, dimensions in seen if name == "Failures"}
    problems += [f"failures of the type {kind} alarm nobody" for kind in sorted(TYPES - types)]
    watched = {dimensions.get("QueueName") for _, _, dimensions in seen}
    letters = set(of_type(template, "AWS::SQS::Queue")) - {"EventQueue"}
    problems += [f"{queue}: what is in it alarms nobody" for queue in sorted(letters) if f"{queue}.QueueName" not in watched]
    return problems


def alarms_reach_somebody(template, _rights):
    problems = []
    for name, alarm in alarms(template).items():
        for actions in ("AlarmActions", "OKActions"):
            if alarm.get(actions) != TOPIC or alarm.get("ActionsEnabled", True) is not True:
                problems.append(f"{name}: {actions} do not go to the topic")
        if not alarm.get("AlarmDescription"):
            problems.append(f"{name}: whoever gets the mail does not know what it means")
    key = [s for s in template["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    if not any("cloudwatch.amazonaws.com" in s["Principal"]["Service"] for s in key):
        problems.append("Key: CloudWatch cannot put into the sealed topic")
    return problems


def silence_alarms(template, _rights):
    """What is told by the clock alarms when it is not told: that needs no error path."""
    problems = []
    for metric, function in (("SilentAccounts", "watch"), ("RefreshFailures", "token-refresh")):
        if not any(a["MetricName"] == metric and a.get("TreatMissingData") == "breaching" for a in alarms(template).values()):
            problems.append(f"{function}: its silence alarms nobody")
    for name, alarm in alarms(template).items():
        if alarm.get("TreatMissingData") not in ("breaching", "notBreaching"):
            problems.append(f"{name}: does not say what missing values mean")
    return problems


def shown(template):
    """What the dashboard shows: (namespace, metric, dimensions)."""
    found = []
    for dashboard in of_type(template, "AWS::CloudWatch::Dashboard").values():
        for widget in json.loads(text(dashboard["Properties"]["DashboardBody"]))["widgets"]:
            for namespace, name, *pairs in widget["properties"]["metrics"]:
                found.append((namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))))
    return found


def the_dashboard_shows_what_is_told(template, _rights):
    table, seen = metrics(), shown(template)
    problems = [f"dashboard: {why}" for one in seen if (why := is_told(template, *one))]
    ours = {name for namespace, name, _ in seen if namespace == table["namespace"]}
    return problems + [f"dashboard: {entry['name']} is not shown" for entry in table["metrics"] if entry["name"] not in ours]


def every_alarm_is_explained(template, _rights):
    """docs/operations.md has a heading for each alarm, and none for one that is not there."""
    page = (ROOT / "docs/operations.md").read_text()
    explained = set(re.findall(r"^#### `(\w+)`", page, re.MULTILINE))
    there = set(alarms(template))
    problems = [f"{name}: docs/operations.md does not say what to do" for name in sorted(there - explained)]
    return problems + [f"docs/operations.md explains {name}, which is no alarm" for name in sorted(explained - there)]


RULES = [
    alarms_watch_what_is_told,
    what_should_alarm_does,
    alarms_reach_somebody,
    silence_alarms,
    the_dashboard_shows_what_is_told,
    every_alarm_is_explained,
]
