//! Slugs: names of devices for uses that allow only some characters.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Most characters of the readable part.
const MAX_READABLE_CHARS: usize = 40;

/// Returns a name as at most 40 letters, digits and `_`, for people. Different names may give the same slug.
pub fn readable(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if slug.len() >= MAX_READABLE_CHARS {
            break;
        }
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
    }
    slug.trim_end_matches('_').to_owned()
}

/// Returns the slug with the first eight digits of the name's SHA-256, which is unique to the name and the same at
/// every start.
pub fn unique(name: &str) -> String {
    let mut slug = readable(name);
    if !slug.is_empty() {
        slug.push('_');
    }
    for byte in &Sha256::digest(name.as_bytes())[..4] {
        let _ = write!(slug, "{byte:02x}");
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_a_safe_and_stable_one() {
        assert_eq!(unique("device_1"), "device_1_e15c0355");
        let names = ["floor_03/room_0127", "floor_03 room_0127", "küche", "kÜche", "会议室", "#/+", "", "a"];
        let slugs: Vec<String> = names.iter().map(|name| unique(name)).collect();
        for slug in &slugs {
            assert!(!slug.is_empty() && slug.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{slug}");
        }
        assert!(slugs[0].starts_with("floor_03_room_0127_") && slugs[2].starts_with("k_che_"), "{slugs:?}");
        let mut different = slugs.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), slugs.len());
        assert!(unique(&"x/".repeat(128)).len() <= 49);
    }
}
