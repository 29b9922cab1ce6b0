//! The 80-bit floating-point arithmetic behind INCRBYFLOAT. Results are text that users compare and replicas store, and the
//! original computes them with 64 bits of mantissa: with ordinary doubles 0.1 + 0.2 would not give 0.3. Only what the
//! command needs: reading, one addition, and writing with 17 decimals.

/// A finite number: `mantissa * 2^exponent`, with the mantissa's top bit set unless it is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extended {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A finite number.
    Finite(Extended),
    /// Infinity of either sign.
    Infinite,
}

/// Longest text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 5 * 1024;

/// Exponent of the largest number: above it there is only infinity.
const EXPONENT_MAX: i32 = 16383 - 63;

/// Exponent of the last bit of the smallest number.
const EXPONENT_MIN: i32 = -16445;

/// Decimals that are written.
const DECIMALS: u32 = 17;

impl Extended {
    const ZERO: Extended = Extended { negative: false, mantissa: 0, exponent: 0 };

    /// Reads a decimal number with an optional fraction and exponent, a hexadecimal one behind `0x` with an optional
    /// fraction and power of two, or `inf`. None for anything else, blanks included, and for what is too large or too small
    /// to be told from infinity or zero.
    pub(crate) fn parse(text: &[u8]) -> Option<Parsed> {
        if text.len() >= TEXT_BYTES_MAX {
            return None;
        }
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
            return Some(Parsed::Infinite);
        }
        let magnitude = match rest {
            [b'0', b'x' | b'X', digits @ ..] => from_hexadecimal(digits)?,
            _ => {
                let (digits, power) = decimal_parts(rest)?;
                from_decimal(&digits, power)?
            }
        };
        Some(Parsed::Finite(Extended { negative, ..magnitude }))
    }

    /// A double near to it, infinite if there is none as large; never zero unless the number is.
    pub(crate) fn to_f64(self) -> f64 {
        // In two steps, for the first alone may leave the range that the result is in.
        let half = self.exponent / 2;
        let magnitude = self.mantissa as f64 * 2f64.powi(half) * 2f64.powi(self.exponent - half);
        let magnitude = if self.mantissa == 0 { 0.0 } else { magnitude.max(f64::MIN_POSITIVE) };
        if self.negative { -magnitude } else { magnitude }
    }

    /// The nearest number to an integer: the integer itself.
    pub(crate) fn from_i64(n: i64) -> Extended {
        Extended { negative: n < 0, ..rounded(u128::from(n.unsigned_abs()), 0).unwrap_or(Extended::ZERO) }
    }

    /// The sum, rounded to nearest even; none if it is infinite.
    pub(crate) fn add(self, other: Extended) -> Option<Extended> {
        let (big, small) = if self.top() >= other.top() { (self, other) } else { (other, self) };
        if small.mantissa == 0 {
            return Some(big);
        }
        // 62 guard bits below, one bit for the carry above. Bits that fall off at the bottom leave a mark in the last one, which
        // is all that rounding needs to know of them.
        let a = u128::from(big.mantissa) << 62;
        let shift = (big.exponent - small.exponent) as u32;
        let b = shifted_right(u128::from(small.mantissa) << 62, shift);
        let (sum, negative) = match (big.negative == small.negative, a >= b) {
            (true, _) => (a + b, big.negative),
            (false, true) => (a - b, big.negative),
            (false, false) => (b - a, small.negative),
        };
        Some(Extended { negative, ..rounded(sum, big.exponent - 62)? })
    }

    /// Compares magnitudes roughly: by the place of the top bit, zero below all.
    fn top(self) -> (i32, u64) {
        if self.mantissa == 0 { (i32::MIN, 0) } else { (self.exponent, self.mantissa) }
    }

    /// The text with up to 17 decimals, without zeros at the end and without exponent.
    pub(crate) fn to_text(self) -> Vec<u8> {
        let mut out = Vec::new();
        let (whole, fraction) = if self.exponent >= 0 {
            (big_decimal(self.mantissa, self.exponent as u32), 0)
        } else {
            let unit = 10u128.pow(DECIMALS);
            let scaled = rounded_right(u128::from(self.mantissa) * unit, self.exponent.unsigned_abs());
            ((scaled / unit).to_string(), scaled % unit)
        };
        if self.negative && (whole != "0" || fraction != 0) {
            out.push(b'-');
        }
        out.extend_from_slice(whole.as_bytes());
        if fraction != 0 {
            let decimals = format!("{fraction:0width$}", width = DECIMALS as usize);
            out.push(b'.');
            out.extend_from_slice(decimals.trim_end_matches('0').as_bytes());
        }
        out
    }
}

