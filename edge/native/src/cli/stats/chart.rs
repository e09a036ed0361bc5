//! Charts of characters.

/// Width of the longest bar.
const BAR_CHARS: u64 = 40;

/// From nothing to most.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// A bar for `count`, where `most` is as long as bars get. Whatever is not nothing can be seen.
pub(super) fn bar(count: u64, most: u64) -> String {
    let chars = scaled(count, most, BAR_CHARS);
    "█".repeat(usize::try_from(chars).unwrap_or_default())
}

/// A line of 24 shades for each day of the week.
pub(super) fn week(clicks: &[Vec<u64>]) -> String {
    let most = clicks.iter().flatten().copied().max().unwrap_or_default();
    let darkest = SHADES.len() as u64 - 1;
    let shade = |count: &u64| {
        let shade = usize::try_from(scaled(*count, most, darkest)).unwrap_or_default();
        SHADES.get(shade).copied().unwrap_or(' ')
    };
    let line = |(day, hours): (&str, &Vec<u64>)| {
        format!("{day}  {}", hours.iter().map(shade).collect::<String>())
    };
    let lines: Vec<String> = DAYS.into_iter().zip(clicks).map(line).collect();
    format!("     0     6     12    18\n{}", lines.join("\n"))
}

/// `count` of `most` in `steps` steps, rounded up.
fn scaled(count: u64, most: u64, steps: u64) -> u64 {
    match most {
        0 => 0,
        most => {
            let scaled = (u128::from(count) * u128::from(steps)).div_ceil(u128::from(most));
            u64::try_from(scaled).unwrap_or(steps).min(steps)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_never_vanish() {
        let chars = |count, most| bar(count, most).chars().count();
        assert_eq!([chars(0, 0), chars(0, 9), chars(9, 9), chars(5, 10)], [0, 0, 40, 20]);
        assert_eq!(chars(1, u64::MAX), 1);
        assert_eq!(chars(u64::MAX, u64::MAX), 40);
        assert_eq!(chars(7, 3), 40);
    }

    #[test]
    fn a_week_has_a_shade_for_each_hour() {
        let mut clicks = vec![vec![0; 24]; 7];
        clicks[0][23] = 1;
        clicks[6][0] = 100;
        clicks[6][1] = 50;
        let week = week(&clicks);
        let lines: Vec<&str> = week.lines().collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[1], "Mon  ·······················░");
        assert_eq!(lines[7], "Sun  █▒······················");
    }
}
