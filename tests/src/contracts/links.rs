//! The contract of `LinkStore`. Every function is given an empty store.

pub mod changes;
pub mod contention;
pub mod due;
pub mod lists;
pub mod searches;
pub mod writes;

use waypost_service::model::{Link, LinkId};
use waypost_service::seams::{Created, LinkStore, StoredLink};
use waypost_wire::time::Timestamp;

use super::ok;

/// The time at which the contracts act: later than every sample is written.
pub const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A plain link, `number` seconds after the first.
pub fn sample(number: u64) -> Link {
    let created_at = NOW.plus_ms(-1_000_000_000 + 1_000 * i64::try_from(number).unwrap_or(0));
    Link {
        id: LinkId(number),
        domain: "s.example".into(),
        slug: format!("slug-{number}"),
        destination: format!("https://example.com/{number}"),
        title: None,
        tags: Vec::new(),
        notes: None,
        status: 302,
        starts_at: None,
        expires_at: None,
        expired_destination: None,
        max_clicks: None,
        forward_query: false,
        forward_path: false,
        utm: None,
        ios_destination: None,
        android_destination: None,
        rules: Vec::new(),
        preview: None,
        disabled: false,
        keep: false,
        external_id: None,
        blocked: None,
        password_hash: None,
        password_version: 0,
        used_up: false,
        version: 1,
        created_at,
        updated_at: created_at,
        deleted_at: None,
        quarantine_until: None,
    }
}

/// A sample that was deleted, its slug in quarantine for another day.
pub fn deleted(number: u64) -> Link {
    Link {
        deleted_at: Some(NOW),
        quarantine_until: Some(NOW.plus_ms(86_400_000)),
        ..sample(number)
    }
}

/// A link as it is stored.
pub fn stored(link: Link) -> StoredLink {
    let key = link.key(false);
    let record = format!("record of {key}, version {}", link.version).into_bytes();
    StoredLink { link, key, record, recompile_at: None }
}

/// Writes a link that must be new.
pub async fn create(store: &impl LinkStore, link: Link) -> StoredLink {
    let link = stored(link);
    assert_eq!(store.create(&link, None, false, NOW).await, Ok(Created::Created));
    link
}

/// Writes the next version of a link, as `change` makes it.
pub async fn edit(
    store: &impl LinkStore,
    before: &StoredLink,
    change: impl FnOnce(&mut Link),
) -> StoredLink {
    let version = before.link.version;
    let mut link = Link { version: version + 1, ..before.link.clone() };
    change(&mut link);
    let after = StoredLink { recompile_at: before.recompile_at, ..stored(link) };
    assert_eq!(ok(store.update(&after, version).await), waypost_service::seams::Updated::Updated);
    after
}

/// Hands the names of all behaviours, by theme, to a macro that makes tests of them: every
/// implementation is held to the same list.
#[macro_export]
macro_rules! links_contracts {
    ($kept:ident) => {
        $kept! {
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
    };
}
