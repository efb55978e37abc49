//! "Did you mean": the known word nearest to a mistyped one.

/// The word that differs least from `typed`, if it differs little: by a third of its letters at most.
pub(super) fn nearest<'a>(typed: &str, words: &[&'a str]) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let close = words.iter().filter_map(|word| {
        let tolerance = word.chars().count().div_ceil(3);
        // A word far longer or shorter cannot be close; this also bounds the work below.
        let plausible = typed.len().abs_diff(word.len()) <= 2 * tolerance;
        let edits = if plausible { distance(&typed, word) } else { usize::MAX };
        (edits <= tolerance).then_some((edits, *word))
    });
    close.min_by_key(|(edits, _)| *edits).map(|(_, word)| word)
}

/// Letters to insert, delete, replace or swap with their neighbour (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut next = vec![row];
        for column in 1..=right.len() {
            let same = left[row - 1] == right[column - 1];
            let mut best = (last[column] + 1).min(next[column - 1] + 1).min(last[column - 1] + usize::from(!same));
            if row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1] {
                best = best.min(before[column - 2] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[right.len()]
}