/// Splits a decimal number into its digits and the power of ten of the last one.
fn decimal_parts(text: &[u8]) -> Option<(Vec<u8>, i64)> {
    let (mut digits, mut power, mut seen_point, mut i) = (Vec::with_capacity(text.len()), 0i64, false, 0);
    while let Some(&b) = text.get(i) {
        match b {
            b'0'..=b'9' => {
                digits.push(b - b'0');
                power -= i64::from(seen_point);
            }
            b'.' if !seen_point => seen_point = true,
            _ => break,
        }
        i += 1;
    }
    if digits.is_empty() {
        return None;
    }
    match text.get(i..)? {
        [] => {}
        [b'e' | b'E', exponent @ ..] => power += exponent_of(exponent)?,
        _ => return None,
    }
    Some((digits, power))
}

/// Reads what follows `0x`; none for what has no digits, a bad exponent, or a value that is out of range.
fn from_hexadecimal(text: &[u8]) -> Option<Extended> {
    let (mut value, mut power, mut seen_point, mut digits, mut i) = (0u128, 0i64, false, 0, 0);
    while let Some(&b) = text.get(i) {
        match char::from(b).to_digit(16) {
            Some(digit) if value >> 100 == 0 => {
                value = value << 4 | u128::from(digit);
                power -= 4 * i64::from(seen_point);
                digits += 1;
            }
            // Bits this far down only matter to rounding: the last one stands for them all.
            Some(digit) => {
                value |= u128::from(digit != 0);
                power += 4 * i64::from(!seen_point);
            }
            None if b == b'.' && !seen_point => seen_point = true,
            None => break,
        }
        i += 1;
    }
    match text.get(i..)? {
        _ if digits == 0 => return None,
        [] => {}
        [b'p' | b'P', exponent @ ..] => power += exponent_of(exponent)?,
        _ => return None,
    }
    rounded(value, i32::try_from(power).ok()?).filter(|v| value == 0 || v.mantissa != 0)
}

/// The exponent, cut off where it is far beyond all numbers anyway.
fn exponent_of(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0i64, |v, d| (v * 10 + i64::from(d - b'0')).min(1_000_000)))
}

/// `digits * 10^power`, rounded to nearest even; none if it is infinite, or zero though a digit is not.
fn from_decimal(digits: &[u8], power: i64) -> Option<Extended> {
    let mut number = Big::default();
    for &d in digits {
        number.multiply_add(10, u32::from(d));
    }
    if number.is_zero() {
        return Some(Extended::ZERO);
    }
    // The exponent's range keeps the numbers below small: beyond it the result is out of range whatever the digits are.
    let size = digits.len() as i64 + power;
    if !(-5000..=5000).contains(&size) {
        return None;
    }
    let value = if power >= 0 {
        (0..power).for_each(|_| number.multiply_add(10, 0));
        number.top_bits()
    } else {
        let mut divisor = Big::from(1);
        (0..-power).for_each(|_| divisor.multiply_add(10, 0));
        quotient(number, divisor)
    };
    rounded(value.0, value.1).filter(|v| v.mantissa != 0)
}

/// `number / divisor` as a mantissa of at least 66 bits, the last one marking a remainder, and its exponent.
fn quotient(mut number: Big, mut divisor: Big) -> (u128, i32) {
    let shift = divisor.bits() as i32 - number.bits() as i32;
    if shift > 0 {
        number.shift_left(shift as u32);
    } else {
        divisor.shift_left(shift.unsigned_abs());
    }
    let mut mantissa = 0u128;
    const STEPS: i32 = 70;
    for _ in 0..STEPS {
        mantissa <<= 1;
        if number >= divisor {
            number.subtract(&divisor);
            mantissa |= 1;
        }
        number.shift_left(1);
    }
    (mantissa << 1 | u128::from(!number.is_zero()), -shift - STEPS)
}

/// Brings a value to 64 bits, rounding to nearest even. Bit 0 may stand for all bits below it. None if the result is
/// infinite.
fn rounded(value: u128, exponent: i32) -> Option<Extended> {
    if value == 0 {
        return Some(Extended::ZERO);
    }
    let bits = (128 - value.leading_zeros()) as i32;
    // Numbers near zero have fewer bits.
    let drop = (bits - 64).max(EXPONENT_MIN - exponent);
    let (mantissa, exponent) =
        if drop <= 0 { (value, exponent) } else { (rounded_right(value, drop as u32), exponent + drop) };
    if mantissa == 0 {
        return Some(Extended::ZERO);
    }
    // Rounding up can give 2^64; the shift right loses only a zero.
    let shift = mantissa.leading_zeros() as i32 - 64;
    let (mantissa, exponent) =
        if shift < 0 { ((mantissa >> 1) as u64, exponent + 1) } else { ((mantissa << shift) as u64, exponent - shift) };
    (exponent <= EXPONENT_MAX).then_some(Extended { negative: false, mantissa, exponent })
}

