//! Values: what a field holds. Nine types; lists and maps hold scalars only.
//!
//! Each type has one written form (what a person types and sees) and one encoding, so that the same value is the same bytes everywhere.
//! A decimal keeps its exact digits without trailing zeros; a map is pairs in strictly ascending order of name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    codec::Coded,
    limits::{ITEMS_PER_VALUE_MAX, NAME_MAX_BYTES, VALUE_MAX_BYTES},
};

/// A value's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    Text,
    Integer,
    Decimal,
    Boolean,
    Date,
    Instant,
    Bytes,
    List,
    Map,
}

impl Type {
    /// All of them, in the order in which documents list them.
    pub const ALL: [Self; 9] = [
        Self::Text,
        Self::Integer,
        Self::Decimal,
        Self::Boolean,
        Self::Date,
        Self::Instant,
        Self::Bytes,
        Self::List,
        Self::Map,
    ];

    /// The word for it on the command line and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Instant => "instant",
            Self::Bytes => "bytes",
            Self::List => "list",
            Self::Map => "map",
        }
    }

    /// The type of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == word)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text or a value is not of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The text does not read as this type.
    #[error("\"{text}\" is not a {expected}")]
    NotA { expected: Type, text: String },
    /// Larger than 256 KiB.
    #[error("the value has {bytes} bytes; {VALUE_MAX_BYTES} are the most")]
    TooLarge { bytes: usize },
    /// A list or map that holds lists or maps, too many of them, or names out of order.
    #[error("lists and maps hold up to {ITEMS_PER_VALUE_MAX} single values, a map in order of name")]
    Shape,
}

/// `coefficient / 10^scale`, without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decimal {
    coefficient: i128,
    scale: u8,
}

impl Decimal {
    /// The most digits behind the point.
    pub const SCALE_MAX: u8 = 38;

    /// The canonical decimal of this value.
    #[must_use]
    pub fn new(mut coefficient: i128, mut scale: u8) -> Self {
        while scale > 0 && coefficient % 10 == 0 {
            coefficient /= 10;
            scale -= 1;
        }
        Self { coefficient, scale }
    }

    /// Reads `-12.50`; a comma, an exponent or a blank is refused, never guessed at.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let shaped =
            !whole.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !digits.ends_with('.');
        if !shaped {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= Self::SCALE_MAX)?;
        let magnitude: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Self::new(if negative { -magnitude } else { magnitude }, scale))
    }

    fn is_canonical(self) -> bool {
        self.scale <= Self::SCALE_MAX && Self::new(self.coefficient, self.scale) == self
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.coefficient);
        }
        let sign = if self.coefficient < 0 { "-" } else { "" };
        let width = usize::from(self.scale) + 1;
        let digits = format!("{:0width$}", self.coefficient.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(self.scale));
        write!(f, "{sign}{whole}.{fraction}")
    }
}

/// A day of the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Date {
    year: i16,
    month: u8,
    day: u8,
}

impl Date {
    /// A day that exists, of the years 0 to 9999.
    #[must_use]
    pub fn new(year: i16, month: u8, day: u8) -> Option<Self> {
        let date = Self { year, month, day };
        date.exists().then_some(date)
    }

    /// Reads `2026-11-24`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return None;
        }
        Self::new(text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?)
    }

    fn exists(self) -> bool {
        (0..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
    }
}

