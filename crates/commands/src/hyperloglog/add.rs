//! Adding elements, and adding all of other HyperLogLogs.

use baton_store::{Expire, Key};

use super::image::{self, Form};
use super::{REGISTERS, dense, hash, with_image};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// PFADD key [element ...].
pub(crate) fn pfadd(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (key, elements, sparse_max) = (x.key(0, 1), x.args.skip(2), x.env.hll_sparse_bytes);
    let raises = || elements.iter().map(hash::register_of);
    /// What the elements change.
    enum Change {
        /// Nothing.
        None,
        /// These registers, in place.
        Dense,
        /// So much that these are the bytes now.
        Whole(Vec<u8>),
    }
    let change = with_image(x, &key, false, |image| -> Result<Change, Fail> {
        if let Some((bytes, Form::Dense)) = image {
            let is_lower = |(index, value)| dense::get(&bytes[image::HEADER_BYTES..], index) < value;
            return Ok(if raises().any(is_lower) { Change::Dense } else { Change::None });
        }
        let is_new = image.is_none();
        let mut bytes = image.map_or_else(image::empty, |(bytes, _)| bytes.to_vec());
        let mut changed = is_new;
        for (index, value) in raises() {
            changed |= image::raise(&mut bytes, index, value, sparse_max)?;
        }
        Ok(if changed { Change::Whole(bytes) } else { Change::None })
    })??;
    match change {
        Change::None => {
            x.out.int(0);
            return Ok(());
        }
        Change::Dense => x.view.change_str(&key, 0, |bytes| {
            image::mark_stale(bytes);
            let registers = &mut bytes[image::HEADER_BYTES..];
            raises().filter(|(index, value)| dense::raise(registers, *index, *value)).count() as u64
        }),
        Change::Whole(bytes) => write(x, &key, bytes),
    }
    x.notify(EventClass::STRING, "pfadd", &key);
    x.out.int(1);
    Ok(())
}

/// Writes the bytes of one that changed.
fn write(x: &mut Exec<'_, '_>, key: &Key<'_>, mut bytes: Vec<u8>) {
    image::mark_stale(&mut bytes);
    x.notify_if_new(key);
    x.view.set_raw(key, &bytes, Expire::Keep);
}

/// PFMERGE destination [source ...].
pub(crate) fn pfmerge(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let mut merged = Box::new([0; REGISTERS]);
    let mut is_dense = false;
    let mut bytes = None;
    for arg in 1..x.args.len() {
        let key = x.key(arg - 1, arg);
        with_image(x, &key, true, |image| {
            let Some((image, form)) = image else { return Ok(()) };
            is_dense |= form == Form::Dense;
            if arg == 1 {
                bytes = Some(image.to_vec());
            }
            image::merge_into(&mut merged, image, form)
        })??;
    }
    let mut bytes = bytes.unwrap_or_else(image::empty);
    if is_dense {
        image::make_dense(&mut bytes)?;
        bytes.truncate(image::HEADER_BYTES);
        bytes.extend(dense::of(&merged));
    } else {
        for (index, value) in merged.iter().enumerate().filter(|(_, value)| **value != 0) {
            image::raise(&mut bytes, index, *value, x.env.hll_sparse_bytes)?;
        }
    }
    let key = x.key(0, 1);
    write(x, &key, bytes);
    x.notify(EventClass::STRING, "pfadd", &key);
    x.out.ok();
    Ok(())
}
