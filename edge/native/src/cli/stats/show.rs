use super::answer::{Entry, Point, Statistics, Totals, Uniques};
use super::chart::{bar, week};
use crate::cli::table::{grouped, pairs, shown, table};

/// Statistics for people.
pub(super) fn text(statistics: &Statistics) -> String {
    let Statistics { from, to, tz, complete_until, .. } = statistics;
    let mut parts = vec![
        format!(
            "from {} to {} ({}), complete until {}",
            shown(from),
            shown(to),
            shown(tz),
            shown(complete_until)
        ),
        totals(&statistics.totals, &statistics.uniques),
        series(statistics),
    ];
    for (name, entries) in &statistics.breakdowns {
        parts.push(breakdown(name, entries));
    }
    if let Some(clicks) = &statistics.hour_of_week {
        parts.push(format!("HOUR OF WEEK\n{}", week(clicks)));
    }
    if let Some(orphans) = &statistics.orphans {
        let all = grouped(orphans.totals.all);
        parts.push(format!("visits to addresses that no link has: {all}"));
        if !orphans.slugs.is_empty() {
            parts.push(breakdown("slug", &orphans.slugs));
        }
    }
    if has_folded(statistics) {
        let fold_under = statistics.fold_under;
        parts.push(format!("Values with fewer than {fold_under} clicks are not told apart."));
    }
    parts.join("\n\n")
}

fn totals(totals: &Totals, uniques: &Uniques) -> String {
    let mut rows = vec![
        ("clicks".to_owned(), grouped(totals.all)),
        ("of people".to_owned(), grouped(totals.human)),
        ("visitors".to_owned(), visitors(uniques)),
    ];
    let others = totals.by_reason.iter().filter(|(_, clicks)| **clicks > 0);
    rows.extend(others.map(|(reason, clicks)| (reason.replace('_', " "), grouped(*clicks))));
    pairs(&rows)
}

fn visitors(uniques: &Uniques) -> String {
    match uniques.error_percent {
        error if error > 0.0 => format!("about {} (± {error} %)", grouped(uniques.estimate)),
        _ => grouped(uniques.estimate),
    }
}

fn series(statistics: &Statistics) -> String {
    let most = statistics.series.iter().map(|point| point.human).max().unwrap_or_default();
    let row = |point: &Point| {
        vec![
            label(&point.start, &statistics.interval),
            grouped(point.all),
            grouped(point.human),
            grouped(point.uniques.estimate),
            bar(point.human, most),
        ]
    };
    let rows: Vec<_> = statistics.series.iter().map(row).collect();
    table(&[&statistics.interval, "clicks", "of people", "visitors", ""], &rows)
}

/// As much of a time as an interval needs.
fn label(start: &str, interval: &str) -> String {
    let chars = match interval {
        "month" => 7,
        "day" => 10,
        _ => 16,
    };
    start.chars().take(chars).collect::<String>().replace('T', " ")
}

fn breakdown(name: &str, entries: &[Entry]) -> String {
    let has_destinations = entries.iter().any(|entry| entry.present_destination.is_some());
    let row = |entry: &Entry| {
        let value = match (&entry.value, entry.folded_values) {
            (Some(value), _) => value.clone(),
            (None, Some(count)) => format!("({count} or more others)"),
            (None, None) => "(not known)".to_owned(),
        };
        let share = format!("{:.1}%", entry.share * 100.0);
        let mut row = vec![value, grouped(entry.clicks), share];
        row.extend(has_destinations.then(|| entry.present_destination.clone().unwrap_or_default()));
        row
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    let name = name.replace('_', " ");
    let names = [name.as_str(), "clicks", "share", "leads to"];
    table(names.get(..3 + usize::from(has_destinations)).unwrap_or(&names), &rows)
}

fn has_folded(statistics: &Statistics) -> bool {
    let orphans = statistics.orphans.iter().map(|orphans| &orphans.slugs);
    let all = statistics.breakdowns.values().chain(orphans);
    all.flatten().any(|entry| entry.folded_values.is_some())
}
