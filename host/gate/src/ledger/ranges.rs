//! Which clocks of one client are deleted.

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

    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<[u32; 2]>()
    }

    #[cfg(test)]
    pub fn ranges(&self) -> &[[u32; 2]] {
        &self.0
    }
}
