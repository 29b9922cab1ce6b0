//! Requests with their replies and effects, recorded from 9.1.2 and its replication stream, run again in process.
//!
//! `> request`, `< reply`, `= effect`, `! sleep ms`, `! resp3`, `! stream-node-max-entries n`. `{+n}` in an effect is the time of the request plus `n` ms.

use crate::runner::Client;

fn check(name: &str, transcript: &str) {
    let mut client = Client::new();
    let (mut request, mut expected) = (None::<&str>, Vec::new());
    let finish = |request: &mut Option<&str>, expected: &mut Vec<String>, client: &mut Client| {
        let Some(line) = request.take() else { return };
        let got = client.run_line(line);
        assert_eq!(got, *expected, "{name}: {line}");
        expected.clear();
    };
    for line in transcript.lines() {
        match line.split_at_checked(2) {
            Some(("> ", rest)) => {
                finish(&mut request, &mut expected, &mut client);
                request = Some(rest);
            }
            Some(("! ", rest)) => {
                finish(&mut request, &mut expected, &mut client);
                client.direct(rest);
            }
            Some(("< " | "= ", _)) => expected.push(line.to_string()),
            _ => {}
        }
    }
    finish(&mut request, &mut expected, &mut client);
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), include_str!(concat!("transcripts/", stringify!($name), ".txt")));
            }
        )*
    };
}

transcripts! {
    list list_middle
    set set_deadline get multi edit incr lcs bitmap hyperloglog
    set_type set_type_resp3
    zset zset_algebra
    hash hash_resp3 hash_expire hgetdel
    geo geo_search
    stream stream_trim stream_groups stream_progress stream_resp3
    generic dump expire keyspace sort
}
