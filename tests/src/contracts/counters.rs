//! The contract of `CounterStore`. Every function is given an empty store.

pub mod batches;
pub mod closing;
pub mod days;
pub mod history;

/// Hands the names of all behaviours, by theme, to a macro that makes tests of them: every
/// implementation is held to the same list.
#[macro_export]
macro_rules! counters_contracts {
    ($kept:ident) => {
        $kept! {
            batches:
                a_batch_is_in_the_windows_of_its_fresh_clicks,
                a_click_is_stored_once,
                a_day_has_one_salt,
                batches_come_in_pages,
                sealed_windows_take_no_clicks,
                the_account_adds_up,
                the_open_windows_are_known;
            closing:
                a_closed_window_proves_itself,
                a_late_click_counts_in_the_oldest_open_window,
                a_reading_has_its_limits,
                a_window_is_closed_once,
                an_empty_window_leaves_no_record,
                clicks_show_at_once_and_stay,
                what_is_due_is_closed;
            days:
                a_day_is_made_of_hours_only,
                a_day_is_the_same_from_its_hours,
                a_deleted_link_has_no_days,
                an_hour_of_a_day_can_be_rewritten,
                days_are_made_beside_hours,
                days_are_made_in_steps,
                recounting_a_day_changes_nothing;
            history:
                a_deleted_link_has_no_numbers,
                an_hour_can_be_rewritten,
                compaction_goes_in_steps,
                old_batches_are_removed,
                recounting_by_the_same_rules_changes_nothing,
                windows_become_hours_and_days;
        }
    };
}
