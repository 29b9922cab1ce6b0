//! When two replies count as equal.

use baton_cli::Reply;

/// How far two times may lie apart that were taken by two servers one after the other.
const NEAR: i64 = 30_000;

/// What must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everything.
    Exact,
    /// Everything but the order of elements, at all depths.
    Unordered,
    /// Names and values that alternate in one list, in any order.
    Pairs,
    /// Everything, but numbers may differ by half a minute's milliseconds.
    Near,
    /// Only the kind of reply and the number of elements.
    Shape,
    /// Names of encodings, those of strings all being the same, and those of lists: a number that a script brought is kept
    /// as text over there, what became long or was looked at bit by bit stays raw, and when a list that shrinks is packed
    /// again depends on how it was cut into nodes.
    Encoding,
}

impl Rule {
    /// The rule of this name.
    pub fn named(name: &str) -> Option<Rule> {
        Some(match name {
            "exact" => Rule::Exact,
            "unordered" => Rule::Unordered,
            "pairs" => Rule::Pairs,
            "near" => Rule::Near,
            "shape" => Rule::Shape,
            "encoding" => Rule::Encoding,
            _ => return None,
        })
    }

    /// Whether the two agree.
    pub fn agree(self, a: &Reply, b: &Reply) -> bool {
        match self {
            Rule::Exact => same(a, b),
            Rule::Unordered => sorted(a) == sorted(b),
            Rule::Pairs => paired(a) == paired(b),
            Rule::Near => near(a, b),
            Rule::Shape => shape(a) == shape(b),
            Rule::Encoding => a == b || are_alike(a, b),
        }
    }
}

/// Equal, or the same number in other digits: one server writes the fewest that tell a number from its neighbours, the
/// other sometimes a digit more.
fn same(a: &Reply, b: &Reply) -> bool {
    match (a, b) {
        (Reply::Bulk(x), Reply::Bulk(y)) | (Reply::Double(x), Reply::Double(y)) => {
            x == y || canonical(x) == canonical(y)
        }
        (Reply::Array(x), Reply::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        // A number of a script that does not fit: the largest, or, as some processors have it, the smallest.
        (Reply::Integer(i64::MAX), Reply::Integer(i64::MIN)) => true,
        _ => a == b,
    }
}

/// The reply with its elements in an order of their own at all depths. Text is a good order: it tells all replies apart.
fn sorted(reply: &Reply) -> Reply {
    let sort = |items: &[Reply]| {
        let mut items: Vec<Reply> = items.iter().map(sorted).collect();
        items.sort_by_cached_key(|item| format!("{item:?}"));
        items
    };
    match reply {
        Reply::Array(items) => Reply::Array(sort(items)),
        Reply::Set(items) => Reply::Set(sort(items)),
        Reply::Map(pairs) => {
            let mut pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            pairs.sort_by_cached_key(|pair| format!("{pair:?}"));
            Reply::Map(pairs)
        }
        Reply::Bulk(text) => Reply::Bulk(canonical(text)),
        Reply::Integer(i64::MIN) => Reply::Integer(i64::MAX),
        other => other.clone(),
    }
}

/// A fraction in the fewest digits, any other text as it is.
fn canonical(text: &[u8]) -> Vec<u8> {
    let number =
        std::str::from_utf8(text).ok().filter(|text| text.contains('.')).and_then(|text| text.parse::<f64>().ok());
    number.map_or_else(|| text.to_vec(), |number| number.to_string().into_bytes())
}

fn are_alike(a: &Reply, b: &Reply) -> bool {
    let is_one_of =
        |encoding: &Reply, names: &[&[u8]]| matches!(encoding, Reply::Bulk(name) if names.contains(&&name[..]));
    let groups: [&[&[u8]]; 2] = [&[b"int", b"embstr", b"raw"], &[b"listpack", b"quicklist"]];
    groups.iter().any(|names| is_one_of(a, names) && is_one_of(b, names))
}

fn paired(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(items) if items.len().is_multiple_of(2) => {
            let pairs = items.chunks(2).map(|pair| Reply::Array(pair.to_vec())).collect();
            sorted(&Reply::Array(pairs))
        }
        other => sorted(other),
    }
}

fn near(a: &Reply, b: &Reply) -> bool {
    match (a, b) {
        (Reply::Integer(x), Reply::Integer(y)) => (*x < 0) == (*y < 0) && x.abs_diff(*y) <= NEAR.unsigned_abs(),
        (Reply::Array(x), Reply::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| near(x, y)),
        (Reply::Map(x), Reply::Map(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|((k, v), (l, w))| k == l && near(v, w))
        }
        _ => a == b,
    }
}

fn shape(reply: &Reply) -> (std::mem::Discriminant<Reply>, Option<usize>, Option<Vec<u8>>) {
    let length = reply.as_slice().map(<[Reply]>::len);
    (std::mem::discriminant(reply), length, reply.as_error().map(|error| error.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.into())
    }

    #[test]
    fn order_does_not_matter_where_the_rule_says_so() {
        let a = Reply::Array(vec![bulk("x"), Reply::Array(vec![bulk("1"), bulk("2")])]);
        let b = Reply::Array(vec![Reply::Array(vec![bulk("2"), bulk("1")]), bulk("x")]);
        assert!(Rule::Unordered.agree(&a, &b));
        assert!(!Rule::Exact.agree(&a, &b));
    }

    #[test]
    fn a_value_stays_with_its_name() {
        let a = Reply::Array(vec![bulk("f"), bulk("1"), bulk("g"), bulk("2")]);
        let b = Reply::Array(vec![bulk("g"), bulk("2"), bulk("f"), bulk("1")]);
        let c = Reply::Array(vec![bulk("f"), bulk("2"), bulk("g"), bulk("1")]);
        assert!(Rule::Pairs.agree(&a, &b));
        assert!(!Rule::Pairs.agree(&a, &c));
        assert!(Rule::Unordered.agree(&a, &c), "without pairs nobody sees it");
    }

    #[test]
    fn near_is_near_and_never_changes_the_sign() {
        assert!(Rule::Near.agree(&Reply::Integer(100_000), &Reply::Integer(99_000)));
        assert!(!Rule::Near.agree(&Reply::Integer(100_000), &Reply::Integer(1)));
        assert!(!Rule::Near.agree(&Reply::Integer(-1), &Reply::Integer(1)));
        assert!(!Rule::Near.agree(&bulk("100"), &bulk("101")));
    }

    #[test]
    fn only_encodings_of_strings_and_of_lists_are_the_same() {
        assert!(Rule::Encoding.agree(&bulk("int"), &bulk("embstr")));
        assert!(Rule::Encoding.agree(&bulk("listpack"), &bulk("quicklist")));
        assert!(!Rule::Encoding.agree(&bulk("listpack"), &bulk("hashtable")));
        assert!(!Rule::Encoding.agree(&bulk("int"), &bulk("listpack")));
        assert!(!Rule::Encoding.agree(&bulk("raw"), &Reply::Nil));
    }

    #[test]
    fn shape_still_sees_errors_and_lengths() {
        assert!(Rule::Shape.agree(&bulk("a"), &bulk("b")));
        assert!(!Rule::Shape.agree(&bulk("a"), &Reply::Nil));
        assert!(!Rule::Shape.agree(&Reply::Array(vec![bulk("a")]), &Reply::Array(vec![])));
        let error = |text: &str| Reply::Error(baton_cli::ErrorReply::new(text));
        assert!(!Rule::Shape.agree(&error("ERR a"), &error("ERR b")));
    }
}
