//! The libraries that scripts find beside the language's own.

mod bits;
pub(crate) mod cjson;
mod cmsgpack;
pub(crate) mod number;
mod packing;

use mlua::{Lua, Result, Table};

/// All of them by name.
pub(crate) fn all(lua: &Lua, json: &cjson::Shared) -> Result<Table> {
    let libraries = lua.create_table()?;
    libraries.set("bit", bits::library(lua)?)?;
    libraries.set("cjson", cjson::library(lua, json)?)?;
    libraries.set("cmsgpack", cmsgpack::library(lua)?)?;
    libraries.set("struct", packing::library(lua)?)?;
    Ok(libraries)
}
