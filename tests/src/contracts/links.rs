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
