//! Devices that are worse than the real one: tests find out with them whether what is built on a device would notice.

use crate::Device;

/// What a device does wrong from [`Device::with_fault`] on. Plans prepared before are not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Fault {
    /// No dispatch is executed.
    DropDispatches,
    /// Every dispatch is executed twice.
    DoubleDispatches,
    /// The call of this number is never executed.
    DropCall(usize),
}

impl Fault {
    /// How often one run of call number `call` is executed.
    pub(crate) fn times(self, call: usize) -> u32 {
        match self {
            Self::DropDispatches => 0,
            Self::DoubleDispatches => 2,
            Self::DropCall(dropped) => u32::from(call != dropped),
        }
    }
}

/// How a device is made worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trial {
    pub fault: Option<Fault>,
    pub largest_binding: Option<u64>,
}

impl Device {
    /// The same device with a fault.
    #[doc(hidden)]
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.1.fault = Some(fault);
        self
    }

    /// The same device, said to allow no more than so many bytes in one binding.
    #[doc(hidden)]
    #[must_use]
    pub fn with_largest_binding(mut self, bytes: u64) -> Self {
        self.1.largest_binding = Some(bytes);
        self
    }
}
