//! Times and durations as people type and read them.
//!
//! Typed: durations `10s`, `10m`, `24h`, `30d`, `1y` (a year is 365 days), dates (`2026-12-31`: that whole day, where the reader is) and
//! RFC 3339. Shown: the reader's own clock with its zone, in the order of the reader's language. Nothing here asks for the time or the
//! zone: both are handed in, so that every sentence can be tested.

use std::time::Duration;

use allod_protocol::time::Timestamp;
use jiff::{civil::Date, tz::TimeZone};

use crate::messages::Lang;

/// The longest duration that can be typed: what is meant to last longer has no end.
const DURATION_MAX: Duration = Duration::from_secs(1_000 * 365 * 86_400);

/// Which end of a day a date means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `--until`: a date is the end of that day, a duration lies ahead.
    Until,
    /// `--since`: a date is the beginning of that day, a duration lies behind.
    Since,
}

/// Reads `10s`, `10m`, `24h`, `30d`, `1y`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last().filter(char::is_ascii_alphabetic)?;
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds_each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'y' => 365 * 86_400,
        _ => return None,
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(seconds_each)?;
    Some(Duration::from_secs(seconds)).filter(|span| *span <= DURATION_MAX)
}

/// Reads a time: RFC 3339, a date, or a duration from `now`.
#[must_use]
pub fn parse_time(text: &str, meaning: Meaning, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if let Some(span) = parse_duration(text) {
        return Some(match meaning {
            Meaning::Until => now.after(span),
            Meaning::Since => now.before(span),
        });
    }
    if text.len() == 10 {
        let date: Date = text.parse().ok()?;
        let day_start = |date: Date| date.to_zoned_datetime(zone.clone()).ok().map(|day| day.timestamp());
        let moment = match meaning {
            Meaning::Since => day_start(date)?,
            Meaning::Until => day_start(date.tomorrow().ok()?)?.checked_sub(Duration::from_millis(1)).ok()?,
        };
        return from_jiff(moment);
    }
    from_jiff(text.parse::<jiff::Timestamp>().ok()?)
}

/// RFC 3339 in UTC with milliseconds where there are any: how times stand in JSON.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    to_jiff(time).map_or_else(String::new, |time| time.to_string())
}

/// Reads what [`rfc3339`] wrote.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    from_jiff(text.parse::<jiff::Timestamp>().ok()?)
}

/// A time for people: `2026-11-24 14:02 CET`, `24/11/2026 14:02 CET`.
#[must_use]
pub fn show(time: Timestamp, lang: Lang, zone: &TimeZone) -> String {
    let Some(moment) = to_jiff(time) else { return "-".to_owned() };
    let local = moment.to_zoned_datetime(zone.clone());
    let pattern = match lang {
        Lang::English => "%Y-%m-%d %H:%M %Z",
        Lang::French => "%d/%m/%Y %H:%M %Z",
    };
    local.strftime(pattern).to_string()
}

/// A duration for people, in its largest whole unit: `40 s`, `5 min`, `3 h`, `12 d`.
#[must_use]
pub fn show_duration(span: Duration, lang: Lang) -> String {
    let seconds = span.as_secs();
    let day = match lang {
        Lang::English => "d",
        Lang::French => "j",
    };
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} {day}", seconds / 86_400),
    }
}

/// The moment at which this is called, by the wall clock.
#[must_use]
pub fn now() -> Timestamp {
    from_jiff(jiff::Timestamp::now()).unwrap_or_default()
}

fn to_jiff(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(i64::try_from(time.as_millis()).ok()?).ok()
}

fn from_jiff(time: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(time.as_millisecond()).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paris() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn now_fixed() -> Timestamp {
        parse_rfc3339("2026-11-24T13:02:00Z").unwrap()
    }

    #[test]
    fn durations_are_a_number_and_one_letter() {
        for (text, seconds) in [("10s", 10), ("10m", 600), ("24h", 86_400), ("30d", 2_592_000), ("1y", 31_536_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "10", "10 s", "-1d", "1w", "1.5h", "99999999999999999999s", "5000y", "é", "1é"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_the_end_of_that_day_where_the_reader_is() {
        let end = parse_time("2026-12-31", Meaning::Until, now_fixed(), &paris()).unwrap();
        assert_eq!(rfc3339(end), "2026-12-31T22:59:59.999Z");
        let begin = parse_time("2026-12-31", Meaning::Since, now_fixed(), &paris()).unwrap();
        assert_eq!(rfc3339(begin), "2026-12-30T23:00:00Z");
    }

    #[test]
    fn a_day_on_which_clocks_change_is_as_long_as_it_is() {
        let length = |day: &str| {
            let end = parse_time(day, Meaning::Until, now_fixed(), &paris()).unwrap();
            end.since(parse_time(day, Meaning::Since, now_fixed(), &paris()).unwrap()).as_secs() + 1
        };
        assert_eq!(length("2026-10-25"), 25 * 3_600);
        assert_eq!(length("2026-03-29"), 23 * 3_600);
    }

    #[test]
    fn durations_lie_ahead_for_until_and_behind_for_since() {
        let ahead = parse_time("24h", Meaning::Until, now_fixed(), &paris()).unwrap();
        assert_eq!(rfc3339(ahead), "2026-11-25T13:02:00Z");
        let behind = parse_time("24h", Meaning::Since, now_fixed(), &paris()).unwrap();
        assert_eq!(rfc3339(behind), "2026-11-23T13:02:00Z");
    }

    #[test]
    fn rfc_3339_is_read_with_its_offset_and_nothing_is_guessed() {
        let time = parse_time("2026-11-24T14:02:00+01:00", Meaning::Until, now_fixed(), &paris()).unwrap();
        assert_eq!(time, now_fixed());
        for text in ["tomorrow", "2026-13-01", "24/11/2026", "2026-11-24 14:02", "1969-01-01T00:00:00Z"] {
            assert_eq!(parse_time(text, Meaning::Until, now_fixed(), &paris()), None, "{text}");
        }
    }

    #[test]
    fn times_are_shown_on_the_readers_clock_and_in_the_order_of_the_language() {
        assert_eq!(show(now_fixed(), Lang::English, &paris()), "2026-11-24 14:02 CET");
        assert_eq!(show(now_fixed(), Lang::French, &paris()), "24/11/2026 14:02 CET");
        assert_eq!(show(Timestamp::NEVER, Lang::English, &paris()), "-");
    }
}
