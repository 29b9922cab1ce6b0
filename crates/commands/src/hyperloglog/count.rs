//! Counting: one alone, whose number is kept in it, or the union of several, of which nothing is kept.

use super::{Corrupt, REGISTERS, estimate, image, with_image};
use crate::exec::Exec;
use crate::fail::Fail;

/// PFCOUNT key [key ...].
pub(crate) fn pfcount(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let number = if x.args.len() == 2 { count_one(x)? } else { count_union(x)? };
    x.out.int(number as i64);
    Ok(())
}

/// The number of one, which is kept in its head: a change that replicas follow, by the same command. A replica that is asked
/// keeps it as well, although the command only reads: its primary's value says the same once it was asked.
fn count_one(x: &mut Exec<'_, '_>) -> Result<u64, Fail> {
    let key = x.key(0, 1);
    let (number, is_known) = with_image(x, &key, true, |image| -> Result<(u64, bool), Corrupt> {
        let Some((bytes, form)) = image else { return Ok((0, true)) };
        if let Some(number) = image::cached(bytes) {
            return Ok((number, true));
        }
        let mut registers = Box::new([0; REGISTERS]);
        image::merge_into(&mut registers, bytes, form)?;
        Ok((estimate::count(&registers), false))
    })??;
    if !is_known {
        x.view.change_str(&key, 0, |bytes| {
            image::set_cached(bytes, number);
            1
        });
    }
    Ok(number)
}

fn count_union(x: &mut Exec<'_, '_>) -> Result<u64, Fail> {
    let mut registers = Box::new([0; REGISTERS]);
    for arg in 1..x.args.len() {
        let key = x.key(arg - 1, arg);
        with_image(x, &key, true, |image| match image {
            Some((bytes, form)) => image::merge_into(&mut registers, bytes, form),
            None => Ok(()),
        })??;
    }
    Ok(estimate::count(&registers))
}
