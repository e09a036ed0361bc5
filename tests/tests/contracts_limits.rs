//! The contract of `Limits`, kept by memory.

macro_rules! kept {
    ($($behaviour:ident),* $(,)?) => {
        mod memory {$(
            #[tokio::test]
            async fn $behaviour() {
                let limits = waypost_service::limits::MemoryLimits::default();
                waypost_tests::contracts::limits::$behaviour(&limits).await;
            }
        )*}
    };
}

waypost_tests::limits_contracts!(kept);
