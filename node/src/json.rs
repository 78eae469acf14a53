//! Values in JSON, as the control API and `--json` show and take them.
//!
//! Out: text, booleans and small integers are JSON's own; decimals and integers beyond 2^53 are strings as written, since a reader that
//! takes them for floating point would change them; dates and instants are text, bytes are Base64. In: the same, and numbers are read
//! by their digits, never through floating point. A member of a list or map may be `{"type", "value"}`, which is how one says that a
//! text in it is a date; [`to_typed`] always writes it so, and loses nothing.

use allod_protocol::value::{Decimal, Scalar, Type, Value, ValueError};
use data_encoding::BASE64;
use serde_json::{Map, Number, Value as Json, json};

/// The largest integer that every JSON reader keeps exactly: 2^53.
const EXACT_INTEGER_MAX: u128 = 1 << 53;

/// The JSON of a value.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Scalar(scalar) => scalar_to_json(scalar),
        Value::List(items) => items.iter().map(scalar_to_json).collect(),
        Value::Map(pairs) => pairs.iter().map(|(name, scalar)| (name.clone(), scalar_to_json(scalar))).collect(),
    }
}

/// The JSON of a value, with the type of each member of a list or map.
#[must_use]
pub fn to_typed(value: &Value) -> Json {
    let typed = |scalar: &Scalar| json!({ "type": scalar.kind_of().as_str(), "value": scalar_to_json(scalar) });
    match value {
        Value::Scalar(scalar) => scalar_to_json(scalar),
        Value::List(items) => items.iter().map(typed).collect(),
        Value::Map(pairs) => pairs.iter().map(|(name, scalar)| (name.clone(), typed(scalar))).collect(),
    }
}

fn scalar_to_json(scalar: &Scalar) -> Json {
    match scalar {
        Scalar::Text(text) => Json::String(text.clone()),
        Scalar::Integer(integer) => match i64::try_from(*integer) {
            Ok(small) if integer.unsigned_abs() <= EXACT_INTEGER_MAX => Json::Number(Number::from(small)),
            _ => Json::String(integer.to_string()),
        },
        Scalar::Boolean(boolean) => Json::Bool(*boolean),
        Scalar::Bytes(bytes) => Json::String(BASE64.encode(bytes)),
        Scalar::Decimal(_) | Scalar::Date(_) | Scalar::Instant(_) => Json::String(scalar.to_string()),
    }
}

/// The value of this type that `json` holds.
///
/// # Errors
/// [`ValueError`].
pub fn from_json(expected: Type, json: &Json) -> Result<Value, ValueError> {
    let not_a = || ValueError::NotA { expected, text: shown(json) };
    match (expected, json) {
        (Type::List, Json::Array(items)) => {
            Value::List(items.iter().map(member_from_json).collect::<Result<_, _>>()?).checked()
        }
        (Type::Map, Json::Object(pairs)) => {
            let mut pairs = pairs
                .iter()
                .map(|(name, member)| Ok((name.clone(), member_from_json(member)?)))
                .collect::<Result<Vec<_>, ValueError>>()?;
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Map(pairs).checked()
        }
        (Type::List | Type::Map, _) => Err(not_a()),
        _ => Value::Scalar(scalar_from_json(expected, json)?).checked(),
    }
}

/// The value of this type that a person typed: lists and maps as JSON, bytes as Base64, the other types in their written form.
///
/// # Errors
/// [`ValueError`].
pub fn parse_input(expected: Type, text: &str) -> Result<Value, ValueError> {
    match expected {
        Type::List | Type::Map => {
            let json = serde_json::from_str(text)
                .map_err(|_| ValueError::NotA { expected, text: shown(&Json::String(text.to_owned())) })?;
            from_json(expected, &json)
        }
        Type::Bytes => from_json(expected, &Json::String(text.trim().to_owned())),
        _ => Value::parse(expected, text),
    }
}

