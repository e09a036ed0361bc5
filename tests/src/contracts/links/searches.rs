//! Lists searched for text.

use waypost_service::model::{Link, LinkId};
use waypost_service::seams::{LinkStore, ListQuery};

use super::lists::{SORTS, ids, walk};
use super::{NOW, create, deleted, edit, sample};

/// The links found by `q`, which every order must agree on.
async fn found(store: &impl LinkStore, q: &str) -> Vec<u64> {
    let mut agreed: Option<Vec<u64>> = None;
    for sort in SORTS {
        let query = ListQuery { limit: 10, q: Some(q.into()), sort, ..ListQuery::default() };
        let mut found = ids(&walk(store, &query).await);
        found.sort_unstable();
        assert_eq!(*agreed.get_or_insert_with(|| found.clone()), found, "{q:?} {sort:?}");
    }
    agreed.unwrap_or_default()
}

fn titled(number: u64, title: &str) -> Link {
    Link { title: Some(title.into()), ..sample(number) }
}

/// Slug, destination, title, notes and tags are searched, and nothing else.
pub async fn all_texts_of_a_link_are_searched(store: &impl LinkStore) {
    create(store, Link { slug: "needle".into(), ..sample(1) }).await;
    create(store, Link { destination: "https://x.example/needle".into(), ..sample(2) }).await;
    create(store, titled(3, "the needles")).await;
    create(store, Link { notes: Some("a needle".into()), ..sample(4) }).await;
    create(store, Link { tags: vec!["red".into(), "needle".into()], ..sample(5) }).await;
    let elsewhere = Link {
        domain: "needle.example".into(),
        external_id: Some("needle".into()),
        ios_destination: Some("needle://".into()),
        ..sample(6)
    };
    create(store, elsewhere).await;
    create(store, Link { title: Some("needle".into()), ..deleted(7) }).await;
    create(store, Link { title: Some("nee".into()), notes: Some("dle".into()), ..sample(8) }).await;
    create(store, titled(9, "n-e-e-d-l-e nee eed edl dle")).await;
    assert_eq!(found(store, "needle").await, [1, 2, 3, 4, 5]);
    assert_eq!(found(store, "needles").await, [3]);
    assert_eq!(found(store, "needlex").await, [0_u64; 0]);
}

/// Case is ignored in every script that has it, and nothing is a wildcard or an operator.
pub async fn text_means_itself(store: &impl LinkStore) {
    let titles = [
        "100% Rabatt_heute",
        "100 Rabatt heute",
        "Größe ÄRMEL \u{130}STANBUL",
        "ПРИВЕТ мир",
        "日本語のリンク集",
        "say \"hello\" OR NOT (now)",
        "back\\slash * star ^ NEAR(a b)",
        "family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} here",
        "tab\there nul\0byte",
        "null null null",
    ];
    for (number, title) in (1..).zip(titles) {
        create(store, titled(number, title)).await;
    }
    let cases: [(&str, &[u64]); 26] = [
        ("100%", &[1]),
        ("100_", &[]),
        ("%", &[1]),
        ("_", &[1]),
        ("rabatt", &[1, 2]),
        ("rabatt_", &[1]),
        ("GRÖSSE", &[]),
        ("gRÖßE ä", &[3]),
        ("\u{130}stan", &[3]),
        ("привет МИР", &[4]),
        ("日本語", &[5]),
        ("本語のリンク", &[5]),
        ("本", &[5]),
        ("\"hello\"", &[6]),
        ("hello\" OR", &[6]),
        ("hello OR", &[]),
        ("hello rabatt", &[]),
        ("OR NOT (", &[6]),
        ("\\slash *", &[7]),
        ("star ^ near(a b)", &[7]),
        ("sla*", &[]),
        ("\u{1f468}\u{200d}\u{1f469}", &[8]),
        ("tab\there", &[9]),
        ("nul\0byte", &[9]),
        ("null", &[10]),
        ("  ", &[]),
    ];
    for (q, wanted) in cases {
        assert_eq!(found(store, q).await, wanted, "{q:?}");
    }
}

/// A search finds what is there now, not what was there.
pub async fn searches_follow_edits(store: &impl LinkStore) {
    let link = create(store, titled(1, "old title")).await;
    create(store, titled(2, "old title")).await;
    let link = edit(store, &link, |link| link.title = Some("new title".into())).await;
    assert_eq!(found(store, "old title").await, [2]);
    assert_eq!(found(store, "new title").await, [1]);
    let link = edit(store, &link, |link| link.updated_at = NOW).await;
    assert_eq!(found(store, "new title").await, [1]);
    edit(store, &link, |link| link.title = None).await;
    assert_eq!(found(store, "title").await, [2]);
}

/// Long texts are compared as a whole, in links and in `q`.
pub async fn long_texts_are_compared_whole(store: &impl LinkStore) {
    let long = |end: &str| format!("{}{end}", "abcdefghij".repeat(400));
    create(store, titled(1, &long("!"))).await;
    create(store, titled(2, &long("?"))).await;
    assert_eq!(found(store, &long("")).await, [1, 2]);
    assert_eq!(found(store, &long("?")).await, [2]);
    assert_eq!(found(store, &long("??")).await, [0_u64; 0]);
}

/// What is behind very many other links is found, if on a later page.
pub async fn a_rare_link_is_found(store: &impl LinkStore) {
    create(store, titled(1, "zq")).await;
    for number in 2..=700 {
        create(store, sample(number)).await;
    }
    assert_eq!(found(store, "zq").await, [1]);
    assert_eq!(store.link_by_id(LinkId(700)).await.map(|link| link.is_some()), Ok(true));
}
