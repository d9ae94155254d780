//! `postroom demo`: stub.
use crate::cli::{
    Lookup,
    arguments::DemoArguments,
    failure::Failure,
    output::{Answer, Output},
};
use shared::config::Config;

pub(crate) async fn run(
    _typed: &DemoArguments,
    _config: Config,
    _lookup: Lookup<'_>,
    _output: &Output,
) -> Result<Answer, Failure> {
    Err(Failure::refused("comes with the next commit"))
}