/// What JSON without any type says: text, boolean, integer, or a decimal if the number has a point.
#[must_use]
pub(crate) fn untyped_scalar(json: &Json) -> Option<Scalar> {
    match json {
        Json::String(text) => Some(Scalar::Text(text.clone())),
        Json::Bool(boolean) => Some(Scalar::Boolean(*boolean)),
        Json::Number(number) => {
            let digits = number.to_string();
            let integer = digits.parse().ok().map(Scalar::Integer);
            integer.or_else(|| Decimal::parse(&digits).map(Scalar::Decimal))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn member_from_json(json: &Json) -> Result<Scalar, ValueError> {
    if let Json::Object(pairs) = json {
        let typed = (pairs.len() == 2).then(|| (pairs.get("type"), pairs.get("value")));
        let Some((Some(Json::String(word)), Some(value))) = typed else { return Err(ValueError::Shape) };
        return scalar_from_json(Type::parse(word).ok_or(ValueError::Shape)?, value);
    }
    untyped_scalar(json).ok_or(ValueError::Shape)
}

fn scalar_from_json(expected: Type, json: &Json) -> Result<Scalar, ValueError> {
    let not_a = || ValueError::NotA { expected, text: shown(json) };
    match (expected, json) {
        (Type::Bytes, Json::String(text)) => BASE64.decode(text.as_bytes()).map(Scalar::Bytes).map_err(|_| not_a()),
        (Type::Boolean, Json::Bool(boolean)) => Ok(Scalar::Boolean(*boolean)),
        (Type::Integer | Type::Decimal, Json::Number(number)) => Scalar::parse(expected, &number.to_string()),
        (Type::List | Type::Map, _) => Err(ValueError::Shape),
        (_, Json::String(text)) => Scalar::parse(expected, text),
        _ => Err(not_a()),
    }
}

/// Enough of it for a sentence.
fn shown(json: &Json) -> String {
    let text = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    if text.chars().count() <= 60 { text } else { text.chars().take(60).chain(['…']).collect() }
}

/// The members of a JSON object, by name.
pub(crate) type Members = Map<String, Json>;

#[cfg(test)]
mod tests {
    use allod_protocol::value::{Date, Moment};
    use proptest::prelude::*;

    use super::*;

    fn value(expected: Type, text: &str) -> Value {
        parse_input(expected, text).unwrap()
    }

    #[test]
    fn what_floating_point_would_change_goes_out_as_a_string() {
        assert_eq!(to_json(&value(Type::Integer, "9007199254740992")), json!(9_007_199_254_740_992_i64));
        assert_eq!(to_json(&value(Type::Integer, "-9007199254740993")), json!("-9007199254740993"));
        assert_eq!(to_json(&value(Type::Decimal, "0.10")), json!("0.1"));
    }

    #[test]
    fn numbers_come_in_by_their_digits() {
        let json: Json = serde_json::from_str("12345678901234567890.12345678901234567").unwrap();
        assert_eq!(from_json(Type::Decimal, &json).unwrap().to_string(), "12345678901234567890.12345678901234567");
        let json: Json = serde_json::from_str("170141183460469231731687303715884105727").unwrap();
        assert_eq!(from_json(Type::Integer, &json).unwrap(), Value::Scalar(Scalar::Integer(i128::MAX)));
    }

    #[test]
    fn what_is_not_of_the_type_is_refused() {
        for (expected, json) in [
            (Type::Text, json!(5)),
            (Type::Integer, json!("five")),
            (Type::Integer, json!(1.5)),
            (Type::Boolean, json!(1)),
            (Type::Date, json!("2026-02-30")),
            (Type::Bytes, json!("not base64")),
            (Type::List, json!({})),
            (Type::Map, json!([])),
            (Type::Text, json!(null)),
        ] {
            assert!(matches!(from_json(expected, &json), Err(ValueError::NotA { .. })), "{expected} {json}");
        }
        assert_eq!(from_json(Type::List, &json!([["nested"]])), Err(ValueError::Shape));
        assert_eq!(from_json(Type::Map, &json!({"a": {"b": 1}})), Err(ValueError::Shape));
    }

    #[test]
    fn a_person_types_lists_and_maps_as_json() {
        assert_eq!(
            value(Type::List, r#"["a", 1, 1.50, true]"#),
            Value::List(vec![
                Scalar::Text("a".into()),
                Scalar::Integer(1),
                Scalar::Decimal(Decimal::new(15, 1)),
                Scalar::Boolean(true)
            ])
        );
        let Value::Map(pairs) = value(Type::Map, r#"{"b": 1, "a": {"type": "date", "value": "2026-11-24"}}"#) else {
            panic!("not a map")
        };
        assert_eq!(pairs[0], ("a".into(), Scalar::Date(Date::new(2026, 11, 24).unwrap())));
        assert!(parse_input(Type::List, "a, b").is_err());
    }

    fn scalars() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            any::<String>().prop_map(Scalar::Text),
            any::<i128>().prop_map(Scalar::Integer),
            (any::<i64>(), 0u8..=38).prop_map(|(digits, scale)| Scalar::Decimal(Decimal::new(digits.into(), scale))),
            any::<bool>().prop_map(Scalar::Boolean),
            (0i16..=9999, 1u8..=12, 1u8..=28).prop_map(|(y, m, d)| Scalar::Date(Date::new(y, m, d).unwrap())),
            any::<i32>().prop_map(|s| Scalar::Instant(Moment::from_micros(i64::from(s) * 1_000_003).unwrap())),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Scalar::Bytes),
        ]
    }

    proptest! {
        #[test]
        fn any_scalar_comes_back_from_its_json(scalar in scalars()) {
            let value = Value::Scalar(scalar);
            prop_assert_eq!(from_json(value.kind_of(), &to_json(&value)), Ok(value));
        }

        #[test]
        fn any_list_or_map_comes_back_from_its_typed_json(
            items in proptest::collection::vec(scalars(), 0..8),
            pairs in proptest::collection::btree_map("[a-zé]{1,8}", scalars(), 0..8),
        ) {
            for value in [Value::List(items), Value::Map(pairs.into_iter().collect())] {
                prop_assert_eq!(from_json(value.kind_of(), &to_typed(&value)), Ok(value));
            }
        }
    }
}
