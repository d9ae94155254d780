//! `postroom serve`: stub.
use crate::cli::{Desk, arguments::ServeArguments, failure::Failure, output::Answer};

pub(crate) async fn run(_desk: &Desk, _typed: &ServeArguments) -> Result<Answer, Failure> {
    Err(Failure::refused("comes with the next commit"))
}
