//! The contract of `LinkStore`, kept by DynamoDB, with links sealed at rest.

use waypost_aws::store::AwsStore;
use waypost_service::seal::SealKeys;
use waypost_tests_aws::driven::{Driven, driven};
use waypost_tests_aws::emulator::Emulator;

const SEAL_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// A store with tables of its own.
async fn store() -> Driven<AwsStore> {
    let (clients, names) = driven(Emulator::shared().tables()).await;
    Driven(AwsStore::new(clients, names).sealed_with(SealKeys::read(SEAL_KEY).ok()))
}

macro_rules! kept {
    ($($theme:ident: $($behaviour:ident),* $(,)?;)*) => {
        mod dynamodb {$($(
            #[tokio::test]
            async fn $behaviour() {
                let store = super::store().await;
                waypost_tests::contracts::links::$theme::$behaviour(&store).await;
            }
        )*)*}
    };
}

kept! {
    changes:
        changes_have_a_start_and_a_limit,
        every_write_is_told_latest_first,
        only_what_was_stopped_is_told_as_stopped,
        purged_links_vanish_from_the_changes;
    contention:
        leases_never_overlap,
        one_idempotency_key_makes_one_link,
        one_of_a_thousand_gets_the_slug,
        one_of_many_updates_is_written,
        uses_are_exact;
    due:
        an_edit_moves_what_is_due,
        ended_quarantines,
        expired_links,
        recompilations,
        transitions,
        unused_links,
        what_is_due_comes_in_pages;
    lists:
        a_foreign_cursor_is_refused,
        a_walk_is_stable_while_links_change,
        an_edit_moves_a_link_between_lists,
        every_combination_of_filters,
        lists_show_the_live_state,
        pages_join_without_gap;
    searches:
        a_rare_link_is_found,
        all_texts_of_a_link_are_searched,
        long_texts_are_compared_whole,
        searches_follow_edits,
        text_means_itself;
    writes:
        a_deleted_holder_is_replaced_only_on_demand,
        a_link_is_read_back_whole,
        a_purge_leaves_no_trace,
        a_stale_update_writes_nothing,
        a_taken_slug_is_refused,
        an_external_id_has_one_link,
        an_id_is_never_used_twice,
        an_idempotency_key_creates_once,
        an_update_replaces_everything,
        idempotency_keys_are_forgotten,
        leases_follow_each_other,
        only_a_deleted_link_is_purged,
        uses_end_at_the_limit;
}
