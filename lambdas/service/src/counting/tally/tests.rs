use proptest::prelude::*;

use super::*;
use crate::counting::classify::Class::*;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const CRAWLER: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
const START: Timestamp = Timestamp(1_795_219_200_000);
const LINK: Subject = Subject::Link(LinkId(7));

fn person(visitor: u64, after_ms: i64) -> Click<'static> {
    Click {
        link_id: 7,
        at: START.plus_ms(after_ms),
        visitor: Some(visitor),
        user_agent: FIREFOX,
        target: Target::Default,
        ..Click::default()
    }
}

fn count(clicks: &[Click<'_>]) -> Counted {
    let mut tally = WindowTally::new(Window::of(START));
    for (sequence, click) in (0..).zip(clicks) {
        tally.add(1, sequence, click);
    }
    tally.finish()
}

fn by_class(rollup: &Rollup) -> Vec<(Class, u64)> {
    let all = Class::ALL.into_iter().map(|class| (class, rollup.totals.of(class)));
    all.filter(|(_, clicks)| *clicks > 0).collect()
}

#[test]
fn nothing_comes_to_nothing() {
    assert_eq!(count(&[]), Counted::default());
    let mut empty = WindowTally::new(Window::of(START));
    for subject in [Subject::Site, Subject::Orphans, LINK, Subject::Link(LinkId(0))] {
        assert_eq!(empty.rollup(subject), None);
    }
    assert_eq!(empty.totals(LinkId(7)), Totals::default());
}

#[test]
fn every_value_of_a_click_is_broken_down() {
    let rich = Click {
        referrer_host: "news.example",
        country: "DE",
        region: "DE-NW",
        city: "Köln",
        continent: "EU",
        language: "DE",
        utm: ["a+b", "%e2%82%ac", "%zz%ff", "", "d"],
        target: Target::Rule { rule: 0, variant: 1 },
        ..person(1, 0)
    };
    let counted = count(&[rich]);
    let rollup = &counted.rollups[&LINK];
    let values: Vec<(Dimension, &str)> = rollup
        .breakdowns
        .iter()
        .flat_map(|(dimension, values)| values.keys().map(|value| (*dimension, value.as_str())))
        .collect();
    let expected = [
        (Dimension::Country, "DE"),
        (Dimension::Region, "DE-NW"),
        (Dimension::City, "Köln, DE-NW"),
        (Dimension::Continent, "EU"),
        (Dimension::Referrer, "news.example"),
        (Dimension::Browser, "firefox"),
        (Dimension::Os, "linux"),
        (Dimension::Device, "desktop"),
        (Dimension::Language, "de"),
        (Dimension::UtmSource, "a b"),
        (Dimension::UtmMedium, "€"),
        (Dimension::UtmCampaign, "%zz\u{fffd}"),
        (Dimension::UtmContent, "d"),
        (Dimension::Destination, "rules/0/1"),
    ];
    assert_eq!(values, expected);
}

#[test]
fn destinations_and_places_have_their_names() {
    let targets = [
        (Target::Default, "destination"),
        (Target::Ios, "ios_destination"),
        (Target::Android, "android_destination"),
        (Target::Expired, "expired_destination"),
        (Target::Nowhere, ""),
    ];
    for (target, expected) in targets {
        assert_eq!(destination(target), expected);
    }
    let places = [
        (("", "FR", "FR-IDF"), ""),
        (("Paris", "", ""), "Paris"),
        (("Paris", "FR", ""), "Paris, FR"),
        (("Paris", "US", "US-TX"), "Paris, US-TX"),
    ];
    for ((name, country, region), expected) in places {
        let click = Click { city: name, country, region, ..Click::default() };
        assert_eq!(city(&click), expected);
    }
}

#[test]
fn who_is_no_person_is_counted_and_not_broken_down() {
    let robot = Click { user_agent: CRAWLER, country: "US", ..person(1, 0) };
    let head = Click { head: true, ..person(2, 0) };
    let counted = count(&[robot, head, person(3, 0)]);
    let rollup = &counted.rollups[&LINK];
    assert_eq!(by_class(rollup), [(Head, 1), (Bot, 1), (Human, 1)]);
    assert_eq!(rollup.uniques.estimate(), 1);
    assert_eq!(rollup.breakdown(Dimension::Country), &BTreeMap::new());
}

#[test]
fn links_the_site_and_orphans_are_kept_apart() {
    let orphan = Click { link_id: 0, slug: "typo", target: Target::Nowhere, ..person(1, 0) };
    let other = Click { link_id: 8, ..person(1, 5) };
    let counted = count(&[person(1, 0), other, orphan, person(2, 9)]);
    let clicks = |subject| counted.rollups[&subject].totals.of(Human);
    let subjects: Vec<_> = counted.rollups.keys().copied().collect();
    let eight = Subject::Link(LinkId(8));
    assert_eq!(subjects, [Subject::Site, Subject::Orphans, LINK, eight]);
    assert_eq!([Subject::Site, Subject::Orphans, LINK, eight].map(clicks), [3, 1, 2, 1]);
    assert_eq!(counted.rollups[&Subject::Site].uniques.estimate(), 2);
    let last = [(LinkId(7), START.plus_ms(9)), (LinkId(8), START.plus_ms(5))];
    assert_eq!(counted.last_clicks, BTreeMap::from(last));
}

#[test]
fn the_last_click_is_in_the_window_wherever_its_clock_was() {
    let window = Window::of(START);
    for (after_ms, expected) in [(-5, window.start()), (i64::MAX, window.end().plus_ms(-1))] {
        let counted = count(&[person(1, after_ms)]);
        assert_eq!(counted.last_clicks, BTreeMap::from([(LinkId(7), expected)]));
    }
}

#[test]
fn the_twenty_first_click_in_a_minute_is_a_burst() {
    let every = |ms: i64, count: i64| (0..count).map(move |number| person(1, number * ms));
    let classes = |clicks: Vec<Click<'_>>| by_class(&count(&clicks).rollups[&LINK]);
    assert_eq!(classes(every(1_000, 20).collect()), [(Human, 20)]);
    assert_eq!(classes(every(1_000, 21).collect()), [(Burst, 1), (Human, 20)]);
    assert_eq!(classes(every(0, 100).collect()), [(Burst, 80), (Human, 20)]);
    assert_eq!(classes(every(3_000, 150).collect()), [(Human, 150)], "20 a minute, steadily");
    assert_eq!(classes(every(2_999, 21).collect()), [(Burst, 1), (Human, 20)]);
    // Other visitors, other links, and visitors that cannot be told apart, are no burst.
    let mixed = (0..60u64).map(|number| Click {
        link_id: 7 + number % 3,
        visitor: [None, Some(number % 2)][(number % 2) as usize],
        ..person(0, 0)
    });
    let counted = count(&mixed.collect::<Vec<_>>());
    assert_eq!(by_class(&counted.rollups[&Subject::Site]), [(Human, 60)]);
    let anonymous = (0..60).map(|_| Click { visitor: None, ..person(0, 0) });
    assert_eq!(classes(anonymous.collect()), [(Human, 60)]);
}

#[test]
fn a_burst_is_not_broken_down_but_its_visitor_counts() {
    let clicks: Vec<_> = (0..25).map(|_| Click { country: "DE", ..person(1, 0) }).collect();
    let counted = count(&clicks);
    let rollup = &counted.rollups[&Subject::Site];
    assert_eq!(rollup.breakdown(Dimension::Country)["DE"], 20);
    assert_eq!(rollup.uniques.estimate(), 1);
}

/// The plainest rule there is, click by click.
fn naive_bursts(clicks: &[(u64, Click<'_>)]) -> u64 {
    let order = |(sequence, click): &(u64, Click<'_>)| (click.at, *sequence);
    let is_burst = |one: &&(u64, Click<'_>)| {
        let before = clicks.iter().filter(|other| {
            other.1.link_id == one.1.link_id
                && other.1.visitor == one.1.visitor
                && order(other) < order(one)
                && one.1.at.ms_since(other.1.at) < 60_000
        });
        one.1.visitor.is_some() && before.count() >= 20
    };
    clicks.iter().filter(is_burst).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The same clicks come to the same, in any order, read in between or not.
    #[test]
    fn order_does_not_matter(
        clicks in prop::collection::vec((0u64..3, 0u64..4, 0i64..200, 0usize..4), 0..200),
        peek in 0usize..200,
        seed in any::<u64>(),
    ) {
        let countries = ["", "DE", "FR", "US"];
        let numbered: Vec<(u64, Click<'_>)> = (0..)
            .zip(&clicks)
            .map(|(sequence, (link_id, visitor, seconds, country))| {
                let click = Click {
                    link_id: *link_id,
                    slug: if *link_id == 0 { "typo" } else { "" },
                    visitor: visitor.checked_sub(1),
                    country: countries[*country],
                    ..person(0, seconds * 1_000)
                };
                (sequence, click)
            })
            .collect();
        let mut shuffled = numbered.clone();
        shuffled.sort_by_key(|(sequence, _)| (sequence ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));

        let mut straight = WindowTally::new(Window::of(START));
        let mut mixed = WindowTally::new(Window::of(START));
        for (position, ((one, click), (other, other_click))) in
            numbered.iter().zip(&shuffled).enumerate()
        {
            straight.add(9, *one, click);
            mixed.add(9, *other, other_click);
            if position == peek {
                mixed.rollup(Subject::Site);
            }
        }
        let live = [Subject::Site, Subject::Orphans, Subject::Link(LinkId(1))]
            .map(|subject| mixed.rollup(subject));
        let (straight, mixed) = (straight.finish(), mixed.finish());
        prop_assert_eq!(&straight, &mixed);
        let finished = [Subject::Site, Subject::Orphans, Subject::Link(LinkId(1))]
            .map(|subject| straight.rollups.get(&subject).cloned());
        prop_assert_eq!(live, finished);

        let sum = |class| {
            let whole = [Subject::Site, Subject::Orphans].into_iter();
            let rollups = whole.filter_map(|subject| straight.rollups.get(&subject));
            rollups.map(|rollup| rollup.totals.of(class)).sum::<u64>()
        };
        prop_assert_eq!(sum(Burst), naive_bursts(&numbered));
        prop_assert_eq!(sum(Burst) + sum(Human), clicks.len() as u64);
    }
}
