//! The flat parameter block: every tensor at an offset of 256 bytes, so that one dispatch updates them all.

use crate::init::Init;
use tilegrad_kernels::Slice;

/// Elements between possible starts of a tensor: 256 bytes, the strictest alignment of a binding.
const ALIGNMENT: usize = 64;

/// One trainable tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// Layer and role, such as `conv1.weight`.
    pub name: String,
    /// Convolution weights are `[kh, kw, c_in, c_out]`, dense weights `[in, out]`, biases `[out]`.
    pub shape: Vec<u32>,
    /// First element within the block.
    pub offset: usize,
    start: Start,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    Zeros,
    Drawn { init: Init, fans: (u32, u32) },
}

impl ParameterSpec {
    /// A weight with its fan-in and fan-out.
    pub(crate) fn weight(name: String, shape: Vec<u32>, fans: (u32, u32), init: Init) -> Self {
        Self { name, shape, offset: 0, start: Start::Drawn { init, fans } }
    }

    /// A tensor that starts at zero.
    pub(crate) fn zeros(name: String, shape: Vec<u32>) -> Self {
        Self { name, shape, offset: 0, start: Start::Zeros }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|&dim| dim as usize).product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All trainable tensors of a network and where they lie.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSet {
    specs: Vec<ParameterSpec>,
    len: usize,
}

impl ParameterSet {
    /// Lays the tensors out one after the other.
    pub(crate) fn new(mut specs: Vec<ParameterSpec>) -> Self {
        let mut len = 0;
        for spec in &mut specs {
            spec.offset = len;
            len += spec.len().next_multiple_of(ALIGNMENT);
        }
        Self { specs, len }
    }

    /// The tensors in order.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// The tensor called `name`.
    pub fn find(&self, name: &str) -> Option<&ParameterSpec> {
        self.specs.iter().find(|spec| spec.name == name)
    }

    /// Elements of the block, the gaps between tensors included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to train.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Elements that are trained, without the gaps.
    pub fn count(&self) -> usize {
        self.specs.iter().map(ParameterSpec::len).sum()
    }

    /// Initial contents of the block under `seed`; the gaps are zero and stay zero.
    pub fn initial(&self, seed: u32) -> Vec<f32> {
        let mut block = vec![0.0; self.len];
        for (stream, spec) in (0..).zip(&self.specs) {
            if let Start::Drawn { init, fans } = spec.start {
                let drawn = init.draw(spec.len(), fans, seed, stream);
                block[spec.offset..spec.offset + spec.len()].copy_from_slice(&drawn);
            }
        }
        block
    }

    /// The part of `block` that holds the tensor called `name`.
    pub(crate) fn slice(&self, block: &Slice, name: &str) -> Option<Slice> {
        self.find(name).map(|spec| block.part(name, spec.offset, spec.len()))
    }
}
