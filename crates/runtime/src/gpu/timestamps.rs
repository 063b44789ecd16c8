//! Times of calls by the adapter's own clock: a pass per call, with a timestamp before and after it.

use super::GpuSnapshot;
use super::device::GpuDevice;
use crate::RuntimeError;

/// Timestamps of one submission: two for each of its calls.
pub struct Timestamps<'a> {
    device: &'a GpuDevice,
    sets: Vec<wgpu::QuerySet>,
    calls: usize,
}

/// Calls whose timestamps one query set holds: all sets of WebGPU can be so large, and resolving one begins at a multiple of
/// 256 bytes in the buffer as long as all sets before it are full.
const PER_SET: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
/// Bytes of the two timestamps of a call.
const PER_CALL: u64 = 2 * wgpu::QUERY_SIZE as u64;

/// Whether the adapter has a clock that its passes can be timed with.
pub fn supported(device: &GpuDevice) -> bool {
    device.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) && device.queue.get_timestamp_period() > 0.0
}

impl<'a> Timestamps<'a> {
    /// Room for the times of `calls` calls.
    pub fn new(device: &'a GpuDevice, calls: usize) -> Result<Self, RuntimeError> {
        let set = |first: usize| {
            device.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * (calls - first).min(PER_SET) as u32,
            })
        };
        let sets = (0..calls).step_by(PER_SET).map(set).collect();
        device.faults.check()?;
        Ok(Self { device, sets, calls })
    }

    /// Where the pass of call `call` writes its times.
    pub fn of(&self, call: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let begin = 2 * (call % PER_SET) as u32;
        wgpu::ComputePassTimestampWrites {
            query_set: &self.sets[call / PER_SET],
            beginning_of_pass_write_index: Some(begin),
            end_of_pass_write_index: Some(begin + 1),
        }
    }

    /// Ends and submits `encoder`, waits for it, and gives the seconds of each call; none where the clock gave nothing
    /// that can be true: a time that is not set, or an end before its begin.
    pub fn submit(&self, mut encoder: wgpu::CommandEncoder) -> Result<Vec<Option<f64>>, RuntimeError> {
        let bytes = PER_CALL * self.calls.max(1) as u64;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.buffer("resolved timestamps", bytes, usage);
        let staging =
            self.buffer("read timestamps", bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        for (number, set) in self.sets.iter().enumerate() {
            let calls = (self.calls - number * PER_SET).min(PER_SET);
            encoder.resolve_query_set(set, 0..2 * calls as u32, &resolved, (number * PER_SET) as u64 * PER_CALL);
        }
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        let copied = self.device.queue.submit([encoder.finish()]);
        let device = &self.device;
        let words = GpuSnapshot::start(&device.device, &device.info.name, &device.faults, staging, copied).wait()?;
        let period = f64::from(self.device.queue.get_timestamp_period()) * 1e-9;
        Ok(words.chunks_exact(4).take(self.calls).map(|words| seconds(words, period)).collect())
    }

    fn buffer(&self, name: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let descriptor = wgpu::BufferDescriptor { label: Some(name), size, usage, mapped_at_creation: false };
        self.device.device.create_buffer(&descriptor)
    }
}

/// Seconds between two timestamps of two words each, the lower first.
fn seconds(words: &[u32], period: f64) -> Option<f64> {
    let &[begin_low, begin_high, end_low, end_high] = words else { return None };
    let ticks = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let (begin, end) = (ticks(begin_low, begin_high), ticks(end_low, end_high));
    (begin > 0 && end > begin).then(|| (end - begin) as f64 * period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_true_is_a_time() {
        assert_eq!(seconds(&[1, 1, 3, 1], 0.5), Some(1.0));
        assert_eq!(seconds(&[u32::MAX, 0, 1, 1], 1.0), Some(2.0));
        assert_eq!([[5, 0, 5, 0], [0, 0, 5, 0], [6, 0, 5, 0]].map(|words| seconds(&words, 1.0)), [None; 3]);
    }
}
