//! What was dropped, cut, could not be read or was turned away, by kind, summed over all CPUs since the probe was loaded.

/// One kind of what is counted; the order is that of `enum eyas_counter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Events lost because their CPU's ring was full.
    DroppedEvents,
    /// Exec, fork and exit records lost because their CPU's ring was full.
    DroppedLifecycle,
    /// Events lost because another one was being written on the same CPU.
    DroppedBusy,
    /// Events lost because their CPU has no ring.
    DroppedNoRing,
    /// Argument lists that are longer than what is kept.
    CutArguments,
    /// Environments that are longer than what is kept.
    CutEnvironments,
    /// Paths that are longer or deeper than what is kept.
    CutPaths,
    /// Input and output that is longer than what is kept.
    CutData,
    /// User memory that was not there.
    FailedUserReads,
    /// Kernel memory that could not be read.
    FailedKernelReads,
    /// System calls that are enabled but have no handler.
    FailedTailCalls,
    /// System calls that are enabled but have no descriptor.
    FailedDescriptors,
    /// System calls that are not enabled, which includes those that no table knows.
    FilteredCalls,
    /// What is enabled and was done by the process that is ignored: the sensor itself.
    FilteredProcess,
}

impl Counter {
    /// Every kind, in the kernel side's order.
    pub const ALL: [Self; 14] = [
        Self::DroppedEvents,
        Self::DroppedLifecycle,
        Self::DroppedBusy,
        Self::DroppedNoRing,
        Self::CutArguments,
        Self::CutEnvironments,
        Self::CutPaths,
        Self::CutData,
        Self::FailedUserReads,
        Self::FailedKernelReads,
        Self::FailedTailCalls,
        Self::FailedDescriptors,
        Self::FilteredCalls,
        Self::FilteredProcess,
    ];

    /// Name for metrics and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::DroppedEvents => "dropped_events",
            Self::DroppedLifecycle => "dropped_lifecycle",
            Self::DroppedBusy => "dropped_busy",
            Self::DroppedNoRing => "dropped_no_ring",
            Self::CutArguments => "cut_arguments",
            Self::CutEnvironments => "cut_environments",
            Self::CutPaths => "cut_paths",
            Self::CutData => "cut_data",
            Self::FailedUserReads => "failed_user_reads",
            Self::FailedKernelReads => "failed_kernel_reads",
            Self::FailedTailCalls => "failed_tail_calls",
            Self::FailedDescriptors => "failed_descriptors",
            Self::FilteredCalls => "not_enabled",
            Self::FilteredProcess => "ignored_process",
        }
    }

    /// True for kinds that lose a whole event.
    pub fn is_drop(self) -> bool {
        matches!(
            self,
            Self::DroppedEvents | Self::DroppedLifecycle | Self::DroppedBusy | Self::DroppedNoRing
        )
    }

    /// True for kinds that nobody asked for, so that nothing is missing.
    pub fn is_filter(self) -> bool {
        matches!(self, Self::FilteredCalls | Self::FilteredProcess)
    }
}

/// Size of `struct counters`, bytes.
pub(crate) const COUNTERS_LEN: usize = 8 * Counter::ALL.len();

/// A reading of all counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    values: [u64; Counter::ALL.len()],
}

impl Counters {
    /// Adds one CPU's values.
    pub(crate) fn add(&mut self, bytes: &[u8; COUNTERS_LEN]) {
        for (value, bytes) in self.values.iter_mut().zip(bytes.as_chunks().0) {
            *value += u64::from_ne_bytes(*bytes);
        }
    }

    /// A reading with these values and no others.
    pub fn of(values: impl IntoIterator<Item = (Counter, u64)>) -> Self {
        let mut counters = Self::default();
        for (counter, value) in values {
            counters.values[counter as usize] = value;
        }
        counters
    }

    /// Value of one kind.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// Whole events lost.
    pub fn dropped(&self) -> u64 {
        Counter::ALL.iter().filter(|c| c.is_drop()).map(|c| self.get(*c)).sum()
    }

    /// What was turned away because nobody asked for it.
    pub fn filtered(&self) -> u64 {
        Counter::ALL.iter().filter(|c| c.is_filter()).map(|c| self.get(*c)).sum()
    }

    /// All kinds with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL.iter().map(|counter| (*counter, self.get(*counter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_summed_kind_by_kind() {
        let mut counters = Counters::default();
        for cpu in 1..=2_u64 {
            let mut bytes = [0; COUNTERS_LEN];
            for kind in 0..Counter::ALL.len() {
                let value = cpu * 100 + kind as u64;
                bytes[kind * 8..][..8].copy_from_slice(&value.to_ne_bytes());
            }
            counters.add(&bytes);
        }
        for (kind, (counter, value)) in counters.iter().enumerate() {
            assert_eq!(counter as usize, kind);
            assert_eq!(value, 300 + 2 * kind as u64, "{}", counter.name());
        }
        assert_eq!(counters.dropped(), 300 * 4 + 2 * (1 + 2 + 3));
        assert_eq!(counters.filtered(), 300 * 2 + 2 * (12 + 13));
    }

    #[test]
    fn names_differ() {
        let names: std::collections::BTreeSet<_> = Counter::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Counter::ALL.len());
    }
}
