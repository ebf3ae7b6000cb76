//! Variable-length integers: seven bits per byte, the lowest first. The top bit is set while more bytes follow.

/// Most bytes of a number. All stored numbers are below 2^35.
const MAX_BYTES: u32 = 5;

/// Appends a number.
pub(super) fn encode(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads all numbers in some bytes; `None` when the last one is incomplete or one is too long.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::with_capacity(bytes.len());
    let (mut number, mut read) = (0, 0);
    for &byte in bytes {
        number |= u64::from(byte & 0x7f) << (7 * read);
        read += 1;
        if byte & 0x80 == 0 {
            numbers.push(number);
            (number, read) = (0, 0);
        } else if read == MAX_BYTES {
            return None;
        }
    }
    (read == 0).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_comes_out_again(numbers in prop::collection::vec(0_u64..1 << 35, 0..50)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|&number| encode(&mut bytes, number));
            prop_assert_eq!(decode(&bytes), Some(numbers));
        }
    }

    #[test]
    fn broken_numbers_are_none() {
        assert_eq!(decode(&[0x80]), None);
        assert_eq!(decode(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), None);
        assert_eq!(decode(&[]), Some(Vec::new()));
    }
}
