"""Reads template.yaml as CloudFormation means it: `!Ref x` becomes {"Ref": "x"}, `!GetAtt a.b` {"Fn::GetAtt": ["a", "b"]}."""

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


def _tag(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def template():
    """The template, afresh."""
    return yaml.load((ROOT / "template.yaml").read_text(), _Loader)


def rights():
    """The table of rights."""
    return yaml.safe_load((ROOT / "tests/aws/rights.yaml").read_text())


def metrics():
    """What the functions tell: the table of functions/src/metrics.rs."""
    return json.loads((ROOT / "tests/aws/metrics.json").read_text())


def text(value):
    """An ARN or a name as the template writes it, in one line: `Table.Arn`, `${Archive.Arn}/*`, `*`."""
    if isinstance(value, dict) and len(value) == 1:
        (key, inner), = value.items()
        if key == "Fn::GetAtt":
            return ".".join(inner)
        if key in ("Ref", "Fn::Sub"):
            return inner if isinstance(inner, str) else inner[0]
    return value if isinstance(value, str) else repr(value)


def many(value):
    """A value that may stand alone or in a list, as a list."""
    return value if isinstance(value, list) else [value]
