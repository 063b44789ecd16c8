//! Numbers for people.

use std::time::Duration;

/// A count with its thousands set apart: `93,322`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A loss: four decimals, or powers of ten when a training has gone astray.
pub fn loss(value: f64) -> String {
    if value.abs() < 1e5 { format!("{value:.4}") } else { format!("{value:.3e}") }
}

/// A time with as much detail as its length deserves: `8 s`, `2 min 05 s`, `1 h 03 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// `word`, in the plural unless there is one.
pub fn plural(count: usize, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {word}{s}", self::count(count as u64))
}

/// Bytes in the largest binary unit that keeps the number above one.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = value as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && size.fract() > 0.04);
    format!("{size:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 12, 999, 1000, 93_322, 1_234_567].map(count);
        assert_eq!(texts, ["0", "12", "999", "1,000", "93,322", "1,234,567"]);
    }

    #[test]
    fn a_loss_stays_short() {
        assert_eq!([0.01234567, 12.5, 4.25466e20].map(loss), ["0.0123", "12.5000", "4.255e20"]);
    }

    #[test]
    fn times_are_short() {
        let texts = [0.4, 59.4, 59.6, 125.0, 3800.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(texts, ["0 s", "59 s", "1 min 00 s", "2 min 05 s", "1 h 03 min"]);
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(
            [0, 1023, 1024, 134_217_728, 1_610_612_736].map(bytes),
            ["0 B", "1023 B", "1 KiB", "128 MiB", "1.5 GiB"]
        );
        assert_eq!([plural(1, "image"), plural(2000, "image")], ["1 image", "2,000 images"]);
    }
}