fn days_in_month(year: i16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A moment, in microseconds since 1970 (UTC), of the years 0 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment(i64);

impl Moment {
    const MIN_MICROS: i64 = -62_167_219_200_000_000;
    const MAX_MICROS: i64 = 253_402_300_799_999_999;

    /// A moment from microseconds since 1970.
    #[must_use]
    pub fn from_micros(micros: i64) -> Option<Self> {
        (Self::MIN_MICROS..=Self::MAX_MICROS).contains(&micros).then_some(Self(micros))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339, with `Z` or an offset; the offset is applied and not kept.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let date = Date::parse(text.get(..10)?)?;
        let rest = text.get(10..)?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let clock = rest.get(..8)?;
        let shaped =
            clock.bytes().enumerate().all(|(i, b)| if i == 2 || i == 5 { b == b':' } else { b.is_ascii_digit() });
        if !shaped {
            return None;
        }
        let (hour, minute, second): (i64, i64, i64) =
            (clock[..2].parse().ok()?, clock[3..5].parse().ok()?, clock[6..].parse().ok()?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut zone = rest.get(8..)?;
        let mut micros = 0i64;
        if let Some(fraction) = zone.strip_prefix('.') {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || digits > 9 {
                return None;
            }
            let shown = &fraction[..digits.min(6)];
            micros = format!("{shown:0<6}").parse().ok()?;
            zone = &fraction[digits..];
        }
        let offset_minutes = match zone.as_bytes() {
            b"Z" | b"z" => 0,
            [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest[2] == b':' => {
                let zone = &zone[1..];
                let (hours, minutes): (i64, i64) = (zone[..2].parse().ok()?, zone[3..].parse().ok()?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return None,
        };
        let seconds = days_since_1970(date) * 86_400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
        Self::from_micros(seconds * 1_000_000 + micros)
    }
}

/// Days from civil, by Howard Hinnant's algorithm.
fn days_since_1970(date: Date) -> i64 {
    let (year, month, day) =
        (i64::from(date.year) - i64::from(date.month <= 2), i64::from(date.month), i64::from(date.day));
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> Date {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date {
        year: i16::try_from(year).expect("moments lie in the years 0 to 9999"),
        month: u8::try_from(month).expect("a month"),
        day: u8::try_from(day).expect("a day"),
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1_000_000);
        let micros = self.0.rem_euclid(1_000_000);
        let clock = seconds.rem_euclid(86_400);
        write!(
            f,
            "{}T{:02}:{:02}:{:02}",
            civil_from_days(seconds.div_euclid(86_400)),
            clock / 3600,
            clock / 60 % 60,
            clock % 60
        )?;
        if micros != 0 {
            let fraction = format!("{micros:06}");
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// One value that is not a list or a map.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scalar {
    Text(String),
    Integer(i128),
    Decimal(Decimal),
    Boolean(bool),
    Date(Date),
    Instant(Moment),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    Scalar(Scalar),
    List(Vec<Scalar>),
    Map(Vec<(String, Scalar)>),
}

/// Values are nobody's business in a log: only the type is shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.kind_of())
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scalar({})", self.kind_of())
    }
}

impl Coded for Value {
    const MAX_BYTES: usize = VALUE_MAX_BYTES + 64;
}

impl Scalar {
    /// Its type.
    #[must_use]
    pub fn kind_of(&self) -> Type {
        match self {
            Self::Text(_) => Type::Text,
            Self::Integer(_) => Type::Integer,
            Self::Decimal(_) => Type::Decimal,
            Self::Boolean(_) => Type::Boolean,
            Self::Date(_) => Type::Date,
            Self::Instant(_) => Type::Instant,
            Self::Bytes(_) => Type::Bytes,
        }
    }

    /// Reads the written form of a type that has one here: bytes, lists and maps have theirs in JSON.
    ///
    /// # Errors
    /// [`ValueError::NotA`].
    pub fn parse(expected: Type, text: &str) -> Result<Self, ValueError> {
        let trimmed = text.trim();
        let parsed = match expected {
            Type::Text => Some(Self::Text(text.to_owned())),
            Type::Integer => trimmed.parse().ok().map(Self::Integer),
            Type::Decimal => Decimal::parse(trimmed).map(Self::Decimal),
            Type::Boolean => match trimmed {
                "true" => Some(Self::Boolean(true)),
                "false" => Some(Self::Boolean(false)),
                _ => None,
            },
            Type::Date => Date::parse(trimmed).map(Self::Date),
            Type::Instant => Moment::parse(trimmed).map(Self::Instant),
            Type::Bytes | Type::List | Type::Map => None,
        };
        parsed.ok_or_else(|| ValueError::NotA { expected, text: shorten(text) })
    }

    fn is_canonical(&self) -> bool {
        match self {
            Self::Decimal(decimal) => decimal.is_canonical(),
            Self::Date(date) => date.exists(),
            Self::Instant(moment) => Moment::from_micros(moment.0).is_some(),
            Self::Text(_) | Self::Integer(_) | Self::Boolean(_) | Self::Bytes(_) => true,
        }
    }
}

/// The written form. Bytes have none of their own: their length stands for them.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(integer) => integer.fmt(f),
            Self::Decimal(decimal) => decimal.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Instant(moment) => moment.fmt(f),
            Self::Bytes(bytes) => write!(f, "({} bytes)", bytes.len()),
        }
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Scalar(Scalar::Text(text.into()))
    }

    /// Its type.
    #[must_use]
    pub fn kind_of(&self) -> Type {
        match self {
            Self::Scalar(scalar) => scalar.kind_of(),
            Self::List(_) => Type::List,
            Self::Map(_) => Type::Map,
        }
    }

    /// Reads the written form of a scalar type. Lists and maps come as JSON, which the door that takes them reads.
    ///
    /// # Errors
    /// [`ValueError`].
    pub fn parse(expected: Type, text: &str) -> Result<Self, ValueError> {
        Self::Scalar(Scalar::parse(expected, text)?).checked()
    }

    /// This value, if it is within the limits and in its one canonical form.
    ///
    /// # Errors
    /// [`ValueError`].
    pub fn checked(self) -> Result<Self, ValueError> {
        let fits = match &self {
            Self::Scalar(scalar) => scalar.is_canonical(),
            Self::List(items) => items.len() <= ITEMS_PER_VALUE_MAX && items.iter().all(Scalar::is_canonical),
            Self::Map(pairs) => {
                pairs.len() <= ITEMS_PER_VALUE_MAX
                    && pairs
                        .iter()
                        .all(|(name, scalar)| (1..=NAME_MAX_BYTES).contains(&name.len()) && scalar.is_canonical())
                    && pairs.windows(2).all(|pair| pair[0].0 < pair[1].0)
            }
        };
        if !fits {
            return Err(ValueError::Shape);
        }
        let bytes = self.encoded_bytes();
        if bytes > VALUE_MAX_BYTES { Err(ValueError::TooLarge { bytes }) } else { Ok(self) }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    item.fmt(f)?;
                }
                Ok(())
            }
            Self::Map(pairs) => {
                for (index, (name, scalar)) in pairs.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{name}: {scalar}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_keep_their_digits_and_lose_trailing_zeros() {
        for (text, shown) in
            [("12.50", "12.5"), ("-0.05", "-0.05"), ("100", "100"), ("0.00", "0"), ("+3.1", "3.1"), ("-0", "0")]
        {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "-", "1,5", "1.", ".5", "1e5", "1 000", "--1", "1.2.3"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        assert!(Date::parse("2024-02-29").is_some());
        for text in ["2023-02-29", "2026-13-01", "2026-00-10", "2026-1-1", "26-01-01", "2026-04-31"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn moments_read_rfc_3339_and_print_utc() {
        for (text, shown) in [
            ("2026-11-24T05:45:00Z", "2026-11-24T05:45:00Z"),
            ("2026-11-24T05:45:00.120+02:00", "2026-11-24T03:45:00.12Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
            ("2000-02-29T12:00:00-00:30", "2000-02-29T12:30:00Z"),
        ] {
            assert_eq!(Moment::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "2026-11-24",
            "2026-11-24T25:00:00Z",
            "2026-11-24T05:45:00",
            "2026-11-24T05:45:00.Z",
            "2026-11-24T05:45:00.1234567890Z",
            "2026-11-24T05:45:00+0200",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_map_out_of_order_or_with_a_name_twice_is_refused() {
        let pair = |name: &str| (name.to_owned(), Scalar::Integer(1));
        assert!(Value::Map(vec![pair("a"), pair("b")]).checked().is_ok());
        assert_eq!(Value::Map(vec![pair("b"), pair("a")]).checked(), Err(ValueError::Shape));
        assert_eq!(Value::Map(vec![pair("a"), pair("a")]).checked(), Err(ValueError::Shape));
        let many = |count: usize| Value::Map((0..count).map(|number| pair(&format!("k{number:05}"))).collect());
        assert!(many(ITEMS_PER_VALUE_MAX).checked().is_ok());
        assert_eq!(many(ITEMS_PER_VALUE_MAX + 1).checked(), Err(ValueError::Shape));
    }

    #[test]
    fn a_value_of_256_kib_is_the_largest() {
        let room = VALUE_MAX_BYTES - Value::text("").encode().len();
        assert!(Value::text("x".repeat(room - 8)).checked().is_ok());
        assert!(matches!(Value::text("x".repeat(room + 8)).checked(), Err(ValueError::TooLarge { .. })));
    }

    #[test]
    fn a_debug_print_shows_no_value() {
        assert_eq!(format!("{:?}", Value::text("secret")), "Value(text)");
    }

    proptest! {
        #[test]
        fn any_moment_prints_what_it_reads(micros in Moment::MIN_MICROS..=Moment::MAX_MICROS) {
            let moment = Moment::from_micros(micros).unwrap();
            prop_assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
        }

        #[test]
        fn any_decimal_prints_what_it_reads(coefficient in -1_000_000_000_000i128..1_000_000_000_000, scale in 0u8..20) {
            let decimal = Decimal::new(coefficient, scale);
            prop_assert_eq!(Decimal::parse(&decimal.to_string()), Some(decimal));
        }

        #[test]
        fn arbitrary_bytes_never_decode_to_something_not_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = Value::decode(&bytes) {
                prop_assert_eq!(value.encode(), bytes);
            }
        }
    }
}
