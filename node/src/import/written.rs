//! Numbers and days as tables write them, read only where the writing leaves no doubt.
//!
//! `1.234` is one thousand or one and a bit, `03/04/2026` is in March or April. Other cells of the column, or else of the file, tell
//! which: `12,50` and `13/04/2026` can be read in one way only. Where nothing tells, or cells contradict each other, the cell stays the
//! text that it is. Nothing is kept beside a number that was read: its digits are exact, and the text would outlive the field's removal.

use allod_protocol::value::{Date, Decimal, Moment};

/// What the cells seen so far say about the point in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    dot: bool,
    comma: bool,
}

/// A number without its sign, and what it shows about its point.
struct Shape<'t> {
    negative: bool,
    body: &'t str,
    says: Says,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    /// There is no point or comma.
    Whole,
    /// The point is this character.
    Point(char),
    /// This character is a point or stands between thousands.
    Either(char),
}

/// Stands between thousands, whatever the point is.
fn is_blank_or_apostrophe(letter: char) -> bool {
    matches!(letter, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '’')
}

fn shape(text: &str) -> Option<Shape<'_>> {
    let text = text.trim();
    let (negative, body) = match text.strip_prefix(['-', '−']).or_else(|| text.strip_suffix(['-', '−'])) {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let fits = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ',') || is_blank_or_apostrophe(letter);
    let ends = body.starts_with(|letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ','))
        && body.ends_with(|letter: char| letter.is_ascii_digit());
    if !ends || !body.chars().all(fits) {
        return None;
    }
    let count = |mark: char| body.matches(mark).count();
    let says = match (count('.'), count(',')) {
        (0, 0) => Says::Whole,
        (1, 0) => one_mark(body, '.'),
        (0, 1) => one_mark(body, ','),
        (_, 0) => Says::Point(','),
        (0, _) => Says::Point('.'),
        _ if body.rfind('.') > body.rfind(',') => Says::Point('.'),
        _ => Says::Point(','),
    };
    Some(Shape { negative, body, says })
}

/// Three digits behind one to three that do not begin with 0 may be thousands; anything else is a fraction.
fn one_mark(body: &str, mark: char) -> Says {
    let (before, behind) = body.split_once(mark).expect("the mark was counted");
    let thousands = behind.len() == 3
        && (1..=3).contains(&before.len())
        && !before.starts_with('0')
        && before.bytes().all(|byte| byte.is_ascii_digit());
    if thousands { Says::Either(mark) } else { Says::Point(mark) }
}

impl Numbers {
    /// Takes a cell into account.
    pub(super) fn observe(&mut self, text: &str) {
        match shape(text).map(|shape| shape.says) {
            Some(Says::Point('.')) => self.dot = true,
            Some(Says::Point(_)) => self.comma = true,
            Some(Says::Whole | Says::Either(_)) | None => {}
        }
    }

    /// What this column says; what the file says if the column says nothing.
    pub(super) fn or(self, file: Self) -> Self {
        if self == Self::default() { file } else { self }
    }

    /// What both say.
    pub(super) fn and(self, other: Self) -> Self {
        Self { dot: self.dot || other.dot, comma: self.comma || other.comma }
    }

    /// The number, if it can be read in one way only.
    pub(super) fn decimal(self, text: &str) -> Option<Decimal> {
        let shape = shape(text)?;
        let point = match (self.dot, self.comma, shape.says) {
            (_, _, Says::Whole) | (true, false, _) => '.',
            (false, true, _) => ',',
            _ => return None,
        };
        let (whole, fraction) = shape.body.rsplit_once(point).unwrap_or((shape.body, ""));
        let groups: Vec<&str> =
            whole.split(|letter| letter == other(point) || is_blank_or_apostrophe(letter)).collect();
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let grouped = groups.len() == 1
            || ((1..=3).contains(&groups[0].len()) && groups[1..].iter().all(|group| group.len() == 3));
        if !grouped || !groups.iter().all(|group| digits(group)) || !digits(fraction) {
            return None;
        }
        let whole = if whole.is_empty() { "0".to_owned() } else { groups.concat() };
        let sign = if shape.negative { "-" } else { "" };
        Decimal::parse(&if fraction.is_empty() {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        })
    }
}

fn other(point: char) -> char {
    if point == '.' { ',' } else { '.' }
}

/// What the cells seen so far say about the order of day and month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Days {
    day_first: bool,
    month_first: bool,
}

/// Three numbers with one mark between them.
fn three(text: &str) -> Option<(char, [&str; 3])> {
    let mark = text.chars().find(|letter| !letter.is_ascii_digit()).filter(|mark| matches!(mark, '.' | '/' | '-'))?;
    let mut parts = text.split(mark);
    let three = [parts.next()?, parts.next()?, parts.next()?];
    let digits = three.iter().all(|part| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    (digits && parts.next().is_none()).then_some((mark, three))
}

impl Days {
    /// Takes a cell into account.
    pub(super) fn observe(&mut self, text: &str) {
        let Some((mark, [first, second, _])) = three(text.trim()) else { return };
        if mark == '.' || first.len() > 2 {
            return;
        }
        self.day_first |= first.parse().is_ok_and(|number: u8| number > 12);
        self.month_first |= second.parse().is_ok_and(|number: u8| number > 12);
    }

    /// What this column says; what the file says if the column says nothing.
    pub(super) fn or(self, file: Self) -> Self {
        if self == Self::default() { file } else { self }
    }

    /// What both say.
    pub(super) fn and(self, other: Self) -> Self {
        Self { day_first: self.day_first || other.day_first, month_first: self.month_first || other.month_first }
    }

    /// The day, if it can be read in one way only: year first, or day first with points, or what the other cells say. A year of two
    /// digits needs the century that the field's schema knows.
    pub(super) fn date(self, text: &str, century: Option<u8>) -> Option<Date> {
        let text = text.trim();
        if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?);
        }
        let (mark, [first, second, third]) = three(text)?;
        let (year, month, day) = match (mark, self.day_first, self.month_first) {
            _ if first.len() == 4 => (first, second, third),
            ('.', _, _) | (_, true, false) => (third, second, first),
            (_, false, true) => (third, first, second),
            _ => return None,
        };
        let year = match (year.len(), century) {
            (4, _) => year.parse().ok()?,
            (2, Some(century)) => i16::from(century) * 100 + year.parse::<i16>().ok()?,
            _ => return None,
        };
        Date::new(year, month.parse().ok()?, day.parse().ok()?)
    }
}

