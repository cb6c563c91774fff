//! The PostgreSQL extension: hooks turn each plan into learned row counts and each learned row count into a better plan.
//!
//! Modules stand in the order in which a statement meets them; the stages are drawn in ARCHITECTURE.md.

mod pg;
mod settings;
mod error;
mod trace;
mod shmem;
mod hooks;
mod plan;
mod attention;
mod sona;
mod row_model;
mod steer;
mod observe;
mod advice;
mod worker;
mod health;
mod healing;
mod sql;

pgrx::pg_module_magic!();

/// Called when the library is loaded.
#[pgrx::pg_guard]
#[allow(non_snake_case, reason = "PostgreSQL looks this symbol up by name")]
pub extern "C-unwind" fn _PG_init() {
    settings::init(shmem::is_preloading());
    // pg_upgrade moves catalogs and files: nobody may learn, write or stay connected meanwhile.
    if pg::extension::is_in_pg_upgrade() || !shmem::init() {
        return;
    }
    hooks::init();
    worker::register();
}
