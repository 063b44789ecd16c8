//! Convolutions of random shapes against the definition of a convolution, written out in f64: forward, and the
//! gradients of input, weight and bias.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tilegrad_kernels::{Tolerance, hash};
use tilegrad_model::data::ImageShape;
use tilegrad_model::{Engine, LayerProgram, Lowering, Padding, Pair, Shape, conv2d};
use tilegrad_runtime::Device;
use tilegrad_tests::compare::assert_close;
use tilegrad_tests::devices;

const TOLERANCE: Tolerance =
    Tolerance { relative: 1e-4, scaled: 1e-5, reason: "f32 sums of up to a few hundred terms" };

#[derive(Debug, Clone)]
struct Convolution {
    batch: usize,
    image: ImageShape,
    filters: usize,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
}

/// What the definition gives.
struct Expected {
    y: Vec<f32>,
    dx: Vec<f32>,
    d_weight: Vec<f32>,
    d_bias: Vec<f32>,
}

impl Convolution {
    /// Rows (or columns) above the image, and outputs along the direction.
    fn axis(&self, of: impl Fn(Pair) -> u32, size: u32) -> (usize, usize) {
        let (kernel, stride) = (of(self.kernel), of(self.stride));
        match self.padding {
            Padding::Valid => (0, ((size - kernel) / stride + 1) as usize),
            Padding::Explicit(pad) => (of(pad) as usize, ((size + 2 * of(pad) - kernel) / stride + 1) as usize),
            Padding::Same => {
                let outputs = size.div_ceil(stride);
                let total = ((outputs - 1) * stride + kernel).saturating_sub(size);
                ((total / 2) as usize, outputs as usize)
            }
        }
    }

    /// Calls `visit(y, x, weight)` with the three indices of every product of the definition.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) -> usize {
        let [height, width, channels] = [self.image.height, self.image.width, self.image.channels].map(|d| d as usize);
        let (pad_top, out_height) = self.axis(|pair| pair.height, self.image.height);
        let (pad_left, out_width) = self.axis(|pair| pair.width, self.image.width);
        let (kh, kw) = (self.kernel.height as usize, self.kernel.width as usize);
        for n in 0..self.batch {
            for (oy, ox) in (0..out_height).flat_map(|oy| (0..out_width).map(move |ox| (oy, ox))) {
                for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                    let iy = (oy * self.stride.height as usize + ky).wrapping_sub(pad_top);
                    let ix = (ox * self.stride.width as usize + kx).wrapping_sub(pad_left);
                    if iy >= height || ix >= width {
                        continue;
                    }
                    for (c, f) in (0..channels).flat_map(|c| (0..self.filters).map(move |f| (c, f))) {
                        let y = ((n * out_height + oy) * out_width + ox) * self.filters + f;
                        let x = ((n * height + iy) * width + ix) * channels + c;
                        visit(y, x, ((ky * kw + kx) * channels + c) * self.filters + f);
                    }
                }
            }
        }
        self.batch * out_height * out_width * self.filters
    }

    fn expected(&self, x: &[f32], weight: &[f32], bias: &[f32], dy: &[f32]) -> Expected {
        let wide = |value: f32| f64::from(value);
        let mut y: Vec<f64> = (0..dy.len()).map(|i| wide(bias[i % self.filters])).collect();
        let (mut dx, mut d_weight) = (vec![0.0f64; x.len()], vec![0.0f64; weight.len()]);
        self.products(|to, from, tap| {
            y[to] += wide(x[from]) * wide(weight[tap]);
            dx[from] += wide(dy[to]) * wide(weight[tap]);
            d_weight[tap] += wide(dy[to]) * wide(x[from]);
        });
        let mut d_bias = vec![0.0f64; self.filters];
        dy.iter().enumerate().for_each(|(i, value)| d_bias[i % self.filters] += wide(*value));
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Expected { y: narrow(y), dx: narrow(dx), d_weight: narrow(d_weight), d_bias: narrow(d_bias) }
    }
}

