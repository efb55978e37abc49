//! One value of lib0's `any`, read over: no value is made, and nothing recurses.

use crate::bytes::Bytes;
use crate::{ANY_DEPTH_MAX, Malformed};

/// Values that one is made of: no field holds as many.
const PARTS_MAX: usize = 256;

/// What is being read at one depth: how many values are yet to come, and whether each has a key.
#[derive(Clone, Copy)]
struct Level {
    left: usize,
    keyed: bool,
}

/// Reads over one value (lib0, `readAny`); how many it is made of, itself included.
pub fn pass(bytes: &mut Bytes<'_>) -> Result<usize, Malformed> {
    let mut levels = [Level { left: 0, keyed: false }; ANY_DEPTH_MAX];
    let (mut depth, mut parts) = (0, 0);
    loop {
        parts += 1;
        if parts > PARTS_MAX {
            return Err(Malformed::beyond("parts of a value", PARTS_MAX as u64, parts as u64));
        }
        if let Some(deeper) = pass_one(bytes)? {
            let level = levels.get_mut(depth);
            let max = ANY_DEPTH_MAX as u64;
            *level.ok_or(Malformed::beyond("depth of a value", max, max + 1))? = deeper;
            depth += 1;
        }
        loop {
            let Some(level) = depth.checked_sub(1).map(|top| &mut levels[top]) else { return Ok(parts) };
            if level.left == 0 {
                depth -= 1;
                continue;
            }
            level.left -= 1;
            if level.keyed {
                bytes.text()?;
            }
            break;
        }
    }
}

/// Reads over a value, or over the head of one that has others in it.
fn pass_one(bytes: &mut Bytes<'_>) -> Result<Option<Level>, Malformed> {
    let level = |left, keyed| Ok(Some(Level { left, keyed }));
    match bytes.byte()? {
        // undefined, null, false, true
        127 | 126 | 121 | 120 => {}
        125 => bytes.pass_integer()?,
        // float32
        124 => drop(bytes.take(4)?),
        // float64, bigint
        123 | 122 => drop(bytes.take(8)?),
        119 => drop(bytes.text()?),
        // An object: a key has a byte at least, and so has its value.
        118 => return level(bytes.count("entries of a value", usize::MAX, 2)?, true),
        117 => return level(bytes.count("entries of a value", usize::MAX, 1)?, false),
        // 116, bytes: no field holds any, and nobody would see that they are there.
        tag => return Err(Malformed::Foreign { what: "value", tag: tag.into() }),
    }
    Ok(None)
}
