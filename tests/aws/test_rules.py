"""template.yaml keeps every rule, and every rule notices when it does not."""

import copy
import unittest

import cfn
from rules import RULES, code
from rules.roles import unconditional


def drop(statements, sid):
    statements[:] = [statement for statement in statements if statement.get("Sid") != sid]


def policy(template, role):
    return template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]


def statement(template, role, sid):
    """Also one that stands under a condition."""
    return next(s for s in map(unconditional, policy(template, role)) if s.get("Sid") == sid)


def properties(template, name):
    return template["Resources"][name]["Properties"]


def allow(template, role, action, resource):
    policy(template, role).append({"Sid": "More", "Effect": "Allow", "Action": action, "Resource": resource})


def dashboard(template, old, new):
    body = properties(template, "Dashboard")["DashboardBody"]
    body["Fn::Sub"] = body["Fn::Sub"].replace(old, new)


CLIENT = {"Fn::Sub": cfn.rights()["resources"]["client"]}
SIGN_IN = {"Fn::Sub": cfn.rights()["resources"]["sign-in"]}

# A rule, and ways to break what it guards. Each must be noticed by that very rule.
BREAKS = {
    "roles_hold_what_the_table_says": [
        lambda t: allow(t, "OauthCallbackRole", "s3:GetObject", {"Fn::Sub": "${Archive.Arn}/*"}),
        lambda t: drop(policy(t, "ImporterRole"), "Tell"),
        lambda t: properties(t, "Watch").update(Role={"Fn::GetAtt": ["ConsoleRole", "Arn"]}),
    ],
    "roles_say_all_in_their_own_policies": [
        lambda t: properties(t, "WatchRole").update(ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"]),
        lambda t: properties(t, "Watch").update(Policies=["AmazonS3FullAccess"]),
        lambda t: policy(t, "WatchRole").append({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
        lambda t: policy(t, "WatchRole").append({"Fn::If": ["OwnCa", {"Sid": "A", "Effect": "Allow", "Action": "x:Y", "Resource": "z"}, {"Sid": "B"}]}),
    ],
    "nothing_on_everything": [
        lambda t: statement(t, "ImporterRole", "Tell").update(Resource="*"),
        lambda t: statement(t, "ImporterRole", "Records").update(Action="dynamodb:*"),
        lambda t: drop(policy(t, "WatchRole"), "ListSchedules"),
    ],
    "what_may_never_be_is_not": [
        lambda t: allow(t, "ImporterRole", "secretsmanager:GetSecretValue", CLIENT),
        lambda t: allow(t, "TokenRefreshRole", "secretsmanager:GetSecretValue", SIGN_IN),
        lambda t: allow(t, "TokenRefreshRole", "s3:PutObject", {"Fn::Sub": "${Archive.Arn}/*"}),
        lambda t: allow(t, "OauthCallbackRole", "secretsmanager:PutSecretValue", CLIENT),
        lambda t: allow(t, "WatchRole", "secretsmanager:GetSecretValue", CLIENT),
        lambda t: allow(t, "ImporterRole", "kms:Sign", {"Ref": "SigningKeyArn"}),
    ],
    "reads_no_other_secret": [
        lambda t: allow(t, "ConsoleRole", "secretsmanager:GetSecretValue", CLIENT),
        lambda t: drop(policy(t, "ConsoleRole"), "ReadOwnSignInSecret"),
    ],
    "functions_are_trusted_to_lambda_alone": [
        lambda t: properties(t, "WatchRole")["AssumeRolePolicyDocument"]["Statement"][0].update(Principal={"AWS": "*"}),
    ],
    "whoever_writes_schedules_may_hand_over_their_role": [
        lambda t: drop(policy(t, "ConsoleRole"), "PassToScheduler"),
        lambda t: statement(t, "WatchRole", "PassToScheduler").pop("Condition"),
        lambda t: statement(t, "WatchRole", "PassToScheduler").update(Resource={"Fn::GetAtt": ["TimerRole", "Arn"]}),
    ],
    "tokens_are_made_for_entra_alone": [
        lambda t: statement(t, "TokenRefreshRole", "MakeFederatedToken").pop("Condition"),
        lambda t: statement(t, "TokenRefreshRole", "MakeFederatedToken")["Condition"]["ForAllValues:StringEquals"]["sts:IdentityTokenAudience"].append("api://other"),
        lambda t: statement(t, "TokenRefreshRole", "MakeFederatedToken")["Condition"]["NumericLessThanEquals"].update({"sts:DurationSeconds": 3600}),
    ],
    "assertions_are_signed_as_entra_wants_them": [
        lambda t: statement(t, "TokenRefreshRole", "SignAssertions").pop("Condition"),
        lambda t: statement(t, "TokenRefreshRole", "SignAssertions")["Condition"]["StringEqualsIfExists"].update(
            {"kms:SigningAlgorithm": ["RSASSA_PSS_SHA_256", "RSASSA_PKCS1_V1_5_SHA_256"]}
        ),
    ],
    "scheduler_may_start_the_importer_alone": [
        lambda t: statement(t, "ScheduleRole", "Fire").update(Resource={"Fn::GetAtt": ["TokenRefresh", "Arn"]}),
        lambda t: drop(policy(t, "TimerRole"), "Miss"),
        lambda t: properties(t, "ScheduleRole")["AssumeRolePolicyDocument"]["Statement"][0].pop("Condition"),
    ],
    "whoever_touches_what_is_sealed_has_the_key": [
        lambda t: drop(policy(t, "TokenRefreshRole"), "Seal"),
        lambda t: statement(t, "ImporterRole", "Seal")["Condition"]["StringEquals"]["kms:ViaService"].pop(),
        lambda t: statement(t, "ScheduleRole", "Seal").update(Action="kms:Decrypt"),
        lambda t: statement(t, "ConsoleRole", "Seal").pop("Condition"),
    ],
    "data_and_key_stay": [
        lambda t: t["Resources"]["Key"].pop("DeletionPolicy"),
        lambda t: t["Resources"]["Table"].update(UpdateReplacePolicy="Delete"),
        lambda t: t["Resources"]["Archive"].update(DeletionPolicy="Snapshot"),
    ],
    "the_table_is_as_the_store_needs_it": [
        lambda t: properties(t, "Table")["TimeToLiveSpecification"].update(AttributeName="ttl"),
        lambda t: properties(t, "Table").pop("PointInTimeRecoverySpecification"),
        lambda t: properties(t, "Table")["KeySchema"].reverse(),
        lambda t: properties(t, "Table").pop("SSESpecification"),
    ],
    "the_archive_is_private_sealed_and_recoverable": [
        lambda t: properties(t, "Archive")["PublicAccessBlockConfiguration"].update(BlockPublicPolicy=False),
        lambda t: properties(t, "Archive").pop("VersioningConfiguration"),
        lambda t: properties(t, "Archive").pop("BucketEncryption"),
        lambda t: properties(t, "Archive")["LifecycleConfiguration"]["Rules"].pop(),
        lambda t: properties(t, "Archive")["LifecycleConfiguration"]["Rules"][0].update(ExpirationInDays=3),
    ],
    "the_archive_takes_tls_only": [
        lambda t: t["Resources"].pop("ArchivePolicy"),
        lambda t: properties(t, "ArchivePolicy")["PolicyDocument"]["Statement"][0].update(Resource={"Fn::GetAtt": ["Archive", "Arn"]}),
    ],
    "nothing_opens_the_archive_to_others": [
        lambda t: properties(t, "ArchivePolicy")["PolicyDocument"]["Statement"].append(
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": {"Fn::Sub": "${Archive.Arn}/*"}}
        ),
    ],
    "queues_and_topics_are_sealed": [
        lambda t: properties(t, "EventQueue").pop("KmsMasterKeyId"),
        lambda t: properties(t, "AlarmTopic").pop("KmsMasterKeyId"),
    ],
    "nothing_has_a_fixed_name": [
        lambda t: properties(t, "Table").update(TableName="postroom"),
        lambda t: properties(t, "Events").update(Name={"Fn::Sub": "postroom-${AWS::Region}"}),
    ],
    "logs_are_kept_for_the_days_that_were_asked_for": [
        lambda t: properties(t, "ImporterLog").pop("RetentionInDays"),
        lambda t: properties(t, "Watch").pop("LoggingConfig"),
    ],
    "what_nobody_waits_for_has_a_dead_letter_queue": [
        lambda t: properties(t, "WatchTimer")["Target"].pop("DeadLetterConfig"),
        lambda t: properties(t, "EventRule")["Targets"][0].pop("DeadLetterConfig"),
        lambda t: properties(t, "Importer").pop("EventInvokeConfig"),
        lambda t: properties(t, "Importer")["EventInvokeConfig"].update(MaximumRetryAttempts=2),
        lambda t: drop(policy(t, "WatchRole"), "Fail"),
    ],
    "rules_may_put_into_their_queues": [
        lambda t: t["Resources"].pop("UndeliveredEventsPolicy"),
        lambda t: properties(t, "EventQueuePolicy")["PolicyDocument"]["Statement"][0].pop("Condition"),
        lambda t: drop(properties(t, "Key")["KeyPolicy"]["Statement"], "EventsIntoQueuesAlarmsIntoTopic"),
    ],
    "timers_fire_watch_and_token_refresh": [
        lambda t: t["Resources"].pop("WatchTimer"),
        lambda t: properties(t, "TokenRefreshTimer").update(GroupName={"Ref": "Schedules"}),
    ],
    "routes_lead_where_they_should": [
        lambda t: properties(t, "OauthCallbackRoute").update(RouteKey="GET /oauth2callback"),
        lambda t: properties(t, "ConsoleIntegration").update(PayloadFormatVersion="1.0"),
        lambda t: properties(t, "OauthCallbackPermission").pop("SourceArn"),
    ],
    "the_stage_is_bounded_and_logs_no_query": [
        lambda t: properties(t, "ApiStage").pop("DefaultRouteSettings"),
        lambda t: properties(t, "ApiStage").update(StageName="prod"),
        lambda t: properties(t, "ApiStage")["AccessLogSettings"].update(Format="$context.routeKey $context.path"),
    ],
    "binaries_agree": [
        lambda t: t["Resources"]["Watch"]["Metadata"]["BuildProperties"].update(Binary="watcher"),
        lambda t: t["Globals"]["Function"].update(Runtime="provided.al2"),
    ],
    "settings_agree": [
        lambda t: properties(t, "Importer")["Environment"]["Variables"].pop("POSTROOM_BUCKET"),
        lambda t: properties(t, "Watch")["Environment"]["Variables"].update(POSTROOM_KMS_KEY={"Fn::GetAtt": ["Key", "Arn"]}),
        lambda t: properties(t, "Watch")["Environment"]["Variables"].update(POSTROOM_LOG="{{resolve:secretsmanager:x}}"),
        lambda t: t["Parameters"].update(ClientSecret={"Type": "String"}),
    ],
    "settings_name_what_they_say": [
        lambda t: properties(t, "Console")["Environment"]["Variables"].update(POSTROOM_SCHEDULE_ROLE={"Fn::GetAtt": ["TimerRole", "Arn"]}),
    ],
    # Its other side is the code: see below.
    "calls_agree": [],
    "alarms_watch_what_is_told": [
        lambda t: properties(t, "MailOwed").update(MetricName="OwedMail"),
        lambda t: properties(t, "MailOwed").update(Namespace="postroom"),
        lambda t: properties(t, "MailOwed").update(Dimensions=[]),
        lambda t: properties(t, "MailOwed").update(Dimensions=[{"Name": "Stack", "Value": "postroom"}]),
        lambda t: properties(t, "MailOwed").update(Unit="Seconds"),
        lambda t: properties(t, "Defect")["Dimensions"][1].update(Value="Bug"),
        lambda t: properties(t, "MissedFiringsWait")["Dimensions"][0].update(Value={"Fn::GetAtt": ["MissedFirings", "Arn"]}),
        lambda t: properties(t, "ImporterThrottled")["Dimensions"][0].update(Value={"Ref": "ImporterRole"}),
    ],
    "what_should_alarm_does": [
        lambda t: t["Resources"].pop("AppRefused"),
        lambda t: t["Resources"].pop("FailedInvocationsWait"),
        lambda t: t["Resources"].pop("OperatorNeeded"),
        lambda t: properties(t, "MailOwed").update(MetricName="Imported"),
    ],
    "alarms_reach_somebody": [
        lambda t: properties(t, "AccountSilent").pop("AlarmActions"),
        lambda t: properties(t, "AccountSilent").update(ActionsEnabled=False),
        lambda t: properties(t, "AccountSilent").pop("AlarmDescription"),
        lambda t: drop(properties(t, "Key")["KeyPolicy"]["Statement"], "EventsIntoQueuesAlarmsIntoTopic"),
    ],
    "silence_alarms": [
        lambda t: properties(t, "NobodyWatches").update(TreatMissingData="notBreaching"),
        lambda t: properties(t, "RefreshFails").update(TreatMissingData="ignore"),
    ],
    "the_dashboard_shows_what_is_told": [
        lambda t: dashboard(t, '"OpenCircuits"', '"OpenCircuit"'),
        lambda t: dashboard(t, '"Stack"', '"Account"'),
        lambda t: dashboard(t, "${MissedFirings.QueueName}", "${MissedFirings}"),
    ],
    "every_alarm_is_explained": [
        lambda t: t["Resources"].pop("AccountSilent"),
        lambda t: t["Resources"].update(Unheard=t["Resources"]["AccountSilent"]),
    ],
}


class Rules(unittest.TestCase):
    """The template as it is, and as it must not be."""

    def test_the_template_keeps_every_rule(self):
        for name, rule in RULES.items():
            with self.subTest(name):
                self.assertEqual(rule(cfn.template(), cfn.rights()), [])

    def test_every_rule_notices_what_breaks_it(self):
        self.assertEqual(BREAKS.keys(), RULES.keys())
        whole, table = cfn.template(), cfn.rights()
        for name, ways in BREAKS.items():
            before = RULES[name](whole, table)
            for number, harm in enumerate(ways):
                with self.subTest(name, way=number):
                    broken = copy.deepcopy(whole)
                    harm(broken)
                    self.assertGreater(set(RULES[name](broken, table)), set(before))

    def test_a_call_or_a_right_that_is_missing_in_the_table_is_noticed(self):
        for harm in (
            lambda r: r["calls"].pop("get_secret_value"),
            lambda r: r["calls"].update(list_secrets=["secretsmanager:ListSecrets"]),
            lambda r: r["functions"]["watch"]["may"]["table"].append("dynamodb:Scan"),
            lambda r: r["functions"]["importer"]["may"].pop("bus"),
        ):
            table = cfn.rights()
            before = RULES["calls_agree"](cfn.template(), table)
            harm(table)
            self.assertGreater(set(RULES["calls_agree"](cfn.template(), table)), set(before))

    def test_calls_are_found_in_code(self):
        found = code.calls("client\n    .get_secret_value()\n .secret_id(name).send(); store.query(&query); x.len()")
        self.assertEqual(found, {"get_secret_value"})


if __name__ == "__main__":
    unittest.main()