/// A moment that names its zone: RFC 3339, or as `2018-02-25 12:34:56 +0000` and `2018-02-25 12:34:56 UTC`. A time without a zone is none.
pub(super) fn instant(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Some(moment) = Moment::parse(text) {
        return Some(moment);
    }
    let zone_at = text.get(19..)?.find(|letter: char| !letter.is_ascii_digit() && letter != '.')? + 19;
    let (clock, zone) = (text.get(..zone_at)?, text.get(zone_at..)?.trim());
    let zone = match zone.as_bytes() {
        b"UTC" | b"GMT" => "Z".to_owned(),
        [b'+' | b'-', digits @ ..] if digits.len() == 4 && digits.is_ascii() => {
            format!("{}:{}", &zone[..3], &zone[3..])
        }
        _ => zone.to_owned(),
    };
    Moment::parse(&format!("{clock}{zone}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(cells: &[&str]) -> Vec<Option<String>> {
        let mut seen = Numbers::default();
        cells.iter().for_each(|cell| seen.observe(cell));
        cells.iter().map(|cell| seen.decimal(cell).map(|decimal| decimal.to_string())).collect()
    }

    fn days(cells: &[&str]) -> Vec<Option<String>> {
        let mut seen = Days::default();
        cells.iter().for_each(|cell| seen.observe(cell));
        cells.iter().map(|cell| seen.date(cell, None).map(|date| date.to_string())).collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn one_clear_number_tells_how_the_others_are_read() {
        assert_eq!(numbers(&["-36,99", "1.234"]), some(&["-36.99", "1234"]));
        assert_eq!(numbers(&["-36.99", "1,234", "1.234"]), some(&["-36.99", "1234", "1.234"]));
        assert_eq!(numbers(&["1.234.567"]), some(&["1234567"]));
        assert_eq!(numbers(&["1'234.50", "−2.5", "12.00-", "+7"]), some(&["1234.5", "-2.5", "-12", "7"]));
        assert_eq!(numbers(&["1 234,50", "1\u{a0}234,5", ",5"]), some(&["1234.5", "1234.5", "0.5"]));
        assert_eq!(numbers(&["0.123", "12345.678"]), some(&["0.123", "12345.678"]));
    }

    #[test]
    fn a_number_that_can_be_read_in_two_ways_is_none() {
        assert_eq!(numbers(&["1.234", "100"]), [None, Some("100".to_owned())]);
        assert_eq!(numbers(&["1,50", "1.50"]), [None, None]);
        for text in ["", "-", "n/a", "12,50 €", "1,2,3.4.5", "12,", "1.23.4", "1 2", "--1"] {
            assert_eq!(numbers(&[text]), [None], "{text}");
        }
    }

    #[test]
    fn one_clear_day_tells_how_the_others_are_read() {
        assert_eq!(days(&["03/04/2026", "13/04/2026"]), some(&["2026-04-03", "2026-04-13"]));
        assert_eq!(days(&["03/04/2026", "04/13/2026"]), some(&["2026-03-04", "2026-04-13"]));
        assert_eq!(
            days(&["27.5.2018", "2018-05-27", "2018/05/27", "20180527"]),
            vec![Some("2018-05-27".to_owned()); 4]
        );
    }

    #[test]
    fn a_day_that_can_be_read_in_two_ways_is_none() {
        assert_eq!(days(&["03/04/2026"]), [None]);
        assert_eq!(days(&["13/04/2026", "04/13/2026"]), [None, None]);
        assert_eq!(days(&["22.02.18"]), [None]);
        assert_eq!(Days::default().date("22.02.18", Some(20)).unwrap().to_string(), "2018-02-22");
        for text in ["", "2026-02-30", "1.2", "1.2.3.4", "a.b.c", "2026-1-1-1"] {
            assert_eq!(days(&[text]), [None], "{text}");
        }
    }

    #[test]
    fn a_moment_needs_its_zone() {
        for text in [
            "2018-02-25 12:34:56 +0000",
            "2018-02-25T12:34:56Z",
            "2018-02-25 13:34:56 +01:00",
            "2018-02-25 12:34:56 UTC",
        ] {
            assert_eq!(instant(text).unwrap().to_string(), "2018-02-25T12:34:56Z", "{text}");
        }
        assert_eq!(instant("2018-02-25 12:34:56"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_stumble(text in any::<String>(), digits in "[0-9.,/ +:TZ-]{0,30}") {
            for text in [text, digits] {
                let (mut numbers, mut days) = (Numbers::default(), Days::default());
                numbers.observe(&text);
                days.observe(&text);
                let _ = (numbers.decimal(&text), days.date(&text, Some(20)), instant(&text));
            }
        }
    }
}
