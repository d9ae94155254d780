"""The rules template.yaml is held to. A rule takes the template and the table of rights, and answers what is wrong in words."""

from . import alarms, code, data, flow, roles

RULES = {rule.__name__: rule for module in (roles, data, flow, code, alarms) for rule in module.RULES}
