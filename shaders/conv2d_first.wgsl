// Convolution with bias, optionally followed by a ReLU, for images of few channels: four filters to a load, one
// channel.
// ky, kx number the taps of the kernel, c the channels; a thread makes PIXELS x (4 * VECTORS) elements of y. LANES_N
// neighbouring threads lie along the filters, the next ones further along the pixels of all images.
// Pixels and filters beyond the edge repeat the last ones and are not stored, so no load needs a branch.
// Rust: crates/kernels/src/conv2d_first.rs

override batch: u32;
override height: u32;
override width: u32;
override channels: u32;
override kernel_height: u32;
override kernel_width: u32;
override stride_height: u32;
override stride_width: u32;
override pad_top: u32;
override pad_left: u32;
override out_height: u32;
override out_width: u32;
override filters: u32;
override relu: u32;

const WORKGROUP: u32 = 8u;
const LANES_N: u32 = 1u;
const PIXELS: u32 = 8u;
const VECTORS: u32 = 4u;
const TILE_VECTORS: u32 = LANES_N * VECTORS;
const TILE_PIXELS: u32 = WORKGROUP / LANES_N * PIXELS;

@group(0) @binding(0) var<storage, read> x: array<f32>; // [batch, height, width, channels]
@group(0) @binding(1) var<storage, read> weight: array<vec4f>; // [kernel_height, kernel_width, channels, filters]
@group(0) @binding(2) var<storage, read> bias: array<vec4f>; // [filters]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>; // [batch, out_height, out_width, filters]

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
    @builtin(local_invocation_index) lane: u32,
) {
    let filter_vectors = filters / 4u;
    let pixels = batch * out_height * out_width;
    // Whether any window reaches beyond its image; a constant, so that most layers check nothing.
    let padded = pad_top > 0u || pad_left > 0u || (out_height - 1u) * stride_height + kernel_height > height
        || (out_width - 1u) * stride_width + kernel_width > width;

    let tiles_n = (filter_vectors + TILE_VECTORS - 1u) / TILE_VECTORS;
    let tile = group.y * groups.x + group.x;
    let vector0 = tile % tiles_n * TILE_VECTORS + lane % LANES_N;
    let pixel0 = tile / tiles_n * TILE_PIXELS + lane / LANES_N * PIXELS;

    // Positions before the image wrap around to huge ones, so one comparison finds padding on either side.
    var row0: array<u32, PIXELS>;
    var column0: array<u32, PIXELS>;
    var first: array<u32, PIXELS>;
    for (var i = 0u; i < PIXELS; i++) {
        let pixel = min(pixel0 + i, pixels - 1u);
        row0[i] = pixel / out_width % out_height * stride_height - pad_top;
        column0[i] = pixel % out_width * stride_width - pad_left;
        first[i] = (pixel / (out_width * out_height) * height + row0[i]) * width + column0[i];
    }
    var vector: array<u32, VECTORS>;
    for (var j = 0u; j < VECTORS; j++) {
        vector[j] = min(vector0 + j * LANES_N, filter_vectors - 1u);
    }

    var sum: array<array<vec4f, VECTORS>, PIXELS>;
    for (var ky = 0u; ky < kernel_height; ky++) {
        for (var kx = 0u; kx < kernel_width; kx++) {
            var at: array<u32, PIXELS>;
            var inside: array<bool, PIXELS>;
            for (var i = 0u; i < PIXELS; i++) {
                inside[i] = !padded || (row0[i] + ky < height && column0[i] + kx < width);
                at[i] = select(0u, first[i] + ky * width + kx, inside[i]) * channels;
            }
            let tap = (ky * kernel_width + kx) * channels * filter_vectors;
            for (var c = 0u; c < channels; c++) {
                var weights: array<vec4f, VECTORS>;
                for (var j = 0u; j < VECTORS; j++) {
                    weights[j] = weight[tap + c * filter_vectors + vector[j]];
                }
                for (var i = 0u; i < PIXELS; i++) {
                    let value = select(0.0, x[at[i] + c], inside[i]);
                    for (var j = 0u; j < VECTORS; j++) {
                        sum[i][j] += value * weights[j];
                    }
                }
            }
        }
    }

    for (var j = 0u; j < VECTORS; j++) {
        let biases = bias[vector[j]];
        for (var i = 0u; i < PIXELS; i++) {
            let z = sum[i][j] + biases;
            if pixel0 + i < pixels && vector0 + j * LANES_N < filter_vectors {
                y[(pixel0 + i) * filter_vectors + vector[j]] = select(z, max(z, vec4f()), relu == 1u);
            }
        }
    }
}
