//! The bits of a uuid version 7 (RFC 9562, section 5.7) as ordered integers, and its text.

/// Milliseconds that the first 48 bits can count.
pub(super) const MILLIS: i128 = 1 << 48;
/// Version 7 and variant 2 with every random bit 0.
const V7_BITS: u128 = 0x7000_8000_0000_0000_0000;
const SIGN_BIT: u128 = 1 << 127;

/// Returns the smallest uuid version 7 of a millisecond, `0190163d-8000-7000-8000-000000000000`.
///
/// Version and variant are set so that a bound is itself a value the column can hold, and at both
/// ends of a range alike, so that neighbours touch. `millis` is brought within the 48 bits.
pub(super) fn first_of(millis: i128) -> i128 {
    let millis = u128::try_from(millis.clamp(0, MILLIS - 1)).unwrap_or_default();
    value(millis << 80 | V7_BITS)
}

/// Returns the milliseconds since 1970 that the first 48 bits count.
pub(super) fn millis(value: i128) -> i128 {
    (bits(value) >> 80).cast_signed()
}

/// Reads the text of a uuid as the server prints it.
pub(super) fn parse(text: &str) -> Option<i128> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let digits = groups.concat();
    if lengths != [8, 4, 4, 4, 12] || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(value)
}

/// Writes a uuid as the server prints it.
pub(super) fn text(value: i128) -> String {
    let hex = format!("{:032x}", bits(value));
    let mut text = String::with_capacity(36);
    for (at, digit) in hex.chars().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// The server compares uuids as unsigned bytes; with the first bit turned, signed integers do too.
fn value(bits: u128) -> i128 {
    (bits ^ SIGN_BIT).cast_signed()
}

fn bits(value: i128) -> u128 {
    value.cast_unsigned() ^ SIGN_BIT
}
