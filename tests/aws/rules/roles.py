"""Rules about rights: each role holds what the table says, nothing on `*` but what is listed, keys and roles to hand over."""

from cfn import many, text

SERVICES_OF_KEY = {"secretsmanager", "dynamodb", "s3", "sqs"}


def of_type(template, kind):
    return {name: r for name, r in template["Resources"].items() if r["Type"] == kind}


def statements(resource):
    """The statements of a role's policies, of a resource policy, or of a key."""
    properties = resource["Properties"]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    documents += [properties[key] for key in ("PolicyDocument", "KeyPolicy") if key in properties]
    return [unconditional(statement) for document in documents for statement in document["Statement"]]


def unconditional(statement):
    """What a statement says where its condition holds; where it does not, nothing may be said instead."""
    if "Fn::If" not in statement:
        return statement
    _, holds, otherwise = statement["Fn::If"]
    return holds if otherwise == {"Ref": "AWS::NoValue"} else {"Effect": "Neither", "Action": "Neither"}


def grants(resource):
    """Every (resource, action) that is allowed."""
    return {
        (text(where), action)
        for statement in statements(resource)
        if statement["Effect"] == "Allow"
        for where in many(statement.get("Resource", "no resource"))
        for action in many(statement.get("Action", "no action"))
    }


def role_of(function):
    return f"{function['resource']}Role"


def roles_hold_what_the_table_says(template, rights):
    problems = []
    for name, function in rights["functions"].items():
        role = template["Resources"].get(role_of(function))
        if role is None:
            problems.append(f"{name}: there is no {role_of(function)}")
            continue
        wanted = {
            (rights["resources"][where].replace("SELF", function["resource"]), action)
            for where, actions in function["may"].items()
            for action in actions
        }
        found = grants(role)
        problems += [f"{name}: may do {action} on {where}; the table does not say so" for where, action in sorted(found - wanted)]
        problems += [f"{name}: may not do {action} on {where}; the table says it may" for where, action in sorted(wanted - found)]
        if template["Resources"][function["resource"]]["Properties"].get("Role") != {"Fn::GetAtt": [role_of(function), "Arn"]}:
            problems.append(f"{name}: runs under another role than {role_of(function)}")
    return problems


def roles_say_all_in_their_own_policies(template, _rights):
    """What is not an inline statement of allowed actions would be seen by no other rule."""
    problems = []
    for name, role in of_type(template, "AWS::IAM::Role").items():
        if role["Properties"].keys() - {"AssumeRolePolicyDocument", "Policies"}:
            problems.append(f"{name}: has more than a trust and inline policies")
        for statement in statements(role):
            if statement["Effect"] != "Allow" or statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}:
                problems.append(f"{name}: {statement.get('Sid')} is not a plain allowance")
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::IAM::User"):
        problems += [f"{name}: rights belong into the roles" for name in of_type(template, kind)]
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        problems += [f"{name}: {key} adds rights unseen" for key in ("Policies", "Connectors", "Events") if key in function["Properties"]]
    return problems


