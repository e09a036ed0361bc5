use waypost_tests::{case, report};
use waypost_tests_spin::host::Spin;

#[tokio::test]
async fn every_case() {
    let cases = case::all().unwrap();
    if let Err(table) = report::run(&Spin, &cases).await {
        panic!("{table}");
    }
}
