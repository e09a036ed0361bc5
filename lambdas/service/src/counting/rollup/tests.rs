use super::*;

fn sample() -> Rollup {
    let mut rollup = Rollup::default();
    for (position, class) in Class::ALL.into_iter().enumerate() {
        rollup.totals.add(class, 1 << (8 * position));
    }
    for visitor in 0..40 {
        rollup.uniques.insert(visitor << 56);
    }
    for dimension in Dimension::ALL {
        let values = rollup.breakdowns.entry(dimension).or_default();
        values.insert(OTHER.to_owned(), 3);
        values.insert(format!("{} \u{1f517}", dimension.name()), u64::MAX);
    }
    rollup
}

fn counts(clicks: impl IntoIterator<Item = (String, u64)>) -> Rollup {
    let mut rollup = Rollup::default();
    rollup.breakdowns.insert(Dimension::City, clicks.into_iter().collect());
    rollup
}

#[test]
fn a_rollup_comes_back_whole() {
    for rollup in [Rollup::default(), sample()] {
        let bytes = rollup.encode();
        assert_eq!(Rollup::decode(&bytes), Ok(rollup));
    }
}

#[test]
fn damaged_bytes_are_refused_or_read_but_never_panic() {
    let bytes = sample().encode();
    for length in 0..bytes.len() {
        assert!(Rollup::decode(&bytes[..length]).is_err(), "{length}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let _ = Rollup::decode(&damaged);
        }
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(Rollup::decode(&longer), Err(RollupError::TrailingBytes));
    let mut newer = bytes;
    newer[0] = 2;
    assert_eq!(Rollup::decode(&newer), Err(RollupError::UnknownVersion(2)));
    assert_eq!(Rollup::decode(&[]), Err(RollupError::Value(ReadError::Truncated)));
    let no_such_dimension = [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 16, 0];
    assert_eq!(Rollup::decode(&no_such_dimension), Err(RollupError::UnknownValue));
    let huge_sketch = [1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(Rollup::decode(&huge_sketch), Err(RollupError::Value(ReadError::Truncated)));
}

#[test]
fn merging_adds_everything_up() {
    let mut one = counts([("Bern".to_owned(), 2), ("Köln".to_owned(), 1)]);
    one.totals.add(Class::Human, 3);
    one.uniques.insert(1);
    let mut other = counts([("Bern".to_owned(), 5), ("Rom".to_owned(), 1)]);
    other.totals.add(Class::Human, 6);
    other.totals.add(Class::Bot, 4);
    other.uniques.insert(1);
    other.uniques.insert(2);
    one.merge(&other);
    assert_eq!(one.totals.of(Class::Human), 9);
    assert_eq!(one.totals.all(), 13);
    assert_eq!(one.uniques.estimate(), 2);
    let expected = [("Bern", 7), ("Köln", 1), ("Rom", 1)];
    let cities = one.breakdown(Dimension::City).iter();
    assert!(cities.map(|(city, clicks)| (city.as_str(), *clicks)).eq(expected));
    assert_eq!(one.breakdown(Dimension::Os), &BTreeMap::new());
    let mut left = one.totals;
    left.subtract(&other.totals);
    assert_eq!((left.of(Class::Human), left.all()), (3, 3));
}

#[test]
fn only_the_largest_values_are_told_apart() {
    let most = (0..VALUES_MAX).map(|number| (format!("{number:04}"), 5));
    let mut exactly = counts(most.clone());
    exactly.fold();
    assert_eq!(exactly, counts(most.clone()));

    let mut with_other = counts(most.clone().chain([(OTHER.to_owned(), 7)]));
    let before = with_other.clone();
    with_other.fold();
    assert_eq!(with_other, before);

    // One larger, one as large but later in the alphabet, one smaller; some folded before.
    let more = [("zz", 6), ("0500", 5), ("aa", 4), (OTHER, 7)];
    let more = more.map(|(value, clicks)| (value.to_owned(), clicks));
    let mut folded = counts(most.clone().chain(more));
    folded.fold();
    let kept = most.take(VALUES_MAX - 1);
    let expected = [("zz", 6), (OTHER, 7 + 5 + 5 + 4)];
    let expected = expected.map(|(value, clicks)| (value.to_owned(), clicks));
    assert_eq!(folded, counts(kept.chain(expected)));
    let again = folded.clone();
    folded.fold();
    assert_eq!(folded, again);
}

#[test]
fn slugs_have_their_own_limit() {
    let slugs = (0..SLUGS_MAX as u64 + 2).map(|number| (number.to_string(), 1));
    let mut rollup = Rollup::default();
    rollup.breakdowns.insert(Dimension::Slug, slugs.collect());
    rollup.fold();
    let slugs = rollup.breakdown(Dimension::Slug);
    assert_eq!((slugs.len(), slugs.get(OTHER)), (SLUGS_MAX + 1, Some(&2)));
}

#[test]
fn codes_are_positions_and_names_lead_back() {
    for (position, dimension) in Dimension::ALL.into_iter().enumerate() {
        assert_eq!(dimension as usize, position);
        assert_eq!(Dimension::from_name(dimension.name()), Some(dimension));
    }
    assert_eq!(Dimension::from_name("utm"), None);
    for subject in [Subject::Site, Subject::Orphans, Subject::Link(LinkId(i64::MAX as u64))] {
        assert_eq!(Subject::from_code(subject.code()), subject);
    }
}
