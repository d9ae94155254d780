//! What tests of the real binary share: starting it, a tenant on a socket, and the books it leaves on disk.
#![expect(
    clippy::expect_used,
    reason = "a test that cannot set up its scene has nothing to go on with"
)]

mod books;
mod corpus;
mod desk;
mod program;

pub use books::{Books, sha256};
pub use corpus::{Corpus, corpus, cpython};
pub use desk::Desk;
pub use program::{Program, Said, binary, finish, peak_memory_kib, setting};
