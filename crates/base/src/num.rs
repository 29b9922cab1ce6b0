//! Numbers as text, by the rules clients observe: a canonical decimal integer has no sign `+`, no leading zero and no
//! `-0`; anything else is not an integer.

/// Reads a canonical 64-bit decimal. Refuses empty text, blanks, `+1`, `01`, `-0` and overflow.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [] => return None,
        [b'0'] => return if negative { None } else { Some(0) },
        [b'0', ..] => return None,
        _ if digits.len() > 19 => return None,
        _ => {}
    }
    // Nineteen digits are below two to the power of 64.
    let mut value: u64 = 0;
    for &d in digits {
        let digit = d.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// Reads a canonical unsigned 64-bit decimal.
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0u64, |v, d| {
        if d.is_ascii_digit() { v.checked_mul(10)?.checked_add(u64::from(d - b'0')) } else { None }
    })
}

/// Reads a floating-point number the way string commands accept one: no surrounding blanks, no NaN; `inf`, `+inf`,
/// `-inf`, `infinity` in any case are accepted.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let s = std::str::from_utf8(text).ok()?;
    if s.is_empty() || s.starts_with(char::is_whitespace) || s.ends_with(char::is_whitespace) {
        return None;
    }
    let v: f64 = s.parse().ok()?;
    // Digits that overflow to infinity are out of range, the word itself is a value; so are digits that only zero is near to.
    let is_word = s.bytes().any(|b| b == b'n' || b == b'N');
    let is_lost = v == 0.0 && s.bytes().take_while(|b| !b"eE".contains(b)).any(|b| (b'1'..=b'9').contains(&b));
    if v.is_nan() || (v.is_infinite() && !is_word) || is_lost { None } else { Some(v) }
}

/// Reads a bound of a range of floating-point numbers: as [`parse_f64`], but what is too large counts as infinite, what is
/// too small as zero, and no text at all as zero too.
pub fn parse_f64_bound(text: &[u8]) -> Option<f64> {
    let s = std::str::from_utf8(text).ok()?;
    if s.is_empty() {
        return Some(0.0);
    }
    s.parse::<f64>().ok().filter(|v| !v.is_nan())
}

/// A size with an optional unit, as configuration accepts it: `1k` = 1000, `1kb` = 1024, likewise m, mb, g, gb, b.
pub fn parse_memory(text: &str) -> Option<i64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: i64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_integers_are_integers() {
        for bad in
            ["", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "9223372036854775808", "-9223372036854775809", "1e3"]
        {
            assert_eq!(parse_i64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_i64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
    }

    #[test]
    fn floats_follow_the_string_commands() {
        assert_eq!(parse_f64(b"3.0e3"), Some(3000.0));
        assert_eq!(parse_f64(b"+inf"), Some(f64::INFINITY));
        for bad in ["", " 1", "1 ", "nan", "abc", "1e400", "1e-400", "-0.1e-330"] {
            assert_eq!(parse_f64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!((parse_f64(b"-0.0e9"), parse_f64(b"5e-324")), (Some(0.0), Some(5e-324)));
        let bounds = ["", "1e-400", "-1e400", " 1", "nan"].map(|text| parse_f64_bound(text.as_bytes()));
        assert_eq!(bounds, [Some(0.0), Some(0.0), Some(f64::NEG_INFINITY), None, None]);
    }

    #[test]
    fn memory_units() {
        assert_eq!(parse_memory("1k"), Some(1000));
        assert_eq!(parse_memory("64MB"), Some(64 << 20));
        assert_eq!(parse_memory("1x"), None);
    }

    proptest! {
        #[test]
        fn every_integer_survives_its_text(n: i64) {
            prop_assert_eq!(parse_i64(n.to_string().as_bytes()), Some(n));
        }
    }
}
