//! What tests on real clusters share.

use testkit::{Result, Server};

/// A private server with the extension. Each test has its own; building it again takes a fraction of a second.
pub fn server() -> Result<Server> {
    Server::with_extension(15)
}
