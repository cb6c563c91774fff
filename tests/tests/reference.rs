//! The reference page and the catalog.

use ruvector_dag_tests::server;
use testkit::{Result, build, reference};

#[test]
fn the_reference_page_says_what_the_catalog_says() -> Result<()> {
    let page = std::fs::read_to_string(build::root().join("docs/reference.md"))?;
    let catalog = reference::of_server(&server()?)?;
    let differs = page
        .lines()
        .zip(catalog.lines())
        .find(|(written, told)| written != told);
    assert_eq!(differs, None, "run `make reference`");
    assert_eq!(
        page.lines().count(),
        catalog.lines().count(),
        "run `make reference`"
    );
    Ok(())
}
