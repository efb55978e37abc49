//! Which clocks of one client are deleted.

/// So many are added one by one.
const FEW: usize = 8;

/// Ranges `[begin, end)` that ascend and do not touch.
#[derive(Debug, Default)]
pub struct Ranges(Vec<[u32; 2]>);

impl Ranges {
    /// Adds a range, which may be there in parts.
    pub fn add(&mut self, mut begin: u32, mut end: u32) {
        if begin >= end {
            return;
        }
        let first = self.0.partition_point(|range| range[1] < begin);
        let behind = first + self.0[first..].partition_point(|range| range[0] <= end);
        if let [first, .., last] | [first @ last] = &self.0[first..behind] {
            (begin, end) = (begin.min(first[0]), end.max(last[1]));
        }
        self.0.splice(first..behind, [[begin, end]]);
    }

    /// Adds some, in whatever order: if they are many, in one pass.
    pub fn extend(&mut self, mut more: Vec<[u32; 2]>) {
        if more.len() <= FEW {
            return more.into_iter().for_each(|[begin, end]| self.add(begin, end));
        }
        more.sort_unstable();
        let before = std::mem::take(&mut self.0);
        let (mut before, mut more) = (before.into_iter().peekable(), more.into_iter().peekable());
        let mut next = || match (before.peek(), more.peek()) {
            (Some(one), Some(other)) if other < one => more.next(),
            (Some(_), _) => before.next(),
            (None, _) => more.next(),
        };
        while let Some([begin, end]) = next() {
            match self.0.last_mut() {
                _ if begin >= end => {}
                Some([_, last]) if *last >= begin => *last = end.max(*last),
                _ => self.0.push([begin, end]),
            }
        }
    }

    pub fn has(&self, clock: u32) -> bool {
        let first = self.0.partition_point(|range| range[1] <= clock);
        self.0.get(first).is_some_and(|range| range[0] <= clock)
    }

    /// The parts of a range that are not there.
    pub fn missing(&self, begin: u32, end: u32) -> Vec<[u32; 2]> {
        let (mut missing, mut at) = (Vec::new(), begin);
        let first = self.0.partition_point(|range| range[1] <= begin);
        for range in self.0[first..].iter().take_while(|range| range[0] < end) {
            if at < range[0] {
                missing.push([at, range[0]]);
            }
            at = range[1];
        }
        if at < end {
            missing.push([at, end]);
        }
        missing
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether a range would be one with another that is there.
    pub fn touches(&self, begin: u32, end: u32) -> bool {
        let first = self.0.partition_point(|range| range[1] < begin);
        self.0.get(first).is_some_and(|range| range[0] <= end)
    }

    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<[u32; 2]>()
    }

    #[cfg(test)]
    pub fn ranges(&self) -> &[[u32; 2]] {
        &self.0
    }
}
