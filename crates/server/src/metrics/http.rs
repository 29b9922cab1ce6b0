//! As much of HTTP as a scrape needs: one GET a connection, answered and closed. Requests are bounded in size and time and
//! connections in number; what goes beyond is refused or dropped, so nobody can make this cost much.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a request.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// Connections at a time; more are closed at once.
const CONNECTIONS_MAX: usize = 16;
/// From accepting a connection until its request is here, and again until its answer is taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure to accept, as when no files can be opened.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const TEXT: &str = "text/plain; charset=utf-8";

/// What is served.
pub(super) trait Page: Send + Sync + 'static {
    /// Type of the content.
    const CONTENT_TYPE: &'static str;
    /// The content, as of now.
    fn render(&self) -> String;
}

/// Serves until the process ends.
pub(super) fn serve(listener: &TcpListener, page: &Arc<impl Page>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (page, slot) = (Arc::clone(page), Slot(Arc::clone(&open)));
        // Without another thread this connection is dropped with its slot, as one too many would be.
        let _ = std::thread::Builder::new().name("baton-scrape".into()).spawn(move || {
            let _slot = slot;
            // Whoever left without an answer misses it, and nobody else does.
            let _ = converse(stream, &*page);
        });
    }
}

/// One of the connections that may be open; given back when dropped.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn error(status: &'static str) -> Answer {
        Answer { status, content_type: TEXT, body: format!("{status}\n") }
    }
}

fn converse(mut stream: TcpStream, page: &impl Page) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let answer = match read_request(&mut stream)? {
        Request::Scrape => Answer { status: "200 OK", content_type: page_type(page), body: page.render() },
        Request::Bad(status) => Answer::error(status),
    };
    let Answer { status, content_type, body } = answer;
    let length = body.len();
    let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n"
    );
    write_all(&mut stream, &[head.as_bytes(), body.as_bytes()].concat())?;
    stream.shutdown(Shutdown::Write)
}

fn page_type<P: Page>(_: &P) -> &'static str {
    P::CONTENT_TYPE
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Scrape,
    /// Refused, with this status.
    Bad(&'static str),
}

fn read_request(stream: &mut TcpStream) -> io::Result<Request> {
    let deadline = Instant::now() + PATIENCE;
    let mut buf = vec![0; REQUEST_BYTES_MAX];
    let mut len = 0;
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        let n = stream.read(&mut buf[len..])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        len += n;
        if let Some(request) = judge(&buf[..len]) {
            return Ok(request);
        }
    }
}

/// None while the request isn't whole.
fn judge(bytes: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() < REQUEST_BYTES_MAX => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Some(Request::Bad("431 Request Header Fields Too Large"));
        }
        Err(_) => return Some(Request::Bad("400 Bad Request")),
    }
    let path = request.path.unwrap_or_default().split('?').next();
    Some(match request.method {
        _ if path != Some("/metrics") => Request::Bad("404 Not Found"),
        Some("GET") => Request::Scrape,
        _ => Request::Bad("405 Method Not Allowed"),
    })
}

/// Writes everything before the deadline, however little is taken at a time.
fn write_all(stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        match stream.write(bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => bytes = &bytes[n..],
        }
    }
    Ok(())
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_judged() {
        let of = |text: &str| judge(text.as_bytes());
        assert_eq!(of("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Some(Request::Scrape));
        assert_eq!(of("GET /metrics?name=x HTTP/1.0\r\n\r\n"), Some(Request::Scrape));
        assert_eq!(of("GET /metrics HTTP/1.1\r\nHost: x\r\n"), None);
        assert_eq!(of("GET / HTTP/1.1\r\n\r\n"), Some(Request::Bad("404 Not Found")));
        assert_eq!(of("POST /metrics HTTP/1.1\r\n\r\n"), Some(Request::Bad("405 Method Not Allowed")));
        assert_eq!(of("\u{1}\r\n\r\n"), Some(Request::Bad("400 Bad Request")));
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        let large = Some(Request::Bad("431 Request Header Fields Too Large"));
        assert_eq!(of(&format!("GET /metrics HTTP/1.1\r\n{many}\r\n")), large);
        assert_eq!(of(&format!("GET /{}", "x".repeat(REQUEST_BYTES_MAX))), large);
    }
}
