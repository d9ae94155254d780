"""Rules about what leads where: timers, dead letters, events, and the routes of the HTTP API."""

from cfn import many, text

from .roles import grants, of_type, role_of, statements


def what_nobody_waits_for_has_a_dead_letter_queue(template, rights):
    problems = []
    queues = of_type(template, "AWS::SQS::Queue")

    def is_queue(arn):
        return text(arn).removesuffix(".Arn") in queues

    for name, schedule in of_type(template, "AWS::Scheduler::Schedule").items():
        target = schedule["Properties"]["Target"]
        if not is_queue(target.get("DeadLetterConfig", {}).get("Arn")):
            problems.append(f"{name}: a missed firing goes nowhere")
        if target.get("RetryPolicy", {}).get("MaximumRetryAttempts", 185) > 5:
            problems.append(f"{name}: fires again and again")
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        for target in rule["Properties"]["Targets"]:
            if not is_queue(target.get("DeadLetterConfig", {}).get("Arn")):
                problems.append(f"{name}: an undelivered event goes nowhere")
    for name, function in rights["functions"].items():
        properties = template["Resources"][function["resource"]]["Properties"]
        config = properties.get("EventInvokeConfig", {})
        goes = config.get("DestinationConfig", {}).get("OnFailure", {})
        if function["asynchronous"]:
            if goes.get("Type") != "SQS" or not is_queue(goes.get("Destination")):
                problems.append(f"{name}: a failed invocation goes nowhere")
            elif (text(goes["Destination"]), "sqs:SendMessage") not in grants(template["Resources"][role_of(function)]):
                problems.append(f"{name}: cannot put a failed invocation into {text(goes['Destination'])}")
            if config.get("MaximumRetryAttempts") != 0:
                problems.append(f"{name}: a failed invocation is repeated; the next firing does that")
    return problems


def rules_may_put_into_their_queues(template, _rights):
    problems = []
    for name, rule in of_type(template, "AWS::Events::Rule").items():
        wants = set()
        for target in rule["Properties"]["Targets"]:
            wants |= {text(target["Arn"]), text(target.get("DeadLetterConfig", {}).get("Arn", "no queue"))}
        given = {
            text(s["Resource"])
            for policy in of_type(template, "AWS::SQS::QueuePolicy").values()
            for s in statements(policy)
            if s["Principal"] == {"Service": "events.amazonaws.com"}
            and s["Action"] == "sqs:SendMessage"
            and s.get("Condition") == {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": [name, "Arn"]}}}
        }
        problems += [f"{name}: may not put into {queue}" for queue in sorted(wants - given)]
    for name, policy in of_type(template, "AWS::SQS::QueuePolicy").items():
        problems += [f"{name}: open to more than one rule" for s in statements(policy) if "aws:SourceArn" not in str(s.get("Condition"))]
    key = [s for s in template["Resources"]["Key"]["Properties"]["KeyPolicy"]["Statement"] if "Service" in s["Principal"]]
    if not any("events.amazonaws.com" in many(s["Principal"]["Service"]) and {"kms:Decrypt", "kms:GenerateDataKey"} <= set(many(s["Action"])) for s in key):
        problems.append("Key: EventBridge cannot put into a sealed queue")
    return problems


def timers_fire_watch_and_token_refresh(template, _rights):
    fired = {}
    for name, schedule in of_type(template, "AWS::Scheduler::Schedule").items():
        p = schedule["Properties"]
        fired[text(p["Target"]["Arn"])] = text(p["ScheduleExpression"])
        if text(p["Target"]["RoleArn"]) != "TimerRole.Arn":
            return [f"{name}: fires under another role"]
        if "GroupName" in p:
            return [f"{name}: stands in a group where watch looks for accounts' schedules, and would be removed by it"]
    wanted = {"Watch.Arn": "WatchSchedule", "TokenRefresh.Arn": "TokenRefreshSchedule"}
    return [] if fired == wanted else [f"the timers fire {fired}, not {wanted}"]


def routes_lead_where_they_should(template, _rights):
    problems = []
    resources = template["Resources"]
    wanted = {"GET /OAuth2Callback": "OauthCallback", "$default": "Console"}
    found = {}
    for name, route in of_type(template, "AWS::ApiGatewayV2::Route").items():
        integration = resources[text(route["Properties"]["Target"]).removeprefix("integrations/${").removesuffix("}")]
        p = integration["Properties"]
        if p["PayloadFormatVersion"] != "2.0" or p["IntegrationType"] != "AWS_PROXY":
            problems.append(f"{name}: the function would be handed another form of request")
        found[route["Properties"]["RouteKey"]] = text(p["IntegrationUri"]).removesuffix(".Arn")
    if found != wanted:
        problems.append(f"the routes lead to {found}, not to {wanted}")
    paths = {"OauthCallback": "*/GET/OAuth2Callback", "Console": "*"}
    allowed = {
        text(p["Properties"]["FunctionName"]): text(p["Properties"].get("SourceArn", "")).split("${Api}/")[-1]
        for p in of_type(template, "AWS::Lambda::Permission").values()
        if p["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    if allowed != paths:
        problems.append(f"the API may call {allowed}, not {paths}")
    return problems


def the_stage_is_bounded_and_logs_no_query(template, _rights):
    stages = of_type(template, "AWS::ApiGatewayV2::Stage")
    if len(stages) != 1:
        return ["there must be one stage"]
    (name, stage), = stages.items()
    p, problems = stage["Properties"], []
    if p["StageName"] != "$default" or p.get("AutoDeploy") is not True:
        problems.append(f"{name}: the public address would get a path before it")
    limits = p.get("DefaultRouteSettings", {})
    if not 0 < limits.get("ThrottlingRateLimit", 0) <= 1000 or not limits.get("ThrottlingBurstLimit"):
        problems.append(f"{name}: nothing holds a flood")
    logged = p.get("AccessLogSettings", {}).get("Format", "")
    if "routeKey" not in logged or any(word in logged for word in ("$context.path", "querystring", "authorizer", "cookie")):
        problems.append(f"{name}: its log would carry codes or cookies, or says nothing")
    return problems


RULES = [
    what_nobody_waits_for_has_a_dead_letter_queue,
    rules_may_put_into_their_queues,
    timers_fire_watch_and_token_refresh,
    routes_lead_where_they_should,
    the_stage_is_bounded_and_logs_no_query,
]
