//! Requests and replies, spoilt where it matters: signs, counts, lengths, line ends, depth. Seeded, so that a failure repeats.
//! With `WRITE_SEEDS=folder` the genuine ones are written there, for libFuzzer to begin with.

mod oracle;

use std::path::Path;

use baton_base::Rng;

fn genuine() -> Vec<Vec<u8>> {
    let deep = [b"*1\r\n".repeat(100), b":1\r\n".to_vec()].concat();
    let mut out: Vec<Vec<u8>> = [
        &b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n*1\r\n$4\r\nPING\r\n"[..],
        b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\n",
        b"SET a 'b c'\r\n\"PING\"\nGET \"\\x00\\n\"\r\n",
        b"*-1\r\n*0\r\n\r\nPING\r\n",
        b"*4\r\n+OK\r\n-ERR no\r\n:42\r\n$-1\r\n",
        b"%2\r\n+a\r\n,1.5\r\n+b\r\n#t\r\n",
        b"~2\r\n(123456789012345678901234567890\r\n=8\r\ntxt:text\r\n",
        b"|1\r\n+ttl\r\n:3600\r\n*1\r\n_\r\n",
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
        &deep,
    ]
    .map(<[u8]>::to_vec)
    .into();
    let many: Vec<u8> = (0..40).flat_map(|n| format!("$2\r\n{n:02}\r\n").into_bytes()).collect();
    out.push([&b"*40\r\n"[..], &many].concat());
    out
}

fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    let below = |rng: &mut Rng, bound: usize| rng.below(bound.max(1) as u64) as usize;
    let at = below(rng, bytes.len());
    match rng.below(7) {
        0 => bytes.truncate(at),
        1 => {
            let odd = b"*$\r\n0123459-+:%~|>_#,(='\"\\ \0\xff";
            let other = odd[below(rng, odd.len())];
            bytes.get_mut(at).into_iter().for_each(|byte| *byte = other);
        }
        2 => bytes.insert(at, b"0129"[below(rng, 4)]),
        3 => {
            bytes.drain(at..at + below(rng, 5).min(bytes.len() - at));
        }
        4 => {
            let part = bytes[at..at + below(rng, 12).min(bytes.len() - at)].to_vec();
            bytes.splice(at..at, part);
        }
        5 => bytes.extend_from_slice(&others[below(rng, others.len())]),
        _ => {
            let other = &others[below(rng, others.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[below(rng, other.len())..]);
        }
    }
}

#[test]
fn spoilt_bytes_are_read_alike_however_they_are_cut() {
    let (genuine, mut rng) = (genuine(), Rng::new(0x5e9_bad));
    if let Some(folder) = std::env::var_os("WRITE_SEEDS") {
        let folder = Path::new(&folder).join("request");
        std::fs::create_dir_all(&folder).expect("a folder for seeds");
        for (n, seed) in genuine.iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{n:03}")), seed).expect("a seed");
        }
    }
    for round in 0..40_000 {
        let mut bytes = genuine[round % genuine.len()].clone();
        for _ in 0..rng.below(4) {
            spoil(&mut rng, &mut bytes, &genuine);
        }
        oracle::fuzz(&bytes);
    }
}
