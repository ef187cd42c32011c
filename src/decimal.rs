//! Decimal numbers as people write them, to whole numbers of a smallest unit and back. Everything is exact: what does not come out even
//! is refused, and no float is ever made.

/// A number without sign or exponent, times ten to the power of `digits`. `smallest` names what a one is then.
///
/// # Errors
/// What is wrong with the text, for people.
pub(crate) fn read(number: &str, digits: usize, smallest: &str) -> Result<u64, String> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || (number.contains('.') && fraction.is_empty()) {
        return Err(format!("`{number}` is not a number like 12 or 12.5"));
    }
    let significant = fraction.trim_end_matches('0');
    if significant.len() > digits {
        return Err(format!("`{number}` is finer than {smallest}"));
    }
    format!("{whole}{significant:0<digits$}").parse().map_err(|_| format!("`{number}` is too large"))
}

/// A number with its point moved, without zeros at the end.
pub(crate) fn write(number: u64, digits: usize) -> String {
    let text = format!("{number:0>width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}
