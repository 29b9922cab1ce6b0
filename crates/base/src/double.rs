//! Floating-point numbers as replies spell them: the shortest digits that read back to the same number, without exponent
//! where that is not longer by much. The thresholds are observed on 9.1.2.

/// Integers up to this size are written without exponent.
const PLAIN_INTEGER_MAX: f64 = 4_611_686_018_427_387_904.0;

/// Appends the text of `value`.
pub fn push_double(out: &mut Vec<u8>, value: f64) {
    if value != 0.0 && value.abs() <= PLAIN_INTEGER_MAX && value.trunc() == value {
        return out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    }
    push_shortest(out, value);
}

/// Appends the text of `value`, integers too with an exponent where that is shorter.
pub fn push_shortest(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_infinite() {
        return out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    }
    if value == 0.0 {
        return out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let digits: Vec<u8> = mantissa.bytes().filter(|b| *b != b'.').collect();
    let exponent: i32 = exponent.parse().expect("the format has a number there");
    push_digits(out, &digits, exponent);
}

/// Appends digits whose first one counts `10^exponent`.
fn push_digits(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let count = digits.len() as i32;
    // Power of ten of the last digit.
    let last = exponent - count + 1;
    if (0..7).contains(&last) {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', last as usize));
    } else if last < 0 && (last > -7 || exponent.abs() < 4) {
        if exponent < 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
            out.extend_from_slice(digits);
        } else {
            let (whole, part) = digits.split_at(exponent as usize + 1);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(part);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        out.extend_from_slice(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
    }
}

/// A number with 17 significant digits, as C's `%.17g` writes it.
pub fn digits_17(number: f64) -> String {
    const DIGITS: i32 = 17;
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    let text = format!("{number:.16e}");
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the format has a number there");
    if (-4..DIGITS).contains(&exponent) {
        let text = format!("{number:.*}", (DIGITS - 1 - exponent) as usize);
        return if text.contains('.') { trimmed(&text).to_string() } else { text };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

fn trimmed(decimals: &str) -> &str {
    decimals.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(v: f64) -> String {
        let mut out = Vec::new();
        push_double(&mut out, v);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn spelled_as_the_real_server_does() {
        for (value, expected) in [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (0.0, "0"),
            (3e10, "30000000000"),
            (1e18, "1000000000000000000"),
            (4.6e18, "4600000000000000000"),
            (4.7e18, "4.7e+18"),
            (-5e18, "-5e+18"),
            (1e20, "1e+20"),
            (1.5e25, "1.5e+25"),
            (12345678901234567890.0, "12345678901234567000"),
            (4611686018427387904.0, "4611686018427387904"),
            (9223372036854775807.0, "9223372036854776000"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"),
            (1.234567e-4, "1.234567e-4"),
            (1.1e-5, "0.000011"),
            (1.12345e-5, "1.12345e-5"),
            (1234.123456789, "1234.123456789"),
            (12345.123456789, "1.2345123456789e+4"),
            (123456.789, "123456.789"),
            (123456789.125, "123456789.125"),
            (0.30000000000000004, "0.30000000000000004"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn numbers_with_17_digits() {
        for (number, text) in [
            (0.1, "0.10000000000000001"),
            (-2.5, "-2.5"),
            (-0.0, "-0"),
            (30_000_000_000.0, "30000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1e25, "1.0000000000000001e+25"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(digits_17(number), text);
        }
    }

    proptest! {
        #[test]
        fn the_text_reads_back(v in any::<f64>().prop_filter("a number", |v| v.is_finite())) {
            prop_assert_eq!(text(v).parse::<f64>(), Ok(v));
        }
    }
}
