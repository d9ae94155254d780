//! The id token decides who signed in, so none is believed that is wrong in any one point.

use serde_json::{Value, json};
use shared::{
    oauth::TokenErrorKind,
    ports::{Tokens as _, Vault as _},
};
use simulator::{Options, User};
use tests::world::{Altered, Forgery, World, forgeries};

const ADA: &str = "ada@harbour-homes.example";

#[tokio::test(start_paused = true)]
async fn a_token_that_is_wrong_in_one_point_binds_nobody() {
    let world = World::with(
        1,
        Options {
            users: vec![User::new(ADA, "Ada Moor")],
            ..Options::default()
        },
    );
    let credential = world.add_delegated("app", "Mail.ReadWrite offline_access").await;
    let all = forgeries(&world, simulator::DEFAULT_CLIENT_ID);
    assert!(all.len() >= 25, "{}", all.len());
    let altered = Altered::new(&world);
    let tokens = altered.tokens(&world);
    let forge = |change: Forgery| {
        let simulator = world.simulator.clone();
        altered.json(move |_, answer| {
            if let Some(token) = answer.get("id_token").and_then(Value::as_str) {
                answer["id_token"] = change.of(&simulator, token).into();
            }
        });
    };
    for (what, change) in all {
        forge(change);
        let redemption = world.redemption(&credential, ADA).await;
        let error = tokens.redeem(redemption).await.expect_err(what);
        assert_eq!(error.kind, TokenErrorKind::Refused, "{what}: {error}");
        assert!(
            world
                .memory
                .vault
                .version(&credential.grant())
                .await
                .expect("a vault")
                .is_none(),
            "{what}"
        );
    }
    let keys = world
        .wire
        .asked()
        .iter()
        .filter(|(_, path)| path.ends_with("/keys"))
        .count();
    assert_eq!(keys, 2, "once, and once more for the key that nobody knew");
    // Nothing of it stuck: what Microsoft really says is taken, an audience in a list as well.
    for change in [
        Forgery::text(str::to_owned),
        Forgery::claims("aud", json!([simulator::DEFAULT_CLIENT_ID])),
    ] {
        forge(change);
        let redemption = world.redemption(&credential, ADA).await;
        tokens.redeem(redemption).await.expect("as it should be");
    }
}