/// Shifts right, rounding to nearest even.
fn rounded_right(value: u128, shift: u32) -> u128 {
    if shift == 0 {
        return value;
    }
    if shift > 128 {
        return 0;
    }
    let kept = if shift == 128 { 0 } else { value >> shift };
    let rest = value << (128 - shift);
    let half = 1u128 << 127;
    kept + u128::from(rest > half || (rest == half && kept & 1 == 1))
}

/// Shifts right; a set bit that falls off leaves its mark in bit 0.
fn shifted_right(value: u128, shift: u32) -> u128 {
    if shift == 0 {
        value
    } else if shift >= 128 {
        u128::from(value != 0)
    } else {
        value >> shift | u128::from(value << (128 - shift) != 0)
    }
}

/// The decimal text of `mantissa * 2^shift`.
fn big_decimal(mantissa: u64, shift: u32) -> String {
    let mut number = Big::from(mantissa);
    number.shift_left(shift);
    let mut groups = Vec::new();
    while !number.is_zero() {
        groups.push(number.divide(1_000_000_000));
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

/// A natural number of any size, lowest limb first, without zero limbs at the top.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(n: u64) -> Big {
        let mut out = Big(vec![n as u32, (n >> 32) as u32]);
        out.trim();
        out
    }
}

impl PartialOrd for Big {
    fn partial_cmp(&self, other: &Big) -> Option<std::cmp::Ordering> {
        let by_length = self.0.len().cmp(&other.0.len());
        Some(by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())))
    }
}

impl Big {
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn multiply_add(&mut self, factor: u32, carry: u32) {
        let mut carry = u64::from(carry);
        for limb in &mut self.0 {
            let wide = u64::from(*limb) * u64::from(factor) + carry;
            *limb = wide as u32;
            carry = wide >> 32;
        }
        if carry != 0 {
            self.0.push(carry as u32);
        }
    }

