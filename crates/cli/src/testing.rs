//! A server of a few lines for this crate's tests: answers every command by a function, on a thread of its own. Only
//! tests may use it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a command is answered with: bytes, or `None` to close the connection without an answer.
type Answer = dyn FnMut(&[String]) -> Option<String> + Send;

/// A listening server; stops listening when dropped.
pub(crate) struct FakeServer {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl FakeServer {
    pub(crate) fn start(answer: impl FnMut(&[String]) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let answer: Arc<Mutex<Box<Answer>>> = Arc::new(Mutex::new(Box::new(answer)));
        let (seen_there, stop_there) = (seen.clone(), stop.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop_there.load(Ordering::SeqCst) {
                    return;
                }
                let (stream, answer, seen) = (stream.unwrap(), answer.clone(), seen_there.clone());
                thread::spawn(move || serve(&stream, &answer, &seen));
            }
        });
        FakeServer { port, seen, stop }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// All commands that came, words separated by blanks.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // One connection wakes the thread that waits for the next.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(stream: &TcpStream, answer: &Mutex<Box<Answer>>, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    while let Some(args) = command(&mut reader) {
        seen.lock().unwrap().push(args.join(" "));
        let reply = (answer.lock().unwrap())(&args);
        let Some(reply) = reply else { return };
        if (&*stream).write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let count = header(reader, '*')?;
    (0..count)
        .map(|_| {
            let mut bytes = vec![0; header(reader, '$')? + 2];
            reader.read_exact(&mut bytes).ok()?;
            bytes.truncate(bytes.len() - 2);
            String::from_utf8(bytes).ok()
        })
        .collect()
}

fn header(reader: &mut impl BufRead, kind: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(kind)?.parse().ok()
}
