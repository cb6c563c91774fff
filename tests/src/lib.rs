//! What tests on real clusters share: one build and one private server per test program.

use std::sync::OnceLock;
use testkit::Server;

/// The server with the extension, built and copied once.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::with_extension(15).expect("the extension builds and PostgreSQL 15 is installed"))
}
