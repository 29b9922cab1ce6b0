//! Taking elements from one list and adding them to another.

use baton_store::Missing;
use baton_values::{List, Str};

use super::change::notify_removal;
use super::{End, list_of};
use crate::event::EventClass;
use crate::exec::Exec;
use crate::fail::Fail;
use crate::reply::ReplyText as _;

/// RPOPLPUSH source destination.
pub(crate) fn rpoplpush(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    transfer(x, End::Right, End::Left)
}

/// LMOVE source destination LEFT|RIGHT LEFT|RIGHT.
pub(crate) fn lmove(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let (from, to) = (End::parse(&x.args[3])?, End::parse(&x.args[4])?);
    transfer(x, from, to)
}

fn transfer(x: &mut Exec<'_, '_>, from: End, to: End) -> Result<(), Fail> {
    if !try_transfer(x, from, to)? {
        x.out.null();
    }
    Ok(())
}

/// Moves an element and replies it; tells whether there was one.
pub(super) fn try_transfer(x: &mut Exec<'_, '_>, from: End, to: End) -> Result<bool, Fail> {
    let (source, destination, limits) = (x.key(0, 1), x.key(1, 2), x.limits());
    let Some(entry) = x.view.peek(&source) else { return Ok(false) };
    let list = list_of(&entry)?;
    let element = list.get(from.outermost(list.len())).map_or_else(Vec::new, Str::to_vec);
    if let Some(entry) = x.view.peek(&destination) {
        list_of(&entry)?;
    }
    let take = |list: &mut List| {
        let rank = from.outermost(list.len());
        list.remove(rank..rank + 1, &limits);
        list.is_empty()
    };
    let add = |list: &mut List| {
        list.expect(1, element.len(), &limits);
        to.push(list, &element);
    };
    let changes = x.view.outcome.dirty;
    let is_gone = if source.bytes == destination.bytes {
        // In one step, so that a key with a single element stays.
        x.view.edit(&source, Missing::Skip, |list: &mut List| {
            take(list);
            add(list);
            (1, ())
        })?;
        false
    } else {
        x.notify_if_new(&destination);
        x.view.edit(&destination, Missing::Create, |list: &mut List| (1, add(list)))?;
        let is_gone = x.view.edit(&source, Missing::Skip, |list: &mut List| (1, take(list)))?;
        x.view.count_as_one(changes);
        is_gone.unwrap_or(false)
    };
    x.notify(EventClass::LIST, to.push_name(), &destination);
    notify_removal(x, from.pop_name(), &source, is_gone);
    x.out.text(Str::Bytes(&element));
    Ok(true)
}
