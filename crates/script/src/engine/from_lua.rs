//! What a script returns, as a reply in the client's protocol.

use baton_resp::{Out, Proto};
use mlua::{Result, Table, Value};

/// How deep tables are followed; tables that contain themselves end here.
const DEPTH_MAX: usize = 200;

/// Writes a value as a reply. `proto` is what the script chose for itself:
/// it decides what a truth value is.
pub(super) fn write(value: &Value, out: &mut Out, proto: Proto) -> Result<()> {
    Writer { out, proto }.value(value, 0)
}

struct Writer<'a> {
    out: &'a mut Out,
    proto: Proto,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            self.out.error("ERR reached lua stack limit");
            return Ok(());
        }
        match value {
            Value::String(text) => self.out.bulk(&text.as_bytes()),
            Value::Boolean(yes) if self.proto == Proto::V3 => self.out.bool(*yes),
            Value::Boolean(true) => self.out.int(1),
            Value::Boolean(false) => self.out.null(),
            Value::Integer(n) => self.out.int(*n),
            Value::Number(n) => self.out.int(*n as i64),
            Value::Table(table) => self.table(table, depth)?,
            _ => self.out.null(),
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<()> {
        if let Value::String(text) = table.raw_get("err")? {
            self.out.error_bytes(&text.as_bytes());
            return Ok(());
        }
        if let Value::String(text) = table.raw_get("ok")? {
            self.out.raw(&[b"+", &*one_line(&text.as_bytes()), b"\r\n"].concat());
            return Ok(());
        }
        match table.raw_get("double")? {
            Value::Number(n) => {
                self.out.double(n);
                return Ok(());
            }
            Value::Integer(n) => {
                self.out.double(n as f64);
                return Ok(());
            }
            _ => {}
        }
        if let Value::Table(map) = table.raw_get("map")? {
            return self.counted(Out::map, |w| {
                let mut n = 0;
                for pair in map.pairs::<Value, Value>() {
                    let (key, value) = pair?;
                    n += 1;
                    w.value(&key, depth + 1)?;
                    w.value(&value, depth + 1)?;
                }
                Ok(n)
            });
        }
        if let Value::Table(set) = table.raw_get("set")? {
            return self.counted(Out::set, |w| {
                let mut n = 0;
                for pair in set.pairs::<Value, Value>() {
                    n += 1;
                    w.value(&pair?.0, depth + 1)?;
                }
                Ok(n)
            });
        }
        if let Value::String(digits) = table.raw_get("big_number")? {
            self.out.big_number(&String::from_utf8_lossy(&one_line(&digits.as_bytes())));
            return Ok(());
        }
        if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
            && let (Value::String(text), Value::String(format)) =
                (verbatim.raw_get("string")?, verbatim.raw_get("format")?)
        {
            let mut kind = *b"   ";
            kind.iter_mut().zip(format.as_bytes().iter()).for_each(|(to, from)| *to = *from);
            self.out.verbatim(&kind, &text.as_bytes());
            return Ok(());
        }
        self.counted(Out::array, |w| {
            let mut n = 0;
            loop {
                let item: Value = table.raw_get(n + 1)?;
                if item.is_nil() {
                    return Ok(n);
                }
                n += 1;
                w.value(&item, depth + 1)?;
            }
        })
    }

    /// Writes items, and before them a head with their number, which is known only then.
    fn counted(&mut self, head: fn(&mut Out, usize), items: impl FnOnce(&mut Self) -> Result<usize>) -> Result<()> {
        let start = self.out.buf.len();
        let n = items(self)?;
        let mut first = Out::new(self.out.proto);
        head(&mut first, n);
        self.out.buf.splice(start..start, first.buf);
        Ok(())
    }
}

/// Text without line ends, which a status can't have.
fn one_line(text: &[u8]) -> Vec<u8> {
    text.iter().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { *b }).collect()
}
