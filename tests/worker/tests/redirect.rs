//! Every case of `tests/cases/redirect` on the Worker.

use waypost_tests::{case, report};
use waypost_tests_worker::host::{Worker, workerd_refuses};

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_answers_every_case() {
    let worker = Worker::start().await.unwrap();
    let verdict = report::run(&worker, &case::all().unwrap()).await;
    let end = worker.end().await;
    if let Err(table) = verdict.and(end) {
        panic!("{table}");
    }
}

/// What is skipped for workerd's sake never reaches a Worker there.
#[tokio::test(flavor = "multi_thread")]
async fn what_workerd_answers_by_itself_it_refuses() {
    let worker = Worker::start().await.unwrap();
    let cases = case::all().unwrap();
    let refused: Vec<_> = cases.iter().filter(|case| workerd_refuses(case)).collect();
    assert!(!refused.is_empty());
    for case in refused {
        let answer = worker.ask(case).await.unwrap();
        assert!([400, 500, 501].contains(&answer.status), "{}: {answer:?}", case.title());
    }
    assert_eq!(worker.requests().await, 0);
}
