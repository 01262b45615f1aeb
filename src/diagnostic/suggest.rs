//! "Did you mean": the known name that a mistyped one is closest to.

/// Returns the known name that `written` was most likely meant to be, if any is close enough.
///
/// Close enough is a quarter of the letters wrong (at least one, two from five letters on), other case or separators
/// (`onNull`, `on-null`), or one name inside the other (`header` and `headers`).
#[must_use]
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| -> String {
        name.chars()
            .filter(|character| character.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect()
    };
    let wanted = plain(written);
    let length = wanted.chars().count();
    let allowed = if length < 5 { 1 } else { (length / 4).max(2) };
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| {
            let shorter = length.min(candidate.chars().count());
            *distance <= allowed && *distance < shorter.max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Lists names for a message: `` `a`, `b` and `c` ``; after twelve it says how many more.
#[must_use]
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN + 1 {
        let more = names.len() - SHOWN;
        names.truncate(SHOWN);
        return format!("{} and {more} more", names.join(", "));
    }
    match names.split_last() {
        None => String::from("nothing"),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_found_and_far_ones_are_not() {
        let words = ["on_null", "on_none", "lookup", "lookups", "value", "enum", "of"];
        assert_eq!(closest("lokup", words), Some("lookup"));
        assert_eq!(closest("onNull", words), Some("on_null"));
        assert_eq!(closest("vlaue", words), Some("value"));
        assert_eq!(closest("enmu", words), Some("enum"));
        assert_eq!(closest("if", words), Some("of"));
        assert_eq!(closest("description", words), None);
        assert_eq!(closest("", words), None);
    }

    #[test]
    fn lists_read_like_a_sentence() {
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
        let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert!(list(many.iter().map(String::as_str)).ends_with("and 8 more"));
    }
}
