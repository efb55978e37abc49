use super::{Key, Slab};

/// Compares the table with a plain list, after any steps.
#[test]
fn lines_hold_the_idle_ones_in_order_of_use() {
    let mut state = 7u32;
    let mut random = move |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % below
    };
    let mut slab = Slab::default();
    // Key, principal, how often busy; idle ones in order of last use.
    let mut model: Vec<(Key, usize, u32)> = Vec::new();
    for step in 0..20_000u32 {
        match random(5) {
            0 if model.len() < 50 => {
                let principal = random(3) as usize;
                let key = slab.insert(principal, u128::from(step), step);
                model.push((key, principal, 0));
            }
            1 if !model.is_empty() => {
                let (key, ..) = model.remove(random(model.len() as u32) as usize);
                assert!(slab.remove(key).is_some() && slab.remove(key).is_none() && !slab.begin(key));
            }
            2 | 3 if !model.is_empty() => {
                let at = random(model.len() as u32) as usize;
                assert!(slab.begin(model[at].0));
                model[at].2 += 1;
            }
            _ => {
                let busy: Vec<usize> = (0..model.len()).filter(|at| model[*at].2 > 0).collect();
                if let Some(at) = busy.get(random(busy.len().max(1) as u32) as usize).copied() {
                    model[at].2 -= 1;
                    let entry = model[at];
                    assert_eq!(slab.end(entry.0), entry.2 == 0);
                    if entry.2 == 0 {
                        model.remove(at);
                        model.push(entry);
                    }
                }
            }
        }
        assert_eq!(slab.len() as usize, model.len());
        for principal in 0..3 {
            let of = || model.iter().filter(|(_, of, _)| *of == principal);
            assert_eq!(slab.of(principal) as usize, of().count());
            assert_eq!(slab.oldest_of(principal), of().find(|(.., busy)| *busy == 0).map(|(key, ..)| *key));
        }
        assert_eq!(slab.keys().len(), model.len());
    }
}

#[test]
fn nothing_remains_once_all_are_closed() {
    let mut slab = Slab::default();
    let keys: Vec<Key> = (0..100).map(|secret| slab.insert(0, secret, ())).collect();
    assert!(keys.iter().all(|key| slab.remove(*key).is_some()));
    assert_eq!((slab.len(), slab.entries.capacity(), slab.free.capacity()), (0, 0, 0));
}