fn random(stream: u32, len: usize) -> Vec<f32> {
    (0..len as u32).map(|i| hash::normal(5, stream, i)).collect()
}

/// In both lowerings.
fn check(device: &Device, case: &Convolution) {
    for lowering in [Lowering::Implicit, Lowering::Im2col] {
        check_lowered(device, case, Engine { lowering, ..Engine::default() });
    }
}

fn check_lowered(device: &Device, case: &Convolution, engine: Engine) {
    let layer = conv2d(case.filters as u32, case.kernel).stride(case.stride).padding(case.padding);
    let program = LayerProgram::record(layer, Shape::Image(case.image), case.batch as u32, engine).unwrap();
    let (x, dy) = (random(1, program.input.len), random(2, program.d_output.len));
    assert_eq!(case.products(|_, _, _| {}), dy.len(), "number of outputs of {case:?}");
    let parameters = random(3, program.set.len());
    let part = |block: &[f32], at: usize| {
        let spec = &program.set.specs()[at];
        block[spec.offset..spec.offset + spec.len()].to_vec()
    };
    let expected = case.expected(&x, &part(&parameters, 0), &part(&parameters, 1), &dy);
    let upload = |values: &[f32]| device.upload("values", &values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    let slices =
        [&program.input, &program.parameters, &program.d_output, &program.output, &program.d_input, &program.gradients];
    let memories = [
        upload(&x).unwrap(),
        upload(&parameters).unwrap(),
        upload(&dy).unwrap(),
        device.alloc("y", program.output.len).unwrap(),
        device.alloc("dx", program.d_input.len).unwrap(),
        device.alloc("gradients", program.set.len()).unwrap(),
    ];
    let external: Vec<_> = slices.into_iter().zip(&memories).collect();
    device.prepare(&program.graph, &external).unwrap().run(1).unwrap();
    let read =
        |at: usize| -> Vec<f32> { device.read(&memories[at]).unwrap().into_iter().map(f32::from_bits).collect() };
    let what = |role: &str| format!("{role} of {case:?} as {engine:?} on {}", device.info().name);
    assert_close(&read(3), &expected.y, TOLERANCE, &what("y"));
    assert_close(&read(4), &expected.dx, TOLERANCE, &what("dx"));
    assert_close(&part(&read(5), 0), &expected.d_weight, TOLERANCE, &what("d_weight"));
    assert_close(&part(&read(5), 1), &expected.d_bias, TOLERANCE, &what("d_bias"));
}

fn convolutions() -> impl Strategy<Value = Convolution> {
    let sides = (1..4usize, 1..12u32, 1..12u32, 1..6u32, 1..9usize);
    let pairs = ((1..5u32, 1..5u32), (1..4u32, 1..4u32));
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0..3u32, 0..3u32).prop_map(|pair| Padding::Explicit(pair.into()))
    ];
    (sides, pairs, padding)
        .prop_map(|((batch, height, width, channels, filters), (kernel, stride), padding)| Convolution {
            batch,
            image: ImageShape { height, width, channels },
            filters,
            kernel: kernel.into(),
            stride: stride.into(),
            padding,
        })
        .prop_filter("the kernel must fit the padded image", |case| {
            let layer = conv2d(1, case.kernel).stride(case.stride).padding(case.padding);
            layer.output(&[Shape::Image(case.image)]).is_ok()
        })
}

fn check_random(device: &Device, cases: u32) {
    // No file of past failures: what fails becomes a case of its own.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = |case| {
        check(device, &case);
        Ok(())
    };
    // The same cases in every run: a red test stays red until it is mended.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(config, rng).run(&convolutions(), run).unwrap();
}

#[test]
fn random_convolutions_agree_with_the_definition_on_the_cpu() {
    check_random(&devices::cpu().unwrap(), 200);
}

#[test]
fn random_convolutions_agree_with_the_definition_on_an_adapter() {
    check_random(&devices::adapter().unwrap(), 20);
}
