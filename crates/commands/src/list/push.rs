//! Adding elements at the ends of lists.

use baton_store::Missing;
use baton_values::List;

use super::End;
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;

/// LPUSH key element [element ...].
pub(crate) fn lpush(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    push(x, End::Left, Missing::Create)
}

/// RPUSH key element [element ...].
pub(crate) fn rpush(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    push(x, End::Right, Missing::Create)
}

/// LPUSHX key element [element ...].
pub(crate) fn lpushx(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    push(x, End::Left, Missing::Skip)
}

/// RPUSHX key element [element ...].
pub(crate) fn rpushx(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    push(x, End::Right, Missing::Skip)
}

fn push(x: &mut Exec<'_, '_>, end: End, missing: Missing) -> Result<(), Fail> {
    let (key, limits, elements) = (x.key(0, 1), x.limits(), x.args.skip(2));
    if missing == Missing::Create {
        x.notify_if_new(&key);
    }
    let len = x.view.edit(&key, missing, |list: &mut List| {
        list.expect(elements.len(), elements.iter().map(<[u8]>::len).sum(), &limits);
        elements.iter().for_each(|element| end.push(list, element));
        (elements.len() as u64, list.len())
    })?;
    if len.is_some() {
        x.notify(EventClass::LIST, end.push_name(), &key);
    }
    x.out.int(len.unwrap_or(0) as i64);
    Ok(())
}