    /// Divides in place; gives the remainder.
    fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0u64;
        for limb in self.0.iter_mut().rev() {
            let wide = rest << 32 | u64::from(*limb);
            *limb = (wide / u64::from(divisor)) as u32;
            rest = wide % u64::from(divisor);
        }
        self.trim();
        rest as u32
    }

    fn shift_left(&mut self, bits: u32) {
        if self.is_zero() {
            return;
        }
        self.0.splice(0..0, std::iter::repeat_n(0, (bits / 32) as usize));
        let part = bits % 32;
        if part != 0 {
            let mut carry = 0;
            for limb in &mut self.0 {
                (*limb, carry) = (*limb << part | carry, *limb >> (32 - part));
            }
            if carry != 0 {
                self.0.push(carry);
            }
        }
    }

    /// Subtracts what is not larger.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = 0i64;
        for (i, limb) in self.0.iter_mut().enumerate() {
            let wide = i64::from(*limb) - i64::from(other.0.get(i).copied().unwrap_or(0)) + borrow;
            *limb = wide as u32;
            borrow = wide >> 32;
        }
        debug_assert_eq!(borrow, 0, "the subtrahend is not larger");
        self.trim();
    }

    /// The top 96 to 127 bits, the last one marking that bits below are set, and the exponent.
    fn top_bits(&self) -> (u128, i32) {
        let from = self.0.len().saturating_sub(3);
        let top = self.0[from..].iter().rev().fold(0u128, |v, l| v << 32 | u128::from(*l));
        let below = self.0[..from].iter().any(|l| *l != 0);
        (top << 1 | u128::from(below), from as i32 * 32 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Option<Extended> {
        match Extended::parse(text.as_bytes())? {
            Parsed::Finite(n) => Some(n),
            Parsed::Infinite => None,
        }
    }

    fn sum(a: &str, b: &str) -> String {
        let sum = number(a).unwrap().add(number(b).unwrap()).unwrap();
        String::from_utf8(sum.to_text()).unwrap()
    }

    /// Observed on 9.1.2.
    #[test]
    fn sums_as_the_real_server_gives_them() {
        for (a, b, expected) in [
            ("3", "1.1", "4.1"),
            ("1e20", "1", "100000000000000000000"),
            ("0.1", "0.2", "0.3"),
            ("1", "1e-17", "1.00000000000000001"),
            ("1", "1e-18", "1"),
            ("1", "-1", "0"),
            ("-1", "0.5", "-0.5"),
            ("1e17", "0.1", "100000000000000000.1015625"),
            ("123456789012345678", "0.5", "123456789012345678.5"),
            ("5.0e3", "0", "5000"),
            ("0.00000000000000001", "0", "0.00000000000000001"),
            ("3", "1.000000000000000005", "4.00000000000000001"),
            ("-0", "0", "0"),
            ("0", "-0.0", "0"),
            ("1.0000000000000000000000001", "0", "1"),
            ("99999999999999999999", "0.3", "100000000000000000000"),
            (".5", "5.", "5.5"),
            ("+1", "1E1", "11"),
            ("0x10", "0x1p3", "24"),
            ("0x.8", "0x1.p-1", "1"),
            ("-0X1F", "0", "-31"),
            ("0x123456789abcdef012345", "0", "1375488932539311398715392"),
            ("0x1p70", "0", "1180591620717411303424"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
        let huge = sum("1e4932", "1");
        assert!(huge.starts_with("10000000000000000000060189493879638913238377742545331147737850413525330194866087"));
        assert_eq!(huge.len(), 4933);
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "",
            " 1",
            "1 ",
            "abc",
            "1e",
            "1e+",
            "nan",
            "--1",
            "1..2",
            ".",
            "1e4933",
            "1e-5000",
            "+ 1",
            "0x",
            "0x1p",
            "0x.",
            "0xg",
            "0x1p20000",
            "0x1p-20000",
            "x1",
        ] {
            assert_eq!(Extended::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Extended::parse(&[b'1'; TEXT_BYTES_MAX]), None);
        for text in ["inf", "-INF", "+Infinity"] {
            assert_eq!(Extended::parse(text.as_bytes()), Some(Parsed::Infinite), "{text:?}");
        }
        let most = number("1.1e4932").unwrap();
        assert_eq!(most.add(most), None, "infinite");
    }

    proptest! {
        #[test]
        fn sums_of_integers_are_exact(a: i64, b: i64) {
            let sum = Extended::from_i64(a).add(Extended::from_i64(b)).unwrap();
            let exact = i128::from(a) + i128::from(b);
            // 65 bits can be needed; then the last one is rounded to even.
            let expected = if exact.unsigned_abs() >> 64 == 0 { exact } else {
                let low = exact.unsigned_abs() & 3;
                let even = (exact.unsigned_abs() & !1) + if low == 3 { 2 } else { 0 };
                if exact < 0 { -(even as i128) } else { even as i128 }
            };
            prop_assert_eq!(String::from_utf8(sum.to_text()).unwrap(), expected.to_string());
        }

        #[test]
        fn digits_survive_as_far_as_the_mantissa_reaches(whole in -99i64..99, part in 0u64..100_000_000_000) {
            let text = format!("{whole}.{part:011}");
            let expected = text.trim_end_matches('0').trim_end_matches('.');
            prop_assert_eq!(sum(&text, "0"), if expected == "-0" { "0" } else { expected });
        }

        #[test]
        fn doubles_read_as_themselves(v in any::<f64>().prop_filter("finite", |v| v.is_finite() && *v != 0.0)) {
            let read = number(&format!("{v:e}")).unwrap();
            let near = read.mantissa as f64 * 2f64.powi(read.exponent.clamp(-1000, 960));
            if (-1000..=960).contains(&read.exponent) {
                // Rounded twice, first to 64 bits and then to 53, a text halfway between two doubles may reach either.
                prop_assert!(near.to_bits().abs_diff(v.abs().to_bits()) <= 1, "{} {}", near, v);
            }
        }

        #[test]
        fn hexadecimal_numbers_are_exact(n: u64) {
            prop_assert_eq!(sum(&format!("{n:#x}"), "0"), n.to_string());
            prop_assert_eq!(number(&format!("{n:#x}p-3")).unwrap().to_f64(), n as f64 / 8.0);
        }

        #[test]
        fn no_text_panics(text in "[-+]?(0x)?[-+.0-9ep]{0,30}") {
            if let Some(n) = number(&text) {
                n.to_text();
                prop_assert_eq!(n.to_f64() == 0.0, n.mantissa == 0);
                n.add(n);
            }
        }
    }
}
