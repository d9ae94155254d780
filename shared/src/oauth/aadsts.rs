//! AADSTS numbers in an admin's words: cause, and the screen of the Azure portal where it is mended (P11).
//!
//! Meanings: Microsoft Entra documentation "Microsoft Entra authentication and authorization error codes".

/// What the first known number of an answer means; `None` if none is known.
pub(super) fn explain(codes: &[u32]) -> Option<&'static str> {
    codes.iter().find_map(|code| one(*code))
}

fn one(code: u32) -> Option<&'static str> {
    Some(match code {
        7_000_215 | 70002 => {
            "the client secret is wrong. Take the secret's Value, not its Secret ID: Azure portal, App registrations, your app, Certificates & secrets. Then `postroom credential edit ID --client-secret-stdin`"
        }
        7_000_222 => {
            "the client secret has expired. Make a new one: Azure portal, App registrations, your app, Certificates & secrets, New client secret. Then `postroom credential edit ID --client-secret-stdin`"
        }
        7_000_218 => {
            "the request carried no client secret. Set one with `postroom credential edit ID --client-secret-stdin`"
        }
        700_016 | 70001 | 700_011 => {
            "the app is not known in this tenant. Compare the client id and the tenant in the access token URL with the app's Overview page in the Azure portal"
        }
        7_000_112 | 1_000_031 => {
            "the app is disabled in this tenant. Azure portal, Enterprise applications, your app, Properties, Enabled for users to sign in"
        }
        90002 | 50059 => {
            "the tenant in the access token URL does not exist in this cloud. Copy Directory (tenant) id from the app's Overview page"
        }
        9_001_023 | 50194 => {
            "`common`, `organizations` or `consumers` in the access token URL does not say whose mailboxes. Put your Directory (tenant) id in its place"
        }
        70011 | 1_002_012 | 28002 | 28003 | 700_022 | 700_023 => {
            "the scope is not valid. Client credentials take exactly `https://graph.microsoft.com/.default` (of your cloud)"
        }
        500_011 | 50001 => {
            "the resource in the scope does not exist in this tenant. Check that the scope names the Graph of your cloud"
        }
        700_024 => "the client assertion is outside its time window. Check the clock of this machine",
        700_027 | 50012 => {
            "the certificate is not known to the app. Azure portal, App registrations, your app, Certificates & secrets, Certificates"
        }
        700_025 => {
            "the app is registered as a public client. Azure portal, App registrations, your app, Authentication: register the redirect URI under Web"
        }
        53003 | 530_032 | 530_034 | 530_035 | 53000 | 53001 | 53002 => {
            "a Conditional Access policy of the tenant blocks the app. Ask whoever manages Conditional Access to exclude it"
        }
        65001 | 90094 => {
            "nobody has consented to the app's permissions. Azure portal, App registrations, your app, API permissions, Grant admin consent"
        }
        50053 => {
            "the person's account is locked after too many wrong passwords, or their address is blocked. They wait, or an admin unlocks it"
        }
        54005 => "the code was used before",
        501_481 | 501_471 | 50148 | 50147 => "the code belongs to another sign-in (PKCE)",
        500_112 | 50011 => {
            "the redirect URI is not the registered one. Azure portal, App registrations, your app, Authentication, Web: register it to the letter"
        }
        700_005 => "the authorization URL and the access token URL name different tenants; both must name the same one",
        65004 => "the person who signed in, or an admin, declined",
        50196 => "Microsoft saw too many requests for tokens in a row; it is asked again later",
        900_144 | 900_561 | 9_002_313 => {
            "Microsoft says that the request is malformed. Check that the access token URL ends in /oauth2/v2.0/token"
        }
        90038 | 900_382 | 900_432 => "the tenant belongs to another national cloud. Use the login host of that cloud",
        50173 | 70000 | 70008 | 700_082 | 700_084 | 50089 | 70043 | 70044 => {
            "the sign-in has ended. Somebody must sign in again"
        }
        _ => return None,
    })
}
