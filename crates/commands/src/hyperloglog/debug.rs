//! Looking into a HyperLogLog, and trying the counting itself.

use std::fmt::Write as _;

use baton_base::Rng;
use baton_resp::{Args, Out};
use baton_store::{Expire, Key};

use super::image::{self, Form};
use super::{Corrupt, REGISTERS, estimate, hash, sparse, with_image};
use crate::exec::Exec;
use crate::fail::Fail;

/// PFDEBUG GETREG|DECODE|ENCODING|TODENSE key, PFDEBUG SIMD ON|OFF.
pub(crate) fn pfdebug(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    let word = x.args.at(1).to_ascii_uppercase();
    if word == b"SIMD" {
        return simd(x);
    }
    let key = x.key(0, 2);
    let form = with_image(x, &key, false, |image| image.map(|(_, form)| form))?;
    let form = form.ok_or(Fail::Text("ERR The specified key does not exist"))?;
    match word.as_slice() {
        b"GETREG" => {
            make_dense(x, &key)?;
            reply_registers(x, &key)?;
        }
        b"DECODE" if form == Form::Dense => return Err(Fail::Text("ERR HLL encoding is not sparse")),
        b"DECODE" => {
            let shown = with_image(x, &key, false, |image| image.map(|(bytes, _)| decoded(bytes)))?;
            x.out.bulk(shown.unwrap_or_default().as_bytes());
        }
        b"ENCODING" => x.out.simple(form.name()),
        b"TODENSE" => {
            let changed = make_dense(x, &key)?;
            x.out.int(i64::from(changed));
        }
        _ => return Err(Fail::Bytes([b"ERR Unknown PFDEBUG subcommand '", x.args.at(1), b"'"].concat())),
    }
    Ok(())
}

/// There is one way of counting here, so there is nothing to switch; the reply is what was asked for.
fn simd(x: &mut Exec<'_, '_>) -> Result<(), Fail> {
    match x.args.at(2).to_ascii_uppercase().as_slice() {
        b"ON" => x.out.simple("enabled"),
        b"OFF" => x.out.simple("disabled"),
        _ => return Err(Fail::Text("ERR Argument must be ON or OFF")),
    }
    Ok(())
}

fn make_dense(x: &mut Exec<'_, '_>, key: &Key<'_>) -> Result<bool, Fail> {
    let dense = with_image(x, key, false, |image| -> Result<Option<Vec<u8>>, Corrupt> {
        let mut bytes = image.map_or_else(image::empty, |(bytes, _)| bytes.to_vec());
        Ok(image::make_dense(&mut bytes)?.then_some(bytes))
    })??;
    if let Some(bytes) = &dense {
        x.view.set_raw(key, bytes, Expire::Keep);
    }
    Ok(dense.is_some())
}

fn reply_registers(x: &mut Exec<'_, '_>, key: &Key<'_>) -> Result<(), Fail> {
    let mut registers = Box::new([0; REGISTERS]);
    with_image(x, key, false, |image| match image {
        Some((bytes, form)) => image::merge_into(&mut registers, bytes, form),
        None => Ok(()),
    })??;
    x.out.array(REGISTERS);
    registers.iter().for_each(|value| x.out.int(i64::from(*value)));
    Ok(())
}

/// The runs of sparse registers: `z` zeroes in one byte, `Z` in two, `v` a value and how often.
fn decoded(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for run in sparse::runs(&bytes[image::HEADER_BYTES..]) {
        let space = if shown.is_empty() { "" } else { " " };
        let written = match (run.value, run.bytes) {
            (0, 1) => write!(shown, "{space}z:{}", run.len),
            (0, _) => write!(shown, "{space}Z:{}", run.len),
            (value, _) => write!(shown, "{space}v:{value},{}", run.len),
        };
        written.expect("a string takes all");
    }
    shown
}

/// Elements that the self-test counts.
const TEST_ELEMENTS: u64 = 100_000;
/// How far off an estimate may be: several times the standard error, 1.04 / sqrt(registers).
const TEST_ERROR_MAX: f64 = 0.04;

/// PFSELFTEST.
pub(crate) fn pfselftest(_: Args<'_>, out: &mut Out) -> Result<(), Fail> {
    let mut rng = Rng::new(1);
    let (mut sparse, mut dense) = (image::empty(), image::empty());
    image::make_dense(&mut dense)?;
    for n in 1..=TEST_ELEMENTS {
        let (index, value) = hash::register_of(&rng.next_u64().to_le_bytes());
        let raised = image::raise(&mut sparse, index, value, 3000)?;
        if raised != image::raise(&mut dense, index, value, 3000)? {
            return Err(Fail::Text("TESTFAILED dense and sparse registers disagree"));
        }
        if n.is_power_of_two() || n == TEST_ELEMENTS {
            let (first, second) = (count(&sparse)?, count(&dense)?);
            let error = (first as f64 - n as f64).abs();
            if first != second || error > 1.0 + TEST_ERROR_MAX * n as f64 {
                return Err(Fail::Text("TESTFAILED too many or too few elements were counted"));
            }
        }
    }
    out.ok();
    Ok(())
}

fn count(bytes: &[u8]) -> Result<u64, Fail> {
    let mut registers = Box::new([0; REGISTERS]);
    image::merge_into(&mut registers, bytes, image::form(bytes)?)?;
    Ok(estimate::count(&registers))
}
