//! Which variants a device can run, which one it takes for a call, and how the fastest are found.

use crate::choice::DeviceKind;
use crate::device::Kind;
use crate::select::{self, Candidate};
use crate::tuner::{self, TuneOptions, Tuning};
use crate::{Device, Graph, RuntimeError};
use tilegrad_kernels::{Call, Family, Variant};

impl Device {
    /// The family of variants that suits this device.
    pub fn family(&self) -> Family {
        match self.info().kind {
            DeviceKind::Hardware => Family::SharedMemory,
            DeviceKind::Software | DeviceKind::Cpu => Family::BarrierFree,
        }
    }

    /// Whether buffers may hold 16-bit floats: on an adapter with shader-f16, and on the CPU device, which widens them for
    /// each call: the same results, and no gain.
    pub fn stores_halves(&self) -> bool {
        match &self.0 {
            Kind::Gpu(device) => device.halves(),
            Kind::Cpu(_) => true,
        }
    }

    /// Why this device cannot run `variant`, in a few words; none if it can. The CPU device runs no variants.
    pub fn refuses(&self, variant: &Variant) -> Option<String> {
        match &self.0 {
            Kind::Gpu(device) => device.refuses(variant),
            Kind::Cpu(_) => Some("the CPU device runs no WGSL".into()),
        }
    }

    /// What this adapter takes for `call` without a tuning.
    pub(crate) fn default_for(&self, call: &Call) -> Result<Candidate, RuntimeError> {
        let runs = |variant: &Variant| self.refuses(variant).is_none();
        select::preferred(call.kernel(), call.params(), self.family(), &runs)
            .ok_or_else(|| RuntimeError::Graph(format!("{} has no variant for this device", call.kernel().name)))
    }

    /// The variant that [`Device::prepare`] takes for `call`: what was tuned, else the default. None on the CPU device,
    /// which runs no WGSL.
    ///
    /// # Errors
    /// [`RuntimeError::Graph`] if the kernel has no variant that this device can run.
    pub fn chosen(&self, call: &Call) -> Result<Option<Candidate>, RuntimeError> {
        let Kind::Gpu(device) = &self.0 else { return Ok(None) };
        let tuned = device.tuned.as_ref().and_then(|tuned| tuned.chosen(call));
        // The file may be from another build, or from anybody: the shader must be right for this call.
        let able = tuned.filter(|(_, variant)| self.is_offered(variant, call));
        able.map_or_else(|| self.default_for(call), Ok).map(Some)
    }

    /// Whatever this adapter can run for `call`, the default first.
    pub(crate) fn candidates(&self, call: &Call) -> Result<Vec<Candidate>, RuntimeError> {
        let default = self.default_for(call)?;
        let others = select::candidates(call.kernel()).filter(|(kernel, variant)| {
            let is_default = *kernel == default.0 && variant.name == default.1.name;
            !is_default && self.is_offered(variant, call)
        });
        Ok(std::iter::once(default).chain(others).collect())
    }

    /// Whether `variant` is right for `call` and may be any good on this adapter.
    fn is_offered(&self, variant: &Variant, call: &Call) -> bool {
        (variant.fits)(call.params()) && select::suits(variant, self.family()) && self.refuses(variant).is_none()
    }

    /// Finds the fastest variant for each call of `graphs`, and saves what was found for every later
    /// [`Device::prepare`] of this adapter. `progress` is told how many kernels and shapes are done, of how many, and what
    /// is next. None on the CPU device, which has no variants.
    ///
    /// # Errors
    /// Those of running the graphs, and [`RuntimeError::Kept`] if the result cannot be saved.
    pub fn tune(
        &self,
        graphs: &[Graph],
        options: TuneOptions,
        progress: &mut dyn FnMut(usize, usize, &'static str),
    ) -> Result<Option<Tuning>, RuntimeError> {
        let Kind::Gpu(device) = &self.0 else { return Ok(None) };
        graphs.iter().try_for_each(Graph::check)?;
        tuner::tune(self, &device.report, graphs, options, progress).map(Some)
    }
}