def nothing_on_everything(template, rights):
    listed = {(entry["role"], entry["action"]) for entry in rights["any_resource"] if entry.get("why")}
    used, problems = set(), []
    for name, resource in template["Resources"].items():
        if resource["Type"] not in ("AWS::IAM::Role", "AWS::KMS::Key", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"):
            continue
        for where, action in grants(resource):
            if "*" in action and (name, action) not in listed:
                problems.append(f"{name}: the action {action}")
            if where == "*":
                used.add((name, action))
                if (name, action) not in listed:
                    problems.append(f"{name}: {action} on every resource, without a reason in the table")
    return problems + [f"{role}: {action} is listed and not used" for role, action in sorted(listed - used)]


def what_may_never_be_is_not(template, rights):
    """The promises of the table of functions, read apart from the list of rights."""
    problems = []
    for name, function in rights["functions"].items():
        for where, action in grants(template["Resources"][role_of(function)]):
            for never in function["never"]:
                place = rights["resources"].get(never)
                if action == never or (place is not None and where == place and action != "secretsmanager:DeleteSecret"):
                    problems.append(f"{name}: {action} on {where}; promised never")
    return problems


def reads_no_other_secret(template, rights):
    """Where the table names the only secret a function may read, it reads that one and no other."""
    problems = []
    for name, function in rights["functions"].items():
        only = function.get("reads_only")
        read = {where for where, action in grants(template["Resources"][role_of(function)]) if action == "secretsmanager:GetSecretValue"}
        if only and read != {rights["resources"][only]}:
            problems.append(f"{name}: reads {sorted(read)}; promised to read {only} alone")
    return problems


def functions_are_trusted_to_lambda_alone(template, rights):
    problems = []
    for name, function in rights["functions"].items():
        trust = template["Resources"][role_of(function)]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        wanted = [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
        if trust != wanted:
            problems.append(f"{name}: somebody else than Lambda may take its role")
    return problems


def whoever_writes_schedules_may_hand_over_their_role(template, _rights):
    """The emulator does not ask for iam:PassRole; AWS does."""
    problems = []
    for name, role in of_type(template, "AWS::IAM::Role").items():
        writes = {action for _, action in grants(role)} & {"scheduler:CreateSchedule", "scheduler:UpdateSchedule"}
        passes = [s for s in statements(role) if "iam:PassRole" in many(s["Action"])]
        if writes and not any(text(s["Resource"]) == "ScheduleRole.Arn" for s in passes):
            problems.append(f"{name}: writes schedules and may not hand over ScheduleRole")
        for statement in passes:
            if statement.get("Condition") != {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}:
                problems.append(f"{name}: may hand over a role to others than Scheduler")
    return problems


def tokens_are_made_for_entra_alone(template, _rights):
    """A token for another audience would let the role in elsewhere: the action knows no resource that could limit it."""
    problems = []
    audiences = {"api://AzureADTokenExchange", "api://AzureADTokenExchangeUSGov", "api://AzureADTokenExchangeChina"}
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for statement in statements(role):
            if "sts:GetWebIdentityToken" not in many(statement["Action"]):
                continue
            condition = statement.get("Condition", {})
            pinned = condition.get("ForAllValues:StringEquals", {}).get("sts:IdentityTokenAudience", [])
            if set(many(pinned)) != audiences:
                problems.append(f"{name}: makes tokens for {pinned or 'anybody'}")
            if not int(condition.get("NumericLessThanEquals", {}).get("sts:DurationSeconds", 3600)) <= 300:
                problems.append(f"{name}: makes tokens that live longer than five minutes")
    return problems


def assertions_are_signed_as_entra_wants_them(template, _rights):
    """The right to sign is for one algorithm and one key; with another algorithm a key could be made to sign something else."""
    problems = []
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for statement in statements(role):
            if "kms:Sign" not in many(statement["Action"]):
                continue
            if statement.get("Condition") != {"StringEqualsIfExists": {"kms:SigningAlgorithm": "RSASSA_PSS_SHA_256"}}:
                problems.append(f"{name}: signs by {statement.get('Condition') or 'any algorithm'}")
    return problems


def scheduler_may_start_the_importer_alone(template, _rights):
    problems = []
    invoked = {
        "ScheduleRole": {"Importer.Arn"},
        "TimerRole": {"Watch.Arn", "TokenRefresh.Arn"},
    }
    for name, targets in invoked.items():
        role = template["Resources"][name]
        may = grants(role)
        rest = {"MissedFirings.Arn": "sqs:SendMessage", "Key.Arn": None}
        if {where for where, action in may if action == "lambda:InvokeFunction"} != targets:
            problems.append(f"{name}: starts something else than {sorted(targets)}")
        for where, action in may:
            if where not in targets and where not in rest:
                problems.append(f"{name}: may {action} on {where}")
        if ("MissedFirings.Arn", "sqs:SendMessage") not in may:
            problems.append(f"{name}: cannot put a missed firing into its queue")
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            if statement["Principal"] != {"Service": "scheduler.amazonaws.com"} or "aws:SourceAccount" not in str(statement.get("Condition")):
                problems.append(f"{name}: can be taken by others than this account's Scheduler")
    return problems


def whoever_touches_what_is_sealed_has_the_key(template, rights):
    """The emulator does not ask for rights on the key; AWS does, and refuses all else without them."""
    problems = []
    table = {role_of(function): set(function["sealed"]) for function in rights["functions"].values()}
    for name, role in of_type(template, "AWS::IAM::Role").items():
        services = {
            service
            for where, action in grants(role)
            if (service := action.split(":")[0]) in SERVICES_OF_KEY and action != "s3:ListBucket"
        }
        if table.get(name, services) != services:
            problems.append(f"{name}: touches {sorted(services)}; the table says {sorted(table[name])}")
        seals = [s for s in statements(role) if any(action.startswith("kms:") and action != "kms:Sign" for action in many(s["Action"]))]
        if len(seals) != 1 or set(many(seals[0]["Action"])) != {"kms:Decrypt", "kms:GenerateDataKey"} or text(seals[0]["Resource"]) != "Key.Arn":
            problems.append(f"{name}: wants kms:Decrypt and kms:GenerateDataKey on the key, in one statement")
            continue
        via = seals[0].get("Condition", {}).get("StringEquals", {}).get("kms:ViaService", [])
        through = {text(service).split(".")[0] for service in many(via)}
        if through != services:
            problems.append(f"{name}: has the key through {sorted(through)} and touches {sorted(services)}")
    return problems


RULES = [
    roles_hold_what_the_table_says,
    roles_say_all_in_their_own_policies,
    nothing_on_everything,
    what_may_never_be_is_not,
    reads_no_other_secret,
    functions_are_trusted_to_lambda_alone,
    whoever_writes_schedules_may_hand_over_their_role,
    tokens_are_made_for_entra_alone,
    assertions_are_signed_as_entra_wants_them,
    scheduler_may_start_the_importer_alone,
    whoever_touches_what_is_sealed_has_the_key,
]
