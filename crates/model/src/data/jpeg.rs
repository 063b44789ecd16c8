//! Whether a JPEG file is whole. Its decoder fills what is missing with grey and says nothing.
//!
//! Source of the form: ITU-T T.81, "Digital compression and coding of continuous-tone still images", annex B.

use std::io::{self, BufRead, Read};

/// Codes of markers, the byte after `0xff`.
mod marker {
    /// Stands after an `0xff` that belongs to the pixels.
    pub const STUFFED: u8 = 0x00;
    /// A temporary code; no length follows.
    pub const TEM: u8 = 0x01;
    /// Restarts within a scan; no length follows.
    pub const RESTARTS: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;
    /// Start of the image.
    pub const SOI: u8 = 0xd8;
    /// End of the image.
    pub const EOI: u8 = 0xd9;
    /// Fills up; the code is yet to come.
    pub const FILL: u8 = 0xff;
}

/// Whether the image that starts here has its end marker: segments are skipped by their lengths, so that a thumbnail's
/// end is not taken for it, and pixels up to the next marker.
///
/// # Errors
/// Whatever the reader meets, apart from the end of the file.
pub(super) fn is_whole(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        // Up to the next marker: nothing between segments, or the pixels of a scan.
        reader.skip_until(0xff)?;
        let Some(mut code) = next(reader)? else { return Ok(false) };
        while code == marker::FILL {
            let Some(after) = next(reader)? else { return Ok(false) };
            code = after;
        }
        match code {
            marker::EOI => return Ok(true),
            marker::STUFFED | marker::TEM | marker::SOI => {}
            code if marker::RESTARTS.contains(&code) => {}
            _ => {
                let (Some(high), Some(low)) = (next(reader)?, next(reader)?) else { return Ok(false) };
                // The length counts its own two bytes.
                let rest = u64::from(u16::from_be_bytes([high, low])).saturating_sub(2);
                if io::copy(&mut reader.by_ref().take(rest), &mut io::sink())? < rest {
                    return Ok(false);
                }
            }
        }
    }
}

fn next(reader: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    Ok((reader.read(&mut byte)? == 1).then_some(byte[0]))
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    fn whole(bytes: &[u8]) -> bool {
        is_whole(&mut &bytes[..]).unwrap()
    }

    #[test]
    fn the_end_marker_is_found_behind_segments_and_pixels() {
        // Start, a comment that holds an end marker, a scan with a stuffed byte and a restart, fill bytes, end.
        let file = [
            &[0xff, 0xd8, 0xff, 0xfe, 0, 4, 0xff, 0xd9][..],
            &[0xff, 0xda, 0, 3, 9, 1, 2, 0xff, 0, 3, 0xff, 0xd0, 4],
            &[0xff, 0xff, 0xd9],
        ]
        .concat();
        assert!(whole(&file));
        for end in 0..file.len() {
            assert!(!whole(&file[..end]), "cut after {end} bytes");
        }
        assert!(whole(&[file, vec![1, 2, 3]].concat()), "what follows the end does no harm");
    }
}
