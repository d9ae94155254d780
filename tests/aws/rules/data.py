"""Rules about what holds data: it stays, it is sealed, it is private, and nothing has a fixed name."""

from cfn import many, text

from .roles import of_type, statements

KEEPS = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::KMS::Key"}
NAMES = {
    "TableName", "BucketName", "FunctionName", "RoleName", "QueueName", "LogGroupName", "TopicName", "Name", "AliasName", "GroupName",
}


def data_and_key_stay(template, _rights):
    problems = []
    for name, resource in template["Resources"].items():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource["Type"] in KEEPS and resource.get(policy) != "Retain":
                problems.append(f"{name}: {policy} is not Retain")
    for kind in KEEPS:
        if not of_type(template, kind):
            problems.append(f"there is no {kind}")
    return problems


def the_table_is_as_the_store_needs_it(template, _rights):
    problems = []
    for name, table in of_type(template, "AWS::DynamoDB::Table").items():
        p = table["Properties"]
        keys = [(key["AttributeName"], key["KeyType"]) for key in p["KeySchema"]]
        checks = {
            "keys": keys == [("partition", "HASH"), ("sort", "RANGE")] and all(a["AttributeType"] == "S" for a in p["AttributeDefinitions"]),
            "pay by request": p.get("BillingMode") == "PAY_PER_REQUEST",
            "recovery to a point in time": p.get("PointInTimeRecoverySpecification") == {"PointInTimeRecoveryEnabled": True},
            "expiry": p.get("TimeToLiveSpecification") == {"AttributeName": "expires", "Enabled": True},
            "the key": p.get("SSESpecification") == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
        }
        problems += [f"{name}: {what} is not as it must be" for what, good in checks.items() if not good]
    return problems


def the_archive_is_private_sealed_and_recoverable(template, _rights):
    problems = []
    for name, bucket in of_type(template, "AWS::S3::Bucket").items():
        p = bucket["Properties"]
        block = p.get("PublicAccessBlockConfiguration", {})
        sealed = p.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", [{}])[0]
        by = sealed.get("ServerSideEncryptionByDefault", {})
        rules = [r for r in p.get("LifecycleConfiguration", {}).get("Rules", []) if r.get("Status") == "Enabled"]
        checks = {
            "public access": len(block) == 4 and all(value is True for value in block.values()),
            "ownership": p.get("OwnershipControls") == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "versions": p.get("VersioningConfiguration") == {"Status": "Enabled"},
            "the key": by.get("SSEAlgorithm") == "aws:kms" and by.get("KMSMasterKeyID") == {"Fn::GetAtt": ["Key", "Arn"]},
            "the end of unfinished uploads": any("AbortIncompleteMultipartUpload" in rule for rule in rules),
            "the end of old versions": any("NoncurrentVersionExpiration" in rule for rule in rules),
            "no end of current objects": not any({"ExpirationInDays", "ExpirationDate"} & rule.keys() for rule in rules),
        }
        problems += [f"{name}: {what} is not as it must be" for what, good in checks.items() if not good]
    return problems


def the_archive_takes_tls_only(template, _rights):
    wanted = {"Bool": {"aws:SecureTransport": "false"}}
    for policy in of_type(template, "AWS::S3::BucketPolicy").values():
        if policy["Properties"]["Bucket"] != {"Ref": "Archive"}:
            continue
        for s in statements(policy):
            everything = {text(where) for where in many(s["Resource"])} == {"Archive.Arn", "${Archive.Arn}/*"}
            if s["Effect"] == "Deny" and s["Principal"] == "*" and s["Action"] == "s3:*" and everything and s.get("Condition") == wanted:
                return []
    return ["Archive: nothing refuses a request without TLS"]


def nothing_opens_the_archive_to_others(template, _rights):
    return [
        f"{name}: {s.get('Sid')} allows somebody something on the bucket"
        for name, policy in of_type(template, "AWS::S3::BucketPolicy").items()
        for s in statements(policy)
        if s["Effect"] != "Deny"
    ]


def queues_and_topics_are_sealed(template, _rights):
    sealed = {"Fn::GetAtt": ["Key", "Arn"]}
    return [
        f"{name}: not sealed with the stack's key"
        for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic")
        for name, queue in of_type(template, kind).items()
        if queue["Properties"].get("KmsMasterKeyId") != sealed
    ]


def nothing_has_a_fixed_name(template, _rights):
    problems = []
    for name, resource in template["Resources"].items():
        for key in NAMES & resource.get("Properties", {}).keys():
            value = resource["Properties"][key]
            # Names that nobody else can collide with: made from the stack's, or references to something of the stack.
            if isinstance(value, str) or ("Fn::Sub" in value and "${AWS::StackName}" not in text(value)):
                problems.append(f"{name}: {key} is fixed, so a second stack could not stand beside it")
    return problems


def logs_are_kept_for_the_days_that_were_asked_for(template, _rights):
    problems = []
    for name, group in of_type(template, "AWS::Logs::LogGroup").items():
        if group["Properties"].get("RetentionInDays") != {"Ref": "LogDays"}:
            problems.append(f"{name}: kept for ever")
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        if function["Properties"].get("LoggingConfig", {}).get("LogGroup") != {"Ref": f"{name}Log"}:
            problems.append(f"{name}: logs into a group that is not of the stack")
    return problems


RULES = [
    data_and_key_stay,
    the_table_is_as_the_store_needs_it,
    the_archive_is_private_sealed_and_recoverable,
    the_archive_takes_tls_only,
    nothing_opens_the_archive_to_others,
    queues_and_topics_are_sealed,
    nothing_has_a_fixed_name,
    logs_are_kept_for_the_days_that_were_asked_for,
]
